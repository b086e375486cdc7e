/** A message from its bytes to its verdict, for tests: extractor, unpackers, types, the EICAR signature and policy, as in a scan of a file. */
import { Buffer } from 'node:buffer';
import { createUnpackers } from '../content/archive/unpackers.js';
import { Inspection } from '../content/inspection.js';
import { createMimeExtractor } from '../content/mime/mime-extractor.js';
import { Readings } from '../content/mime/readings/readings.js';
import { identify } from '../content/types/identify.js';
import { typesByName } from '../content/types/names.js';
import { Arena } from '../core/arena.js';
import type { Inspected } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import type { SessionInfo } from '../core/session.js';
import { createPolicy } from '../policy/decide.js';
import type { Decision } from '../policy/outcome.js';
import type { SessionProfiles } from '../policy/profiles.js';
import { createLiteralScanner } from '../scan/literal-scanner.js';
import { EICAR } from './archive-bytes.js';

export interface Judged {
  readonly action: string;
  /** Of the message: `infected`, `malformed mime-…`, `unscannable encrypted`, `blocked …`, `clean`. */
  readonly verdict: string;
  /** What was recorded: `infected:blocked`. */
  readonly records: readonly string[];
  readonly decision: Decision;
  readonly root: Inspected;
}

export interface Judge {
  (
    message: Buffer | string,
    options?: { readonly service?: string; readonly profiles?: SessionProfiles },
  ): Promise<Judged>;
  close(): void;
}

const LIMITS = { ...DEFAULT_LIMITS, slot: 1 << 20, slots: 4 << 20 };

/** Close it after the tests. */
export function judging(profiles?: SessionProfiles): Judge {
  const arena = new Arena(128);
  const unpacking = createUnpackers({ limits: LIMITS });
  const readings = new Readings({ limits: LIMITS });
  const inspection = new Inspection({
    extractors: [createMimeExtractor({ arena, limits: LIMITS })],
    unpackers: unpacking.unpackers,
    readings,
    scanners: [createLiteralScanner([{ virus: 'EICAR_TEST_FILE', virusId: 2172, category: 'test', bytes: EICAR }])],
    identify,
    arena,
    limits: LIMITS,
  });
  const judge: (...args: Parameters<Judge>) => Promise<Judged> = async (message, options = {}) => {
    const bytes = typeof message === 'string' ? Buffer.from(message, 'latin1') : message;
    const root = await new Promise<Inspected>((resolve) => {
      const file = inspection.open({ name: undefined, direction: 'upload', declaredType: 'message/rfc822' }, resolve);
      file.write(bytes, 0, bytes.length);
      file.end();
    });
    const decision = createPolicy(options.profiles ?? profiles, typesByName).decide(
      root,
      session(options.service ?? 'SMTP'),
    );
    const { verdict, reason } = decision.verdicts.get(root.info.id)!;
    return {
      action: decision.verdict.action,
      verdict: reason === null ? verdict : `${verdict} ${reason}`,
      records: decision.outcomes.map((outcome) => `${outcome.kind}:${outcome.action}`),
      decision,
      root,
    };
  };
  return Object.assign(judge, {
    close: () => {
      unpacking.close();
      readings.close();
    },
  });
}

function session(service: string): SessionInfo {
  return {
    id: 1,
    client: { address: '10.0.0.1', port: 40_000 },
    server: { address: '10.0.0.2', port: 25 },
    service,
    tls: undefined,
    vdom: 'root',
    policy: { id: 0, type: 'policy' },
    srcIntf: { name: 'unknown-0', role: 'undefined' },
    dstIntf: { name: 'unknown-0', role: 'undefined' },
    srcCountry: 'Reserved',
    dstCountry: 'Reserved',
    user: {},
  };
}

/** A message with one part more than its text, `body` under `headers`. */
export function mailWith(headers: readonly string[], body: string, text = 'Hello,\r\n\r\nsee below.'): string {
  return [
    'From: Ann <ann@example.org>',
    'To: bob@example.com',
    'Subject: a file',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="=_boundary"',
    '',
    '--=_boundary',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    text,
    '--=_boundary',
    ...headers,
    '',
    body,
    '--=_boundary--',
    '',
  ].join('\r\n');
}

/** As mail carries it: lines of 76. */
export function base64Lines(bytes: Buffer | string): string {
  return Buffer.from(bytes).toString('base64').replace(/.{76}/g, '$&\r\n');
}
