/**
 * The reply to EHLO, live: only capabilities that the decoder follows stay (fail closed: what we do not know could carry content past us).
 * The same for AUTH mechanisms: those with a security layer of their own (GSSAPI, DIGEST-MD5) would hide all that follows.
 */
import { Buffer } from 'node:buffer';
import { mechanismKnown } from '../mail/sasl.js';
import { lastLine, replyCode } from './grammar.js';

const KEYWORDS: ReadonlySet<string> = new Set([
  'PIPELINING',
  '8BITMIME',
  'SMTPUTF8',
  'SIZE',
  'CHUNKING',
  'BINARYMIME',
  'AUTH',
  'DSN',
  'STARTTLS',
  'ENHANCEDSTATUSCODES',
  'HELP',
  'VRFY',
  'EXPN',
  'DELIVERBY',
  'FUTURERELEASE',
  'MT-PRIORITY',
  'REQUIRETLS',
  'RRVS',
  'LIMITS',
]);

/** Does the reply [at, end) offer the capability? */
export function offers(chunk: Buffer, at: number, end: number, keyword: 'CHUNKING'): boolean {
  const lines = chunk.toString('latin1', at, end).split('\n').slice(1);
  return lines.some((line) => line.slice(4).trim().split(' ', 1)[0]?.toUpperCase() === keyword);
}

/** The reply [at, end) without what is not allowed; undefined when all of it may go as it is. */
export function allowedHello(chunk: Buffer, at: number, end: number): Buffer | undefined {
  const code = replyCode(chunk, lastLine(chunk, at, end), end);
  const lines = chunk
    .toString('latin1', at, end)
    .split('\n')
    .slice(0, -1)
    .map((line) => line.replace(/\r$/, '').slice(4));
  const kept = lines
    .map((line, index) => (index === 0 ? line : allowedLine(line)))
    .filter((line) => line !== undefined);
  if (kept.length === lines.length && kept.every((line, index) => line === lines[index])) return undefined;
  return Buffer.from(
    kept.map((line, index) => `${code}${index < kept.length - 1 ? '-' : ' '}${line}\r\n`).join(''),
    'latin1',
  );
}

function allowedLine(line: string): string | undefined {
  // `AUTH=LOGIN` is how servers of the nineties wrote it, and some clients still look for it.
  const [keyword = '', ...words] = line.split(/[ =]/).filter((word) => word !== '');
  if (!KEYWORDS.has(keyword.toUpperCase())) return undefined;
  if (keyword.toUpperCase() !== 'AUTH') return line;
  const mechanisms = words.filter(mechanismKnown);
  if (mechanisms.length === words.length) return line;
  return mechanisms.length === 0 ? undefined : `AUTH ${mechanisms.join(' ')}`;
}
