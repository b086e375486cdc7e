/**
 * The ciphers and digests that a decoder needs when the protocol itself seals or signs (SMB: [MS-SMB2] 3.1.4, NTLMSSP: [MS-NLMP] 3.4).
 * Decoders import nothing of Node, so the driver gives them this; src/crypto implements it.
 */
import type { Buffer } from 'node:buffer';

export interface Crypto {
  hmac(digest: 'md5' | 'sha256', key: Buffer, data: readonly Buffer[]): Buffer;
  digest(name: 'md4' | 'md5' | 'sha512', data: readonly Buffer[]): Buffer;
  rc4(key: Buffer, data: Buffer): Buffer;
  /** One block of 8 bytes with a key of 8, of which the parity bits do not count. */
  des(key: Buffer, block: Buffer): Buffer;
  cmac(key: Buffer, data: readonly Buffer[]): Buffer;
  gmac(key: Buffer, nonce: Buffer, data: readonly Buffer[]): Buffer;
  /** The plain text, or undefined when the tag does not fit. */
  open(cipher: 'gcm' | 'ccm', key: Buffer, nonce: Buffer, aad: Buffer, sealed: Buffer, tag: Buffer): Buffer | undefined;
  seal(cipher: 'gcm' | 'ccm', key: Buffer, nonce: Buffer, aad: Buffer, plain: Buffer): { sealed: Buffer; tag: Buffer };
}
