// The vendor's sample lines of mail, out of sessions: bytes through decoder, extraction, scanning, policy and log, live, as a proxy would.
// The S-lines are fed as the decrypted bytes of a session whose TLS facts are set.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PROTOCOLS } from '../../protocols/index.js';
import { createUnpackers } from '../content/archive/unpackers.js';
import { Inspection } from '../content/inspection.js';
import { createMimeExtractor } from '../content/mime/mime-extractor.js';
import { identify } from '../content/types/identify.js';
import { Arena } from '../core/arena.js';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import type { SessionInfo } from '../core/session.js';
import { FlowEngine } from '../flow/engine.js';
import { createPolicy } from '../policy/decide.js';
import { BUILT_IN_PROFILES } from '../policy/profiles.js';
import { createScanners } from '../scan/scanners.js';
import { loadSignatures } from '../scan/signatures.js';
import { decoderContext } from '../testing/context.js';
import { seedMailSession } from '../testing/seed-lines.js';
import { formatRecord } from './format.js';
import { type ParsedLine, parsedValue, parseLine } from './parse-line.js';
import { timeZone } from './time-zone.js';
import { toRecord } from './utm.js';

const LINES = readFileSync('samples/seeds/utm-lines.txt', 'utf8').trimEnd().split('\n');
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const ADDRESS = 'testpc3@qa.fortinet.com';

const arena = new Arena(8192);
const inspection = new Inspection({
  arena,
  limits: DEFAULT_LIMITS,
  extractors: [createMimeExtractor({ arena, limits: DEFAULT_LIMITS })],
  unpackers: createUnpackers({ limits: DEFAULT_LIMITS }).unpackers,
  scanners: createScanners(loadSignatures(['signatures'])),
  identify,
});
const policy = createPolicy({
  ...BUILT_IN_PROFILES,
  antivirus: BUILT_IN_PROFILES.antivirus && { ...BUILT_IN_PROFILES.antivirus, name: 'test-av' },
});

interface Played {
  readonly lines: readonly string[];
  /** What reached each side. */
  readonly toClient: string;
  readonly toServer: string;
}

/** Plays a script of `[side, bytes]` through a live flow; logs are written at `eventTime`. */
function play(
  name: string,
  facts: SessionInfo,
  eventTime: bigint,
  writtenAt: bigint,
  script: readonly (readonly [Side, string])[],
): Played {
  const protocol = PROTOCOLS.find((each) => each.name === name);
  assert.ok(protocol);
  const lines: string[] = [];
  const sent: [Buffer[], Buffer[]] = [[], []];
  const engine = new FlowEngine({
    id: facts.id,
    limits: DEFAULT_LIMITS,
    output: {
      write: (toward, bytes) => sent[toward].push(Buffer.from(bytes)),
      finish: () => {},
      reset: (reason) => assert.fail(reason),
      layer: () => {},
      pause: () => {},
    },
    services: {
      openFile: (meta, judged) =>
        inspection.open(meta, (root) => {
          const decision = policy.decide(root, facts);
          for (const outcome of decision.outcomes) {
            lines.push(
              formatRecord(toRecord(outcome, facts, { eventTime, writtenAt, zone: timeZone('-0800') }), 'default'),
            );
          }
          judged(decision.verdict);
        }),
      fileEnding: () => {},
      expect: () => {},
      wakeAt: () => {},
      anomaly: (code) => assert.fail(code),
      bypassed: (reason) => assert.fail(reason),
      failed: (error) => assert.fail(error as Error),
      openLayer: () => undefined,
      adopted: () => {},
    },
    decode: protocol.decoders(decoderContext()),
  });
  for (const [side, text] of script) engine.receive(side, Buffer.from(text, 'latin1'));
  return {
    lines,
    toClient: Buffer.concat(sent[CLIENT]).toString('latin1'),
    toServer: Buffer.concat(sent[SERVER]).toString('latin1'),
  };
}

