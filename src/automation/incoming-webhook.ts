/**
 * Where others tell of incidents, over HTTPS, with a token: stitches by name, at the path that FortiOS has for that, and indicators of compromise, at one of
 * ours (what a FortiAnalyzer would do). The certificate is signed by the authority of `inspectd ca`.
 */
import { Buffer } from 'node:buffer';
import { createHash, generateKeyPairSync, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { isIP } from 'node:net';
import { SourceError } from '../core/errors.js';
import { type Endpoint, endpointText } from '../core/session.js';
import { pem } from '../live/tls/authority.js';
import { issuedCertificate, type Signer } from '../live/tls/certificate.js';
import type { Incident } from './incident.js';
import { IOC_LEVELS } from './stitches.js';

export interface IncomingWebhookOptions {
  readonly listen: Endpoint;
  readonly token: string;
  readonly signer: Signer;
  /** How many stitches it triggers. */
  happened(incident: Incident): number;
}

/** FortiOS's; the name of the stitch follows. */
export const STITCH_PATH = '/api/v2/monitor/system/automation-stitch/webhook/';
/** Ours. */
export const IOC_PATH = '/api/v2/monitor/inspectd/ioc';

const BODY = 65_536;
const DAY = 24 * 3600 * 1000;

/** Rejects with SourceError: the address is taken. */
export async function serveWebhook(options: IncomingWebhookOptions): Promise<Server> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const certificate = issuedCertificate(
    {
      commonName: 'inspectd',
      names: ['localhost', options.listen.address],
      purpose: 'server',
      from: new Date(now - DAY),
      to: new Date(now + 365 * DAY),
    },
    privateKey,
    options.signer,
    randomBytes(16),
  );
  const server = createServer(
    { key: privateKey.export({ type: 'pkcs8', format: 'pem' }), cert: pem(certificate), maxHeaderSize: 16_384 },
    (request, response) => {
      answer(request, response, options).catch(() => response.destroy());
    },
  );
  server.maxConnections = 64;
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new SourceError(`automation webhook: cannot listen on ${endpointText(options.listen)}: ${cause.message}`, {
          cause,
        }),
      ),
    );
    server.listen(options.listen.port, options.listen.address, resolve);
  });
  server.on('error', () => {});
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { token, happened }: IncomingWebhookOptions,
): Promise<void> {
  const method = request.method ?? '';
  const reply = (status: number, words: string, more: object = {}): void => {
    const body = { http_method: method, status: words, http_status: status, ...more };
    response
      .writeHead(status, { 'content-type': 'application/json', connection: 'close' })
      .end(`${JSON.stringify(body)}\n`);
  };
  if (!bears(request.headers.authorization, token)) {
    reply(401, 'error', { error: 'Authorization: Bearer TOKEN' });
    return;
  }
  const path = request.url ?? '';
  const stitch = path.startsWith(STITCH_PATH) ? decoded(path.slice(STITCH_PATH.length)) : undefined;
  if (stitch === undefined && path !== IOC_PATH) {
    reply(404, 'error');
    return;
  }
  if (method !== 'POST') {
    reply(405, 'error');
    return;
  }
  const body = await bodyOf(request);
  const fields = body === undefined ? undefined : fieldsOf(body);
  if (fields === undefined) {
    reply(400, 'error', { error: 'the body is one JSON object of texts and numbers' });
    return;
  }
  const { level = 'high' } = fields;
  const known = IOC_LEVELS.find((each) => each === level);
  if (stitch === undefined && (isIP(fields['srcip'] ?? '') === 0 || known === undefined)) {
    reply(400, 'error', { error: `an indicator has "ip" and "level" (${IOC_LEVELS.join(' or ')})` });
    return;
  }
  const common = { from: 'webhook', fields, line: JSON.stringify(fields) } as const;
  const triggered = happened(
    stitch === undefined ? { ...common, kind: 'ioc', level: known ?? 'high' } : { ...common, kind: 'webhook', stitch },
  );
  if (stitch !== undefined && triggered === 0)
    reply(404, 'error', { error: 'no stitch of that name waits for a webhook' });
  else reply(200, 'success', { triggered });
}

function bears(given: string | undefined, token: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(hash(given), hash(`Bearer ${token}`));
}

function decoded(name: string): string | undefined {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** Undefined: it is too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Names and values as a record would have them; `ip` is `srcip`. Undefined: it is no flat object. */
export function fieldsOf(body: string): Record<string, string> | undefined {
  let value: unknown;
  try {
    value = body.trim() === '' ? {} : JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const fields: Record<string, string> = {};
  for (const [name, each] of Object.entries(value)) {
    if (!/^[a-z0-9_]{1,32}$/.test(name) || (typeof each !== 'string' && typeof each !== 'number')) return undefined;
    fields[name === 'ip' ? 'srcip' : name] = String(each);
  }
  if ('srcip' in fields && isIP(fields['srcip'] ?? '') === 0) return undefined;
  return fields;
}
