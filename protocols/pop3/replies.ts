/** POP3 answers (RFC 1939 §3, 2449 §6): their first line by its first bytes, what of a capability list may go on, what a recording's lines look like. */
import type { Buffer } from 'node:buffer';
import { mechanismKnown } from '../mail/sasl.js';

const OK = [0x2b, 0x4f, 0x4b];
const ERR = [0x2d, 0x45, 0x52, 0x52];
const PLUS = 0x2b;

export type Status = 'ok' | 'err' | 'challenge' | 'none' | 'partial';

/** What the line at `at` is by its first bytes; `partial`: too few of them to say. */
export function statusAt(chunk: Buffer, at: number): Status {
  const ok = begins(chunk, at, OK);
  if (ok === 'yes') return 'ok';
  const err = begins(chunk, at, ERR);
  if (err === 'yes') return 'err';
  if (chunk[at] === PLUS) {
    const next = chunk[at + 1];
    if (next === 0x20 || next === 0x0d || next === 0x0a) return 'challenge';
  }
  return ok === 'partial' || err === 'partial' ? 'partial' : 'none';
}

function begins(chunk: Buffer, at: number, wanted: readonly number[]): 'yes' | 'no' | 'partial' {
  for (let index = 0; index < wanted.length; index++) {
    if (at + index >= chunk.length) return 'partial';
    if (chunk[at + index] !== wanted[index]) return 'no';
  }
  return 'yes';
}

const CAPABILITIES = new Set([
  ...['TOP', 'USER', 'RESP-CODES', 'LOGIN-DELAY', 'PIPELINING', 'EXPIRE', 'UIDL', 'IMPLEMENTATION', 'STLS', 'UTF8'],
  ...['LANG', 'AUTH-RESP-CODE', 'CAPA'],
]);

/** The capability line as the client may see it: the same, with fewer mechanisms, or undefined when it is hidden. */
export function allowedCapability(line: string): string | undefined {
  const [name = '', ...words] = line.split(' ');
  if (name.toUpperCase() !== 'SASL') return CAPABILITIES.has(name.toUpperCase()) ? line : undefined;
  const known = words.filter(mechanismKnown);
  if (known.length === words.length) return line;
  return known.length === 0 ? undefined : ['SASL', ...known].join(' ');
}

/** A recording whose question was lost: is the line behind `+OK` one of a listing (numbers, capabilities), and no message's first? */
export function looksListed(line: string): boolean {
  return /^(\.$|\d+( |$)|[A-Z][A-Z0-9-]*( |$))/.test(line);
}
