/**
 * NTLM authentication ([MS-NLMP]) as SESSION_SETUP carries it, inside SPNEGO or bare: from a password or its hash, the session key that both ends
 * came to. The response proves whether the secret is the right one (`ntlm.ts`). Kerberos needs keys of its own, which are given as a session key.
 */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../src/core/crypto.js';
import type { Secret } from '../../src/core/secret.js';
import { type Answer, keyExchangeKey } from './ntlm.js';

const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');
const CHALLENGE = 2;
const AUTHENTICATE = 3;
const UNICODE = 0x0000_0001;
const KEY_EXCHANGE = 0x4000_0000;

export interface Authenticate extends Answer {
  readonly encryptedKey: Buffer;
  readonly flags: number;
}

/** The server's challenge, 8 bytes, in a security blob; undefined when there is none. */
export function challengeIn(blob: Buffer): Buffer | undefined {
  const message = messageIn(blob, CHALLENGE);
  return message === undefined || message.length < 32 ? undefined : Buffer.from(message.subarray(24, 32));
}

/** The client's answer to it. */
export function authenticateIn(blob: Buffer): Authenticate | undefined {
  const message = messageIn(blob, AUTHENTICATE);
  if (message === undefined || message.length < 64) return undefined;
  const flags = message.readUInt32LE(60);
  const encoding = (flags & UNICODE) === 0 ? 'latin1' : 'utf16le';
  return {
    flags,
    lmResponse: Buffer.from(field(message, 12)),
    ntResponse: Buffer.from(field(message, 20)),
    domain: field(message, 28).toString(encoding),
    user: field(message, 36).toString(encoding),
    encryptedKey: Buffer.from(field(message, 52)),
  };
}

/** The exported session key (3.1.5.1.2), when one of these secrets is the client's. */
export function sessionKey(
  crypto: Crypto,
  secrets: readonly Secret[],
  challenge: Buffer,
  { flags, encryptedKey, ...answer }: Authenticate,
): Buffer | undefined {
  const key = keyExchangeKey(crypto, secrets, challenge, answer, flags);
  if (key === undefined || (flags & KEY_EXCHANGE) === 0 || encryptedKey.length !== 16) return key;
  return crypto.rc4(key, encryptedKey);
}

/** The message of this type: its fields are counted from its signature, so that what is wrapped around it does not matter. */
function messageIn(blob: Buffer, type: number): Buffer | undefined {
  const at = blob.indexOf(SIGNATURE);
  if (at < 0 || blob.length - at < 12 || blob.readUInt32LE(at + 8) !== type) return undefined;
  return blob.subarray(at);
}

/** Length, maximum length, offset; empty when it lies outside. */
function field(message: Buffer, at: number): Buffer {
  const length = message.readUInt16LE(at);
  const offset = message.readUInt32LE(at + 4);
  return offset + length > message.length ? Buffer.alloc(0) : message.subarray(offset, offset + length);
}
