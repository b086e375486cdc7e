/** From secrets to keys: the PRF of TLS 1.0 to 1.2 (RFC 2246 §5, RFC 5246 §5) and the key schedule of TLS 1.3 (RFC 8446 §7.1, §7.3). */
import { Buffer } from 'node:buffer';
import { createHash, createHmac } from 'node:crypto';

/** `length` bytes of PRF(secret, label, seed). `hash`: that of the suite for TLS 1.2; undefined: MD5 and SHA-1, as before it. */
export function prf(
  hash: 'sha256' | 'sha384' | undefined,
  secret: Buffer,
  label: string,
  seed: Buffer,
  length: number,
): Buffer {
  const labelled = Buffer.concat([Buffer.from(label, 'latin1'), seed]);
  if (hash !== undefined) return expand(hash, secret, labelled, length);
  const half = Math.ceil(secret.length / 2);
  const one = expand('md5', secret.subarray(0, half), labelled, length);
  const other = expand('sha1', secret.subarray(secret.length - half), labelled, length);
  for (let i = 0; i < length; i++) one[i] = (one[i] ?? 0) ^ (other[i] ?? 0);
  return one;
}

/** P_hash. */
function expand(hash: string, secret: Buffer, seed: Buffer, length: number): Buffer {
  const parts: Buffer[] = [];
  let a = seed;
  for (let have = 0; have < length; ) {
    a = createHmac(hash, secret).update(a).digest();
    const part = createHmac(hash, secret).update(a).update(seed).digest();
    parts.push(part);
    have += part.length;
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** HKDF-Expand-Label with an empty context. */
export function expandLabel(hash: 'sha256' | 'sha384', secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`, 'latin1');
  const info = Buffer.concat([Buffer.from([length >> 8, length & 255, name.length]), name, Buffer.from([0])]);
  return hkdfExpand(hash, secret, info, length);
}

function hkdfExpand(hash: string, secret: Buffer, info: Buffer, length: number): Buffer {
  const parts: Buffer[] = [];
  let last = Buffer.alloc(0);
  for (let counter = 1, have = 0; have < length; counter++) {
    last = createHmac(hash, secret)
      .update(last)
      .update(info)
      .update(Buffer.from([counter]))
      .digest();
    parts.push(last);
    have += last.length;
  }
  return Buffer.concat(parts).subarray(0, length);
}

export interface KeyBlock {
  readonly mac: readonly [Buffer, Buffer];
  readonly key: readonly [Buffer, Buffer];
  readonly iv: readonly [Buffer, Buffer];
}

/** RFC 5246 §6.3, the client's first. */
export function keyBlock(
  hash: 'sha256' | 'sha384' | undefined,
  master: Buffer,
  clientRandom: Buffer,
  serverRandom: Buffer,
  lengths: { readonly mac: number; readonly key: number; readonly iv: number },
): KeyBlock {
  const total = 2 * (lengths.mac + lengths.key + lengths.iv);
  const block = prf(hash, master, 'key expansion', Buffer.concat([serverRandom, clientRandom]), total);
  let at = 0;
  const pair = (length: number): readonly [Buffer, Buffer] => {
    at += 2 * length;
    return [block.subarray(at - 2 * length, at - length), block.subarray(at - length, at)];
  };
  return { mac: pair(lengths.mac), key: pair(lengths.key), iv: pair(lengths.iv) };
}

/** RFC 5246 §8.1, RFC 7627 §4. */
export function masterSecret(
  hash: 'sha256' | 'sha384' | undefined,
  premaster: Buffer,
  clientRandom: Buffer,
  serverRandom: Buffer,
  /** The handshake up to ClientKeyExchange, where both ends extend the master secret. */
  transcript: Buffer | undefined,
): Buffer {
  if (transcript === undefined)
    return prf(hash, premaster, 'master secret', Buffer.concat([clientRandom, serverRandom]), 48);
  const digest =
    hash === undefined
      ? Buffer.concat([createHash('md5').update(transcript).digest(), createHash('sha1').update(transcript).digest()])
      : createHash(hash).update(transcript).digest();
  return prf(hash, premaster, 'extended master secret', digest, 48);
}
