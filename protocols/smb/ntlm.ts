/**
 * The responses of NTLM, versions 1 and 2, and the keys that come of them ([MS-NLMP] 3.3, 3.4.5.1). A response says by itself of which version it
 * is, and whether a secret made it. What a password alone gives (the LM hash) an NT hash does not.
 */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../src/core/crypto.js';
import type { Secret } from '../../src/core/secret.js';

/** Flags of 2.2.2.5. */
const LM_KEY = 0x0000_0080;
const EXTENDED_SESSION_SECURITY = 0x0008_0000;
const NON_NT_SESSION_KEY = 0x0040_0000;

/** What a client answers to a challenge of 8 bytes. */
export interface Answer {
  readonly user: string;
  readonly domain: string;
  readonly lmResponse: Buffer;
  readonly ntResponse: Buffer;
}

type Account = Extract<Secret, { kind: 'account' }>;

/** The key exchange key (3.4.5.1), when one of these secrets is the client's. Without flags it is the session base key. */
export function keyExchangeKey(
  crypto: Crypto,
  secrets: readonly Secret[],
  challenge: Buffer,
  answer: Answer,
  flags = 0,
): Buffer | undefined {
  for (const secret of secrets) {
    if (secret.kind !== 'account' || secret.user.toUpperCase() !== answer.user.toUpperCase()) continue;
    const key =
      answer.ntResponse.length > RESPONSE
        ? keyOfV2(crypto, secret, challenge, answer)
        : keyOfV1(crypto, secret, challenge, answer, flags);
    if (key !== undefined) return key;
  }
  return undefined;
}

/** 3.3.2. */
function keyOfV2(crypto: Crypto, secret: Account, challenge: Buffer, answer: Answer): Buffer | undefined {
  const { user, domain, ntResponse } = answer;
  const proof = ntResponse.subarray(0, 16);
  const hash = ntHash(crypto, secret);
  // The domain as the client sent it; some clients hash another than they send.
  for (const name of new Set([domain, secret.domain ?? domain, ''])) {
    const key = crypto.hmac('md5', hash, [Buffer.from(user.toUpperCase() + name, 'utf16le')]);
    if (crypto.hmac('md5', key, [challenge, ntResponse.subarray(16)]).equals(proof))
      return crypto.hmac('md5', key, [proof]);
  }
  return undefined;
}

/** 3.3.1, also with extended session security, where the client's own challenge lies in the LM response. */
function keyOfV1(
  crypto: Crypto,
  secret: Account,
  challenge: Buffer,
  { lmResponse, ntResponse }: Answer,
  flags: number,
): Buffer | undefined {
  const hash = ntHash(crypto, secret);
  const extended = (flags & EXTENDED_SESSION_SECURITY) !== 0;
  const both = [challenge, lmResponse.subarray(0, 8)];
  const asked = extended ? crypto.digest('md5', both).subarray(0, 8) : challenge;
  if (!response(crypto, hash, asked).equals(ntResponse)) return undefined;
  const base = crypto.digest('md4', [hash]);
  if (extended) return crypto.hmac('md5', base, both);
  if ((flags & (LM_KEY | NON_NT_SESSION_KEY)) === 0) return base;
  if (typeof secret.password !== 'string' || lmResponse.length < 8) return undefined;
  const lm = lmHash(crypto, secret.password);
  if ((flags & LM_KEY) === 0) return Buffer.concat([lm.subarray(0, 8), Buffer.alloc(8)]);
  const padded = Buffer.concat([lm.subarray(0, 8), Buffer.alloc(6, 0xbd)]);
  return Buffer.concat([0, 7].map((at) => des(crypto, padded.subarray(at, at + 7), lmResponse.subarray(0, 8))));
}

function ntHash(crypto: Crypto, { password }: Account): Buffer {
  return typeof password === 'string'
    ? crypto.digest('md4', [Buffer.from(password, 'utf16le')])
    : Buffer.from(password.ntHash);
}

/** LMOWFv1: of 14 characters of a password in capitals. */
export function lmHash(crypto: Crypto, password: string): Buffer {
  const key = Buffer.alloc(14);
  key.write(password.toUpperCase(), 'latin1');
  const constant = Buffer.from('KGS!@#$%', 'latin1');
  return Buffer.concat([0, 7].map((at) => des(crypto, key.subarray(at, at + 7), constant)));
}

const RESPONSE = 24;

/** DESL (6): a challenge under a hash of 16 bytes, in three keys. */
export function response(crypto: Crypto, hash: Buffer, challenge: Buffer): Buffer {
  const key = Buffer.alloc(21);
  hash.copy(key);
  return Buffer.concat([0, 7, 14].map((at) => des(crypto, key.subarray(at, at + 7), challenge)));
}

/** With a key of 7 bytes, spread over 8. */
function des(crypto: Crypto, key: Buffer, block: Buffer): Buffer {
  const spread = Buffer.alloc(8);
  for (let i = 0; i < 8; i++) spread[i] = ((((key[i - 1] ?? 0) << 8) | (key[i] ?? 0)) >> i) & 0xfe;
  return crypto.des(spread, block);
}
