/** ClientHello and ServerHello (RFC 5246 §7.4.1, RFC 8446 §4.1): what the two ends agree on, and the name that the client asks for. */
import type { Buffer } from 'node:buffer';

export interface ClientHello {
  readonly random: Buffer;
  readonly sessionId: Buffer;
  readonly serverName: string | undefined;
  /** It has a server name that is none (RFC 6066 §3): empty, too long, or with bytes that no host's name has. */
  readonly badName: boolean;
  /** RFC 5077; empty when the client has none. */
  readonly ticket: Buffer | undefined;
  /** The client sends data before the server has spoken (0-RTT). */
  readonly earlyData: boolean;
  /** The protocols that the client offers to speak inside (RFC 7301), its most wanted first. */
  readonly alpn: readonly string[];
  /** Its real hello is sealed for a server behind this one (ECH). Some clients send noise there. */
  readonly encryptedHello: boolean;
}

export interface ServerHello {
  /** 0x0303 is TLS 1.2. */
  readonly version: number;
  readonly random: Buffer;
  readonly sessionId: Buffer;
  readonly suite: number;
  readonly extendedMasterSecret: boolean;
  readonly encryptThenMac: boolean;
  /** It asks for another ClientHello (RFC 8446 §4.1.4). */
  readonly retry: boolean;
}

const RANDOM = 32;
const EXTENSION = {
  serverName: 0,
  encryptThenMac: 22,
  extendedMasterSecret: 23,
  sessionTicket: 35,
  alpn: 16,
  earlyData: 42,
  supportedVersions: 43,
  encryptedHello: 0xfe0d,
} as const;
/** SHA-256 of "HelloRetryRequest". */
const RETRY = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

/** `body` is the handshake message without its header. Undefined when it is none; buffers are copies. */
export function parseClientHello(body: Buffer): ClientHello | undefined {
  const reader = new Reader(body);
  reader.skip(2);
  const random = reader.take(RANDOM);
  const sessionId = reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  if (random === undefined || sessionId === undefined || reader.failed) return undefined;
  let serverName: string | undefined;
  let badName = false;
  let ticket: Buffer | undefined;
  let earlyData = false;
  let encryptedHello = false;
  let alpn: readonly string[] = [];
  for (const [type, data] of reader.extensions()) {
    if (type === EXTENSION.serverName) {
      serverName = nameIn(data);
      badName = serverName === undefined;
    } else if (type === EXTENSION.sessionTicket) ticket = copy(data);
    else if (type === EXTENSION.earlyData) earlyData = true;
    else if (type === EXTENSION.encryptedHello) encryptedHello = true;
    else if (type === EXTENSION.alpn) alpn = namesIn(data);
  }
  return {
    random: copy(random),
    sessionId: copy(sessionId),
    serverName,
    badName,
    ticket,
    earlyData,
    alpn,
    encryptedHello,
  };
}

export function parseServerHello(body: Buffer): ServerHello | undefined {
  const reader = new Reader(body);
  const legacy = reader.number(2);
  const random = reader.take(RANDOM);
  const sessionId = reader.vector(1);
  const suite = reader.number(2);
  reader.skip(1);
  if (random === undefined || sessionId === undefined || reader.failed) return undefined;
  let version = legacy;
  let extendedMasterSecret = false;
  let encryptThenMac = false;
  for (const [type, data] of reader.extensions()) {
    if (type === EXTENSION.supportedVersions && data.length === 2) version = data.readUInt16BE(0);
    else if (type === EXTENSION.extendedMasterSecret) extendedMasterSecret = true;
    else if (type === EXTENSION.encryptThenMac) encryptThenMac = true;
  }
  const retry = random.toString('hex') === RETRY;
  return {
    version,
    random: copy(random),
    sessionId: copy(sessionId),
    suite,
    extendedMasterSecret,
    encryptThenMac,
    retry,
  };
}

/** Of EncryptedExtensions (RFC 8446 §4.2.10): the server reads the data that came before the handshake. */
export function takesEarlyData(body: Buffer): boolean {
  for (const [type] of new Reader(body).extensions()) if (type === EXTENSION.earlyData) return true;
  return false;
}

/** `TLS 1.3` */
export function versionName(version: number): string | undefined {
  switch (version) {
    case 0x0300:
      return 'SSL 3.0';
    case 0x0301:
      return 'TLS 1.0';
    case 0x0302:
      return 'TLS 1.1';
    case 0x0303:
      return 'TLS 1.2';
    case 0x0304:
      return 'TLS 1.3';
    default:
      return undefined;
  }
}

/** RFC 6066 §3: the host name in a list of names; a name that is none is not repeated in logs. */
function nameIn(data: Buffer): string | undefined {
  if (data.length < 5 || data[2] !== 0) return undefined;
  const name = data.toString('latin1', 5, 5 + data.readUInt16BE(3));
  return /^[A-Za-z0-9._-]{1,255}$/.test(name) ? name : undefined;
}

/** RFC 7301 §3.1. */
function namesIn(data: Buffer): string[] {
  const names: string[] = [];
  const reader = new Reader(data.subarray(2));
  while (!reader.failed && names.length < 32) {
    const name = reader.vector(1);
    if (name === undefined || name.length === 0) break;
    names.push(name.toString('latin1'));
  }
  return names;
}

function copy(bytes: Buffer): Buffer {
  return Uint8Array.prototype.slice.call(bytes) as Buffer;
}

/** Reads fields in order; past the end everything is empty and `failed` is set. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  failed = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer | undefined {
    if (this.#at + length > this.#bytes.length) {
      this.failed = true;
      return undefined;
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  skip(length: number): void {
    this.take(length);
  }

  number(length: number): number {
    const bytes = this.take(length);
    return bytes === undefined ? 0 : bytes.readUIntBE(0, length);
  }

  vector(lengthBytes: number): Buffer | undefined {
    return this.take(this.number(lengthBytes));
  }

  *extensions(): Generator<readonly [type: number, data: Buffer]> {
    if (this.#at === this.#bytes.length) return;
    const all = this.vector(2);
    if (all === undefined) return;
    const reader = new Reader(all);
    while (!reader.failed && reader.#at < all.length) {
      const type = reader.number(2);
      const data = reader.vector(2);
      if (data !== undefined) yield [type, data];
    }
  }
}
