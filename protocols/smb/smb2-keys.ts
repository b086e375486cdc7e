/** Keys of SMB 2 and 3 sessions ([MS-SMB2] 3.1.4.2, 3.2.5.3), signatures (3.1.4.1) and sealed messages (2.2.41, 3.1.4.3). */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../src/core/crypto.js';

export const DIALECT = { smb202: 0x0202, smb210: 0x0210, smb300: 0x0300, smb302: 0x0302, smb311: 0x0311 } as const;

/** What NEGOTIATE settled. */
export interface Agreement {
  dialect: number;
  /** 1: AES-128-CCM, 2: AES-128-GCM, 3 and 4: the same with 256 bits (2.2.3.1.2). */
  cipher: number;
  /** 0: HMAC-SHA256, 1: AES-CMAC, 2: AES-GMAC (2.2.3.1.7). */
  signing: number;
}

export interface SessionKeys {
  readonly agreement: Agreement;
  readonly signing: Buffer;
  /** What the client sealed, and what the server did; undefined before 3.0. */
  readonly clientSealing: Buffer | undefined;
  readonly serverSealing: Buffer | undefined;
}

/** `preauth`: the hash of the messages so far (3.1.1 only). */
export function deriveKeys(crypto: Crypto, agreement: Agreement, sessionKey: Buffer, preauth: Buffer): SessionKeys {
  const key = Buffer.alloc(16);
  sessionKey.copy(key);
  const { dialect, cipher } = agreement;
  if (dialect < DIALECT.smb300) return { agreement, signing: key, clientSealing: undefined, serverSealing: undefined };
  const length = cipher >= 3 ? 32 : 16;
  // Ciphers of 256 bits take all of a longer session key.
  const whole = cipher >= 3 ? sessionKey : key;
  const derive = (from: Buffer, label: string, context: Buffer | string, bytes: number): Buffer =>
    kdf(
      crypto,
      from,
      `${label}\0`,
      typeof context === 'string' ? Buffer.from(`${context}\0`, 'latin1') : context,
      bytes,
    );
  if (dialect < DIALECT.smb311)
    return {
      agreement: { ...agreement, cipher: 1, signing: 1 },
      signing: derive(key, 'SMB2AESCMAC', 'SmbSign', 16),
      clientSealing: derive(key, 'SMB2AESCCM', 'ServerIn ', 16),
      serverSealing: derive(key, 'SMB2AESCCM', 'ServerOut', 16),
    };
  return {
    agreement,
    signing: derive(key, 'SMBSigningKey', preauth, 16),
    clientSealing: derive(whole, 'SMBC2SCipherKey', preauth, length),
    serverSealing: derive(whole, 'SMBS2CCipherKey', preauth, length),
  };
}

/** SP800-108 in counter mode with HMAC-SHA256; 32 bytes at most come out of one step. */
function kdf(crypto: Crypto, key: Buffer, label: string, context: Buffer, bytes: number): Buffer {
  const one = Buffer.from([0, 0, 0, 1]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes * 8);
  const all = [one, Buffer.from(label, 'latin1'), Buffer.from([0]), context, length];
  return crypto.hmac('sha256', key, all).subarray(0, bytes);
}

/** Is the signature of one message right? `message` is all of it, with its padding in a compound. */
export function signatureFits(crypto: Crypto, keys: SessionKeys, message: Buffer): boolean {
  return signature(crypto, keys, message).equals(message.subarray(48, 64));
}

/** Puts the signature into a message whose flag says that it has one. */
export function sign(crypto: Crypto, keys: SessionKeys, message: Buffer): void {
  signature(crypto, keys, message).copy(message, 48);
}

function signature(crypto: Crypto, { agreement, signing }: SessionKeys, message: Buffer): Buffer {
  const zeroed = Buffer.from(message);
  zeroed.fill(0, 48, 64);
  let made: Buffer;
  if (agreement.dialect < DIALECT.smb300) made = crypto.hmac('sha256', signing, [zeroed]);
  else if (agreement.signing === 2) {
    // Message id, then whether the server sent it and whether it is a CANCEL.
    const nonce = Buffer.alloc(12);
    message.copy(nonce, 0, 24, 32);
    nonce[8] = (message.readUInt32LE(16) & 1) | (message.readUInt16LE(12) === 0x0c ? 2 : 0);
    made = crypto.gmac(signing, nonce, [zeroed]);
  } else made = crypto.cmac(signing, [zeroed]);
  return made.subarray(0, 16);
}

export const TRANSFORM_HEADER = 52;

/** What a sealed message holds; undefined when it does not open. `message` begins with its transform header. */
export function openSealed(
  crypto: Crypto,
  { agreement }: SessionKeys,
  key: Buffer,
  message: Buffer,
): Buffer | undefined {
  const gcm = isGcm({ agreement });
  const nonce = message.subarray(20, 20 + (gcm ? 12 : 11));
  const sealed = message.subarray(TRANSFORM_HEADER);
  if (message.readUInt32LE(36) !== sealed.length) return undefined;
  return crypto.open(
    gcm ? 'gcm' : 'ccm',
    key,
    nonce,
    message.subarray(20, TRANSFORM_HEADER),
    sealed,
    message.subarray(4, 20),
  );
}

/** GCM takes 12 bytes of nonce, CCM 11. */
export function isGcm({ agreement }: Pick<SessionKeys, 'agreement'>): boolean {
  return agreement.cipher === 2 || agreement.cipher === 4;
}

/** Seals one message, with its transform header in front. */
export function sealed(crypto: Crypto, keys: SessionKeys, key: Buffer, nonce: Buffer, message: Buffer): Buffer {
  const header = Buffer.alloc(TRANSFORM_HEADER);
  header.writeUInt32BE(0xfd53_4d42, 0);
  nonce.copy(header, 20);
  header.writeUInt32LE(message.length, 36);
  header.writeUInt16LE(1, 42);
  message.copy(header, 44, 40, 48);
  const made = crypto.seal(isGcm(keys) ? 'gcm' : 'ccm', key, nonce, header.subarray(20), message);
  made.tag.copy(header, 4);
  return Buffer.concat([header, made.sealed]);
}
