/**
 * NTLM authentication ([MS-NLMP]) as SESSION_SETUP carries it, inside SPNEGO or bare: from a password or its hash, the session key that both ends
 * came to. NTLMv2 only (3.3.2): its response proves whether the secret is the right one. Kerberos needs keys of its own, which are
 * given as a session key.
 */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../src/core/crypto.js';
import type { Secret } from '../../src/core/secret.js';

const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');
const CHALLENGE = 2;
const AUTHENTICATE = 3;
const UNICODE = 0x0000_0001;
const KEY_EXCHANGE = 0x4000_0000;

export interface Authenticate {
  readonly user: string;
  readonly domain: string;
  readonly ntResponse: Buffer;
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
    ntResponse: Buffer.from(field(message, 20)),
    domain: field(message, 28).toString(encoding),
    user: field(message, 36).toString(encoding),
    encryptedKey: Buffer.from(field(message, 52)),
  };
}

/** The exported session key, when one of these secrets is the client's. */
export function sessionKey(
  crypto: Crypto,
  secrets: readonly Secret[],
  challenge: Buffer,
  { user, domain, ntResponse, encryptedKey, flags }: Authenticate,
): Buffer | undefined {
  if (ntResponse.length < 24 + 16) return undefined;
  const proof = ntResponse.subarray(0, 16);
  for (const secret of secrets) {
    if (secret.kind !== 'account' || secret.user.toUpperCase() !== user.toUpperCase()) continue;
    const ntHash =
      typeof secret.password === 'string'
        ? crypto.digest('md4', [Buffer.from(secret.password, 'utf16le')])
        : Buffer.from(secret.password.ntHash);
    // The domain as the client sent it; some clients hash another than they send.
    for (const name of new Set([domain, secret.domain ?? domain, ''])) {
      const response = crypto.hmac('md5', ntHash, [Buffer.from(user.toUpperCase() + name, 'utf16le')]);
      if (!crypto.hmac('md5', response, [challenge, ntResponse.subarray(16)]).equals(proof)) continue;
      const base = crypto.hmac('md5', response, [proof]);
      return (flags & KEY_EXCHANGE) !== 0 && encryptedKey.length === 16 ? crypto.rc4(base, encryptedKey) : base;
    }
  }
  return undefined;
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
