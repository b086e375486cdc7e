/** What an access proxy answers: that the stream may begin, or a page that says why not, with FortiOS's code (7.4.1 and later). */
import { Buffer } from 'node:buffer';
import { GATEWAY_CODES, type GatewayCode } from './real-servers.js';
import { POLICY_CODES, type PolicyCode } from './rules.js';

/** No document of the vendor has the fields of its answer; these are what RFC 9110 §7.8 asks for. */
export const SWITCHING = Buffer.from(
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp-forwarding/1.0\r\nConnection: Upgrade\r\n\r\n',
);

export const CERTIFICATE_CODES = { invalid: '001', empty: '002' } as const;
export type CertificateCode = keyof typeof CERTIFICATE_CODES;

/** What a page tells beside its code. */
export interface PageFacts {
  readonly user?: string | undefined;
  readonly certificateSerial?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly destination?: string | undefined;
  readonly emsSerial?: string | undefined;
  readonly time: Date;
}

export type Denial =
  | { readonly kind: 'certificate'; readonly code: CertificateCode }
  | { readonly kind: 'gateway'; readonly code: GatewayCode }
  | { readonly kind: 'policy'; readonly code: PolicyCode };

const MESSAGES: Readonly<Record<CertificateCode | GatewayCode | PolicyCode, string>> = {
  invalid: 'The client certificate is not valid.',
  empty: 'The client has shown no certificate.',
  'no-gateway': 'No API gateway matches the request.',
  'no-server': 'No real server of the API gateway matches the request.',
  'no-such-name': 'The name of the real server cannot be resolved.',
  'no-policy': 'No policy matches the request.',
  denied: 'A policy denies the request.',
  revoked: 'The client certificate is revoked.',
  'denied-by-tags': 'The tags of the device deny the request.',
  'tags-missing': 'The device lacks a tag that the request needs.',
  'no-device': 'Nothing is known of the device.',
  offline: 'The device is offline.',
};
const TITLES = {
  certificate: 'Invalid ZTNA Certificate',
  gateway: 'ZTNA Application Not Found',
  policy: 'ZTNA Policy Deny',
} as const;

export function denialCode(denial: Denial): string {
  switch (denial.kind) {
    case 'certificate':
      return CERTIFICATE_CODES[denial.code];
    case 'gateway':
      return GATEWAY_CODES[denial.code];
    case 'policy':
      return POLICY_CODES[denial.code];
  }
}

/** For logs and pages, in words. */
export function denialText({ code }: Denial): string {
  return MESSAGES[code];
}

/** 403: the vendor publishes the codes of its pages, not the status that they come with. */
export function denialPage(denial: Denial, facts: PageFacts): Buffer {
  const rows = [
    ['Error code', denialCode(denial)],
    ['User', facts.user],
    ['Client certificate SN', facts.certificateSerial],
    ['Device ID', facts.deviceId],
    ['Destination', facts.destination],
    ['EMS SN', facts.emsSerial],
    ['Request time', facts.time.toISOString()],
  ].flatMap(([name, value]) => (value === undefined ? [] : [`<p>${name}: ${escaped(value)}</p>`]));
  const title = TITLES[denial.kind];
  const message = MESSAGES[denial.code];
  return answer(
    '403 Forbidden',
    `<!DOCTYPE html><html><head><title>${title}</title></head><body><h1>${title}</h1><p>${message}</p>${rows.join('')}</body></html>\n`,
  );
}

export function signInPage(): Buffer {
  return answer(
    '401 Unauthorized',
    '<!DOCTYPE html><html><head><title>Authentication required</title></head><body><h1>Server authentication required</h1></body></html>\n',
    'WWW-Authenticate: Basic realm="ZTNA", charset="UTF-8"\r\n',
  );
}

/** `504 Gateway Timeout`, `400 Bad Request`: nothing more is to be said. */
export function plainAnswer(status: string): Buffer {
  return answer(status, '');
}

function answer(status: string, body: string, more = ''): Buffer {
  const type = body === '' ? '' : 'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n';
  return Buffer.from(
    `HTTP/1.1 ${status}\r\n${more}${type}Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function escaped(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