function message(subject: string, filename: string, content: string): string {
  return [
    `From: <${ADDRESS}>`,
    `To: <${ADDRESS}>`,
    `Subject: ${subject}`,
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="=_next"',
    '',
    '--=_next',
    'Content-Type: text/plain',
    '',
    'see the attachment',
    '--=_next',
    `Content-Type: application/octet-stream; name="${filename}"`,
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment; filename="${filename}"`,
    '',
    Buffer.from(content, 'latin1').toString('base64'),
    '--=_next--',
    '',
  ].join('\r\n');
}

function parsed(line: string): ParsedLine {
  const read = parseLine(line);
  assert.ok(read);
  return read;
}

const smtp = (mail: string): [Side, string][] => [
  [SERVER, '220 mail.qa.fortinet.com ESMTP\r\n'],
  [CLIENT, 'EHLO pc3\r\n'],
  [SERVER, '250-mail.qa.fortinet.com\r\n250 SIZE 10240000\r\n'],
  [CLIENT, `MAIL FROM:<${ADDRESS}>\r\n`],
  [SERVER, '250 2.1.0 Ok\r\n'],
  [CLIENT, `RCPT TO:<${ADDRESS}>\r\n`],
  [SERVER, '250 2.1.5 Ok\r\n'],
  // DATA is held back until the verdict: the decoder says 354 itself, and the server is never asked.
  [CLIENT, 'DATA\r\n'],
  [CLIENT, `${mail}.\r\n`],
];

const pop3 = (mail: string): [Side, string][] => [
  [SERVER, '+OK ready\r\n'],
  [CLIENT, 'USER testpc3\r\n'],
  [SERVER, '+OK\r\n'],
  [CLIENT, 'PASS not-in-any-log\r\n'],
  [SERVER, '+OK\r\n'],
  [CLIENT, 'RETR 1\r\n'],
  [SERVER, `+OK ${mail.length} octets\r\n${mail}.\r\n`],
];

const imap = (mail: string): [Side, string][] => [
  [SERVER, '* OK ready\r\n'],
  [CLIENT, 'a LOGIN "testpc3" not-in-any-log\r\n'],
  [SERVER, 'a OK in\r\n'],
  // The server hears of it when it is judged.
  [CLIENT, `b APPEND Sent {${mail.length}+}\r\n${mail}\r\n`],
];
const SCRIPTS = { smtp, pop3, imap };

/** eicar.exe of the samples is a file that nobody published: of its line the checksum cannot be had. Everything else is. */
const UNKNOWN = ['analyticscksum'];

const CASES = [
  { line: 0, protocol: 'pop3', id: 49481, ports: [62056, 110], tls: false, subject: 'ZTNA av01', file: 'eicar.exe' },
  {
    line: 1,
    protocol: 'imap',
    id: 43017,
    ports: [61563, 143],
    tls: false,
    subject: 'ZTNA av testing',
    file: 'eicar.exe',
  },
  {
    line: 3,
    protocol: 'imap',
    id: 54283,
    ports: [62142, 143],
    tls: true,
    subject: 'ZTNA ssl port av test',
    file: 'eicar.exe',
  },
  {
    line: 2,
    protocol: 'smtp',
    id: 43006,
    ports: [61559, 25],
    tls: false,
    subject: 'ZTNA av testing',
    file: 'eicar.exe',
  },
  {
    line: 4,
    protocol: 'smtp',
    id: 54276,
    ports: [62140, 25],
    tls: true,
    subject: 'ZTNA ssl port av test',
    file: 'eicar.exe',
  },
  { line: 5, protocol: 'pop3', id: 52986, ports: [62114, 995], tls: true, subject: 'Hayder virus ', file: 'eicar.com' },
] as const;

for (const each of CASES) {
  const whole = each.file === 'eicar.com';
  const service = `${each.protocol.toUpperCase()}${each.tls ? 'S' : ''}`;
  test(`${service}: ${each.file} gives the vendor's line ${whole ? 'byte for byte' : 'but for the checksum of a file that nobody has'}`, () => {
    const expected = LINES[each.line] ?? '';
    const of = (name: string) => parsedValue(parsed(expected), name);
    const eventTime = BigInt(of('eventtime') ?? 0);
    const clock = `${of('date')}T${of('time')}-08:00`;
    const writtenAt = BigInt(Date.parse(clock)) * 1_000_000n;
    const mail = message(each.subject, each.file, whole ? EICAR : `${EICAR}\r\n${' '.repeat(58)}`);
    const facts = seedMailSession(each.protocol.toUpperCase(), each.id, each.ports[0], each.ports[1], each.tls);
    const { lines, toClient, toServer } = play(
      each.protocol,
      facts,
      eventTime,
      writtenAt,
      SCRIPTS[each.protocol](mail),
    );
    assert.equal(lines.length, 1);
    const [got = ''] = lines;
    if (whole) assert.equal(got, expected);
    else {
      const without = (line: string) => parsed(line).fields.filter(({ name }) => !UNKNOWN.includes(name));
      assert.deepEqual(without(got), without(expected));
    }
    assert.ok(!lines.join().includes('not-in-any-log'));
    // And it is true: no byte of the virus passed.
    const encoded = Buffer.from(EICAR, 'latin1').toString('base64').slice(0, 40);
    assert.ok(!toClient.includes(encoded) && !toServer.includes(encoded));
    if (each.protocol === 'smtp') assert.match(toClient, /554 5\.7\.1 .*eicar\.exe.*EICAR_TEST_FILE/);
    else assert.match(each.protocol === 'imap' ? toServer : toClient, /eicar\.com|eicar\.exe/);
  });
}
