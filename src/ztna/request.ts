/**
 * What FortiClient asks an access proxy (FortiOS 7.0 and later; no document of the vendor has it):
 *
 *     GET /tcp?address=192.168.20.6&port=3389&tls=0 HTTP/1.1
 *     Upgrade: tcp-forwarding/1.0
 *     Connection: Upgrade
 *
 * Read as strictly as HTTP/1.1 allows (RFC 9112): a request that two readers could understand differently is refused, not repaired.
 */
import { isIP } from 'node:net';
import type { Asked } from './real-servers.js';

export interface ForwardRequest {
  readonly asked: Asked;
  /** The inner stream stays inside TLS. */
  readonly encrypted: boolean;
  /** Of the Host field, without a port. */
  readonly host: string;
  readonly authorization: string | undefined;
}

/** It is none. */
export interface Refusal {
  readonly status: 400 | 404 | 405 | 426;
  /** For logs, in words. */
  readonly why: string;
}

/** The longest header section that is read, and its most fields. */
export const HEAD_BYTES = 8_192;
const MOST_FIELDS = 64;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Of which there can be one. */
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'upgrade',
  'cookie',
  'user-agent',
]);

/** `head`: the request line and the header fields with the empty line that ends them, as Latin-1. */
export function parseForwardRequest(head: string): ForwardRequest | Refusal {
  // A line ends with CRLF and in no other way; what is no text is in no line.
  if (!head.endsWith('\r\n\r\n') || /[^\t\r\n -~\x80-\xff]|\r(?!\n)|(?<!\r)\n/.test(head))
    return { status: 400, why: 'malformed header' };
  const [requestLine = '', ...lines] = head.slice(0, -4).split('\r\n');
  const fields = fieldsOf(lines);
  if (typeof fields === 'string') return { status: 400, why: fields };
  const [, method, target = ''] = /^([A-Z]{1,20}) (\/[!-~]*) HTTP\/1\.1$/.exec(requestLine) ?? [];
  if (method === undefined) return { status: 400, why: 'malformed request line' };
  if (method !== 'GET') return { status: 405, why: 'not GET' };
  const host = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::\d{1,5})?$/.exec(fields.get('host') ?? '');
  if (host === null) return { status: 400, why: 'no Host' };
  if (fields.has('transfer-encoding') || (fields.get('content-length') ?? '0') !== '0')
    return { status: 400, why: 'a body' };
  const [path = '', query = ''] = target.split('?', 2);
  if (path !== '/tcp') return { status: 404, why: 'not /tcp' };
  if (!lists(fields.get('connection'), 'upgrade') || !lists(fields.get('upgrade'), 'tcp-forwarding/1.0'))
    return { status: 426, why: 'no upgrade to tcp-forwarding/1.0' };
  const asked = askedOf(target.slice(path.length + 1), query);
  if (asked === undefined) return { status: 400, why: 'malformed query' };
  return {
    ...asked,
    host: (host[1] ?? host[2] ?? '').toLowerCase(),
    authorization: fields.get('authorization'),
  };
}

/** By lower-case name, or what is wrong with them. */
function fieldsOf(lines: readonly string[]): Map<string, string> | string {
  if (lines.length > MOST_FIELDS) return 'too many fields';
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    // Also what is folded, or has a blank before its colon.
    if (!TOKEN.test(name)) return 'malformed field';
    const key = name.toLowerCase();
    const value = line.slice(colon + 1).trim();
    const known = fields.get(key);
    if (known !== undefined && SINGLE.has(key)) return 'a field twice';
    fields.set(key, known === undefined ? value : `${known}, ${value}`);
  }
  return fields;
}

function lists(value: string | undefined, wanted: string): boolean {
  return (value ?? '').split(',').some((each) => each.trim().toLowerCase() === wanted);
}

/** `address`, `port` and `tls`, each once; what else there may be says nothing to us. */
function askedOf(whole: string, query: string): Pick<ForwardRequest, 'asked' | 'encrypted'> | undefined {
  if (whole !== query) return undefined;
  const values = new Map<string, string>();
  for (const pair of query.split('&')) {
    const [name = '', value = '', extra] = pair.split('=', 3);
    if (extra !== undefined || values.has(name)) return undefined;
    values.set(name, value);
  }
  let host: string;
  try {
    host = decodeURIComponent(values.get('address') ?? '').toLowerCase();
  } catch {
    return undefined;
  }
  if (host.startsWith('[') && host.endsWith(']')) host = host.slice(1, -1);
  const portText = values.get('port') ?? '';
  const port = /^[1-9]\d{0,4}$/.test(portText) ? Number(portText) : 0;
  const tls = values.get('tls');
  const isName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$/.test(host);
  // A name that ends in a number would be an address to some resolvers.
  if (isIP(host) === 0 && (!isName || /(^|\.)(\d+|0x[0-9a-f]*)$/.test(host))) return undefined;
  if (port < 1 || port > 65_535 || (tls !== '0' && tls !== '1')) return undefined;
  return { asked: { host, port }, encrypted: tls === '1' };
}
