/** The ciphers and digests of `core/crypto.ts` over node:crypto. */
import { Buffer } from 'node:buffer';
import { type CipherGCMTypes, createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import type { Crypto } from '../core/crypto.js';
import { md4, rc4 } from './legacy.js';

const BLOCK = 16;
const TAG = 16;

export function createCrypto(): Crypto {
  return {
    hmac: (digest, key, data) => {
      const hmac = createHmac(digest, key);
      for (const piece of data) hmac.update(piece);
      return hmac.digest();
    },
    digest: (name, data) => {
      if (name === 'md4') return md4(Buffer.concat(data));
      const hash = createHash(name);
      for (const piece of data) hash.update(piece);
      return hash.digest();
    },
    rc4,
    // Single DES is gone from OpenSSL 3; three times the same key is it.
    des: (key, block) =>
      createCipheriv('des-ede3', Buffer.concat([key, key, key]), null)
        .setAutoPadding(false)
        .update(block),
    cmac: (key, data) => cmac(key, Buffer.concat(data)),
    gmac: (key, nonce, data) => {
      const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as CipherGCMTypes, key, nonce);
      for (const piece of data) cipher.setAAD(piece);
      cipher.final();
      return cipher.getAuthTag();
    },
    open: (mode, key, nonce, aad, sealed, tag) => {
      try {
        const decipher = createDecipheriv(cipherName(mode, key), key, nonce, { authTagLength: TAG });
        decipher.setAuthTag(tag);
        decipher.setAAD(aad, mode === 'ccm' ? ({ plaintextLength: sealed.length } as never) : undefined);
        const plain = decipher.update(sealed);
        decipher.final();
        return plain;
      } catch {
        // What node says of a tag that does not fit, or of keys and nonces of no use.
        return undefined;
      }
    },
    seal: (mode, key, nonce, aad, plain) => {
      const cipher = createCipheriv(cipherName(mode, key), key, nonce, { authTagLength: TAG });
      cipher.setAAD(aad, mode === 'ccm' ? ({ plaintextLength: plain.length } as never) : undefined);
      const sealed = cipher.update(plain);
      cipher.final();
      return { sealed, tag: cipher.getAuthTag() };
    },
  };
}

/** The types know no one call for both modes. */
function cipherName(mode: 'gcm' | 'ccm', key: Buffer): CipherGCMTypes {
  return `aes-${key.length * 8}-${mode}` as CipherGCMTypes;
}

/** AES-CMAC (RFC 4493): CBC over the message, its last block mixed with a subkey. */
function cmac(key: Buffer, data: Buffer): Buffer {
  const zero = Buffer.alloc(BLOCK);
  const name = `aes-${key.length * 8}-cbc`;
  const subkey = doubled(createCipheriv(name, key, zero).setAutoPadding(false).update(zero));
  const blocks = Math.max(1, Math.ceil(data.length / BLOCK));
  const message = Buffer.alloc(blocks * BLOCK);
  data.copy(message);
  const whole = data.length > 0 && data.length % BLOCK === 0;
  if (!whole) message[data.length] = 0x80;
  const mixed = whole ? subkey : doubled(subkey);
  for (let i = 0; i < BLOCK; i++) message[message.length - BLOCK + i]! ^= mixed[i]!;
  return createCipheriv(name, key, zero).setAutoPadding(false).update(message).subarray(-BLOCK);
}

function doubled(block: Buffer): Buffer {
  const out = Buffer.alloc(BLOCK);
  for (let i = 0; i < BLOCK; i++) out[i] = ((block[i]! << 1) | ((block[i + 1] ?? 0) >> 7)) & 255;
  if ((block[0]! & 0x80) !== 0) out[BLOCK - 1]! ^= 0x87;
  return out;
}
