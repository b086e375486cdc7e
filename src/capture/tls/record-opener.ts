/**
 * Opens the records of one direction under one set of keys, and counts them. A record whose tag or MAC does not fit gives nothing: no byte
 * is handed on that was not authenticated.
 */
import { Buffer } from 'node:buffer';
import { type CipherGCMTypes, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { type CipherSuite, cipherSuite } from '../../../protocols/tls/cipher-suites.js';
import { expandLabel } from './schedule.js';

/** A record as it lies on the wire. */
export interface SealedRecord {
  readonly type: number;
  /** Of the record, not of the connection. */
  readonly version: number;
  /** Without its header. */
  readonly body: Buffer;
}

export interface OpenedRecord {
  readonly type: number;
  readonly text: Buffer;
}

export interface RecordOpener {
  /** Number of the next record. */
  sequence: number;
  /** Undefined when it does not fit; the number stays. */
  open(record: SealedRecord): OpenedRecord | undefined;
}

/** RFC 8446 §B.4. */
const TLS_AES_128_GCM = 0x1301;
const TLS_AES_256_GCM = 0x1302;
const TLS_CHACHA20 = 0x1303;
const TLS_AES_128_CCM = 0x1304;
const TLS_AES_128_CCM_8 = 0x1305;
const EXPLICIT_NONCE = 8;
const AEAD_IV = 12;

/** Keys of TLS 1.2 and before, of one direction. */
export interface DirectionKeys {
  readonly mac: Buffer;
  readonly key: Buffer;
  readonly iv: Buffer;
}

/** How many bytes of each a suite takes in `version`. */
export function keyLengths({ cipher, mac }: CipherSuite, version: number): { mac: number; key: number; iv: number } {
  const macLength = mac === undefined ? 0 : { md5: 16, sha1: 20, sha256: 32, sha384: 48 }[mac];
  if (cipher === undefined) return { mac: macLength, key: 0, iv: 0 };
  if (cipher.mode === 'cbc') return { mac: macLength, key: cipher.keyLength, iv: version <= 0x0301 ? cipher.block : 0 };
  return { mac: 0, key: cipher.keyLength, iv: cipher.mode === 'chacha20-poly1305' ? AEAD_IV : 4 };
}

export function openerBefore13(
  suite: CipherSuite,
  version: number,
  keys: DirectionKeys,
  encryptThenMac: boolean,
): RecordOpener {
  if (suite.cipher === undefined) return new NullOpener(suite, keys);
  if (suite.cipher.mode === 'cbc') return new CbcOpener(suite, version, keys, encryptThenMac);
  return new AeadOpener(suite, keys);
}

/** Of TLS 1.3: the traffic secret gives the keys. */
export function opener13(suite: CipherSuite, secret: Buffer): RecordOpener | undefined {
  return suite.cipher === undefined ? undefined : new Opener13(suite, secret);
}

/** Of data before the handshake, whose suite is that of an earlier session and named nowhere: the one by which its first record opens. */
export function earlyOpener(secret: Buffer): RecordOpener {
  const suites =
    secret.length === 48 ? [TLS_AES_256_GCM] : [TLS_AES_128_GCM, TLS_CHACHA20, TLS_AES_128_CCM, TLS_AES_128_CCM_8];
  return new FirstThatOpens(
    suites
      .map((suite) => cipherSuite(suite))
      .flatMap((suite) => (suite === undefined ? [] : [new Opener13(suite, secret)])),
  );
}

/** RFC 5288, 6655, 7905. */
class AeadOpener implements RecordOpener {
  sequence = 0;
  readonly #suite: CipherSuite;
  readonly #keys: DirectionKeys;
  readonly #explicit: number;
  readonly #nonce = Buffer.alloc(AEAD_IV);
  readonly #aad = Buffer.alloc(13);

  constructor(suite: CipherSuite, keys: DirectionKeys) {
    this.#suite = suite;
    this.#keys = keys;
    this.#explicit = suite.cipher?.mode === 'chacha20-poly1305' ? 0 : EXPLICIT_NONCE;
  }

  open({ type, version, body }: SealedRecord): OpenedRecord | undefined {
    const cipher = this.#suite.cipher!;
    const length = body.length - this.#explicit - cipher.tagLength;
    if (length < 0) return undefined;
    if (this.#explicit === 0) xored(this.#nonce, this.#keys.iv, this.sequence);
    else {
      this.#keys.iv.copy(this.#nonce);
      body.copy(this.#nonce, 4, 0, EXPLICIT_NONCE);
    }
    putSequence(this.#aad, this.sequence);
    this.#aad[8] = type;
    this.#aad.writeUInt16BE(version, 9);
    this.#aad.writeUInt16BE(length, 11);
    const text = openAead(this.#suite, this.#keys.key, this.#nonce, this.#aad, body.subarray(this.#explicit));
    if (text === undefined) return undefined;
    this.sequence++;
    return { type, text };
  }
}

/** RFC 8446 §5.2. */
class Opener13 implements RecordOpener {
  sequence = 0;
  readonly #suite: CipherSuite;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  readonly #nonce = Buffer.alloc(AEAD_IV);
  readonly #aad = Buffer.alloc(5);

  constructor(suite: CipherSuite, secret: Buffer) {
    this.#suite = suite;
    this.#key = expandLabel(suite.hash, secret, 'key', suite.cipher!.keyLength);
    this.#iv = expandLabel(suite.hash, secret, 'iv', AEAD_IV);
  }

  open({ type, version, body }: SealedRecord): OpenedRecord | undefined {
    if (body.length < this.#suite.cipher!.tagLength + 1) return undefined;
    xored(this.#nonce, this.#iv, this.sequence);
    this.#aad[0] = type;
    this.#aad.writeUInt16BE(version, 1);
    this.#aad.writeUInt16BE(body.length, 3);
    const padded = openAead(this.#suite, this.#key, this.#nonce, this.#aad, body);
    if (padded === undefined) return undefined;
    this.sequence++;
    // The type is behind the text, zeros are padding.
    let end = padded.length - 1;
    while (end >= 0 && padded[end] === 0) end--;
    return end < 0 ? undefined : { type: padded[end] ?? 0, text: padded.subarray(0, end) };
  }
}

class FirstThatOpens implements RecordOpener {
  sequence = 0;
  #openers: readonly RecordOpener[];

  constructor(openers: readonly RecordOpener[]) {
    this.#openers = openers;
  }

  open(record: SealedRecord): OpenedRecord | undefined {
    for (const opener of this.#openers) {
      opener.sequence = this.sequence;
      const opened = opener.open(record);
      if (opened === undefined) continue;
      this.#openers = [opener];
      this.sequence = opener.sequence;
      return opened;
    }
    return undefined;
  }
}

/** RFC 5246 §6.2.3.2, and RFC 7366 where the MAC is made of what is encrypted. Before TLS 1.1 a record's last block is the next one's IV. */
class CbcOpener implements RecordOpener {
  sequence = 0;
  readonly #suite: CipherSuite;
  readonly #version: number;
  readonly #keys: DirectionKeys;
  readonly #encryptThenMac: boolean;
  #iv: Buffer;

  constructor(suite: CipherSuite, version: number, keys: DirectionKeys, encryptThenMac: boolean) {
    this.#suite = suite;
    this.#version = version;
    this.#keys = keys;
    this.#encryptThenMac = encryptThenMac;
    this.#iv = keys.iv;
  }

  open({ type, version, body }: SealedRecord): OpenedRecord | undefined {
    const { cipher, mac } = this.#suite;
    const { block, name } = cipher!;
    const macLength = this.#keys.mac.length;
    const sealed = this.#encryptThenMac ? body.subarray(0, Math.max(0, body.length - macLength)) : body;
    const explicit = this.#version >= 0x0302;
    if (sealed.length === 0 || sealed.length % block !== 0 || (explicit && sealed.length < 2 * block)) return undefined;
    if (this.#encryptThenMac && !fits(this.#mac(mac!, type, version, sealed), body.subarray(sealed.length)))
      return undefined;
    const iv = explicit ? sealed.subarray(0, block) : this.#iv;
    const decipher = createDecipheriv(name, this.#keys.key, iv).setAutoPadding(false);
    const plain = Buffer.concat([decipher.update(explicit ? sealed.subarray(block) : sealed), decipher.final()]);
    const padding = (plain.at(-1) ?? 0) + 1;
    const end = plain.length - padding - (this.#encryptThenMac ? 0 : macLength);
    if (end < 0) return undefined;
    if (this.#version > 0x0300)
      for (let i = plain.length - padding; i < plain.length; i++) if (plain[i] !== padding - 1) return undefined;
    const text = plain.subarray(0, end);
    if (!this.#encryptThenMac && !fits(this.#mac(mac!, type, version, text), plain.subarray(end, end + macLength)))
      return undefined;
    if (!explicit) this.#iv = Buffer.from(sealed.subarray(sealed.length - block));
    this.sequence++;
    return { type, text };
  }

  #mac(hash: string, type: number, version: number, bytes: Buffer): Buffer {
    return recordMac(hash, this.#keys.mac, this.sequence, type, version, bytes);
  }
}

/** Suites that only authenticate. */
class NullOpener implements RecordOpener {
  sequence = 0;
  readonly #hash: string;
  readonly #key: Buffer;

  constructor(suite: CipherSuite, keys: DirectionKeys) {
    this.#hash = suite.mac ?? 'sha1';
    this.#key = keys.mac;
  }

  open({ type, version, body }: SealedRecord): OpenedRecord | undefined {
    const end = body.length - this.#key.length;
    if (end < 0) return undefined;
    const text = body.subarray(0, end);
    if (!fits(recordMac(this.#hash, this.#key, this.sequence, type, version, text), body.subarray(end)))
      return undefined;
    this.sequence++;
    return { type, text };
  }
}

function recordMac(hash: string, key: Buffer, sequence: number, type: number, version: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(13);
  putSequence(head, sequence);
  head[8] = type;
  head.writeUInt16BE(version, 9);
  head.writeUInt16BE(bytes.length, 11);
  return createHmac(hash, key).update(head).update(bytes).digest();
}

/** `sealed` ends in its tag. */
function openAead(
  { cipher }: CipherSuite,
  key: Buffer,
  nonce: Buffer,
  aad: Buffer,
  sealed: Buffer,
): Buffer | undefined {
  const { name, mode, tagLength } = cipher!;
  const end = sealed.length - tagLength;
  try {
    // The types know no one call for all of them.
    const decipher = createDecipheriv(name as CipherGCMTypes, key, nonce, { authTagLength: tagLength });
    decipher.setAuthTag(sealed.subarray(end));
    decipher.setAAD(aad, mode === 'ccm' ? ({ plaintextLength: end } as never) : undefined);
    const text = decipher.update(sealed.subarray(0, end));
    decipher.final();
    return text;
  } catch {
    // What node says of a tag that does not fit.
    return undefined;
  }
}

function fits(wanted: Buffer, got: Buffer): boolean {
  return wanted.length === got.length && timingSafeEqual(wanted, got);
}

function xored(nonce: Buffer, iv: Buffer, sequence: number): void {
  iv.copy(nonce);
  const high = Math.floor(sequence / 2 ** 32);
  nonce.writeUInt32BE((nonce.readUInt32BE(4) ^ high) >>> 0, 4);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ (sequence >>> 0)) >>> 0, 8);
}

function putSequence(into: Buffer, sequence: number): void {
  into.writeUInt32BE(Math.floor(sequence / 2 ** 32), 0);
  into.writeUInt32BE(sequence >>> 0, 4);
}
