/**
 * TLS out of a recording (RFC 5246, RFC 8446, and 1.0 and 1.1): follows the handshakes, takes the secrets of each from a key log, and hands on
 * what the records hold, one at a time and only when their MAC or tag fits. Resumption, renegotiation, key updates and early data are
 * followed; behind missing bytes the next record that opens is looked for. Without keys it still reads what the ends agreed on.
 */
import { Buffer } from 'node:buffer';
import { type CipherSuite, cipherSuite, suiteName } from '../../../protocols/tls/cipher-suites.js';
import type { TlsEvent } from '../../../protocols/tls/events.js';
import {
  type ClientHello,
  parseClientHello,
  parseServerHello,
  type ServerHello,
  takesEarlyData,
  versionName,
} from '../../../protocols/tls/hello.js';
import { CLIENT, SERVER, type Side } from '../../core/flow.js';
import { KiB, type Limits } from '../../core/limits.js';
import type { LayerInner, PassiveLayer } from '../../flow/engine.js';
import type { LayerEvents } from '../layer-factory.js';
import type { KeyLog, SecretLabel } from './key-log.js';
import {
  earlyOpener,
  keyLengths,
  type OpenedRecord,
  opener13,
  openerBefore13,
  type RecordOpener,
  type SealedRecord,
} from './record-opener.js';
import { expandLabel, keyBlock, masterSecret } from './schedule.js';

const HEADER = 5;
/** RFC 5246 §6.2.3: what encryption may add. */
const LONGEST = 16 * KiB + 2 * KiB;
const TYPE = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23, heartbeat: 24 } as const;
const HANDSHAKE = {
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  endOfEarlyData: 5,
  encryptedExtensions: 8,
  clientKeyExchange: 16,
  finished: 20,
  keyUpdate: 24,
} as const;
const CLOSE_NOTIFY = 0;
const TLS12 = 0x0303;
const TLS13 = 0x0304;
/** Records that may have been lost in missing bytes, which are tried to find the next. */
const MOST_LOST = 256;
/** How far the next record is looked for behind missing bytes. */
const HUNT = 64 * KiB;
const NOTHING: Buffer = Buffer.alloc(0);
const TRAFFIC = ['CLIENT_TRAFFIC_SECRET_0', 'SERVER_TRAFFIC_SECRET_0'] as const;

/** Master secrets by session id and ticket: of sessions that are resumed without their secret being logged again. One a capture. */
export class SessionCache {
  readonly #limit: number;
  readonly #masters = new Map<string, Buffer>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  remember(key: Buffer, master: Buffer): void {
    if (key.length === 0) return;
    if (this.#masters.size >= this.#limit) this.#masters.delete(this.#masters.keys().next().value ?? '');
    this.#masters.set(key.toString('latin1'), master);
  }

  master(key: Buffer | undefined): Buffer | undefined {
    return key === undefined || key.length === 0 ? undefined : this.#masters.get(key.toString('latin1'));
  }
}

export interface TlsLayerOptions {
  readonly keys: KeyLog;
  readonly sessions: SessionCache;
  readonly limits: Pick<Limits, 'tlsHandshake'>;
  readonly inner: LayerInner;
  readonly events: LayerEvents;
}

/** One direction. */
interface Direction {
  /** Of a record whose rest has not come. */
  rest: Buffer;
  /** Bytes read, missing ones counted, up to the end of the record that is handed on. */
  position: number;
  opener: RecordOpener | undefined;
  /** Keys that are used from ChangeCipherSpec on. */
  next: RecordOpener | undefined;
  /** TLS 1.3: what the keys come from, for updates, and whether it is the handshake's still. */
  secret: Buffer | undefined;
  handshaking: boolean;
  handshake: Buffer;
  /** It said close_notify: what follows, if anything, is clear text. */
  closed: boolean;
  /** Bytes are missing: the next record is looked for. */
  hunting: boolean;
  /** Bytes were missing: a change of keys may have been among them. */
  gapped: boolean;
  /** A record did not open: nothing of this direction is read any more. */
  broken: boolean;
  encrypted: boolean;
}

interface Keys {
  readonly opener: RecordOpener;
  readonly secret: Buffer | undefined;
  readonly handshaking: boolean;
}

/** Data before the handshake (0-RTT): what the client sent of it, until the server says whether it takes it. */
interface EarlyData {
  /** Undefined when its keys were not logged. */
  readonly opener: RecordOpener | undefined;
  held: Buffer[];
  length: number;
  /** There is more of it, behind what is held, that could not be read. */
  missing: boolean;
  taken: boolean | undefined;
}

export class TlsLayer implements PassiveLayer {
  readonly #options: TlsLayerOptions;
  readonly #directions: readonly [Direction, Direction] = [direction(), direction()];
  #client: ClientHello | undefined;
  #server: ServerHello | undefined;
  #suite: CipherSuite | undefined;
  #master: Buffer | undefined;
  /** Handshake messages up to ClientKeyExchange, where the log has only premaster secrets. */
  #transcript: Buffer[] = [];
  #transcriptLength = 0;
  #opaque = false;
  #early: EarlyData | undefined;
  #facts: { version: string | undefined; cipher: string | undefined; sni: string | undefined; decrypted: boolean } = {
    version: undefined,
    cipher: undefined,
    sni: undefined,
    decrypted: false,
  };

  constructor(options: TlsLayerOptions) {
    this.#options = options;
    this.#tell();
  }

  receive(side: Side, chunk: Buffer): void {
    const of = this.#directions[side];
    let bytes = chunk;
    if (of.rest.length > 0) {
      bytes = Buffer.concat([of.rest, chunk]);
      of.rest = NOTHING;
    }
    let at = 0;
    while (at < bytes.length) {
      if (of.hunting && !of.broken) {
        const found = this.#hunt(side, of, bytes, at);
        if (found < 0) break;
        of.position += found - at;
        at = found;
      }
      const taken = this.#record(side, of, bytes, at);
      if (taken === 0) break;
      at += taken;
    }
    if (at < bytes.length) of.rest = Buffer.from(bytes.subarray(at));
  }

  gap(side: Side, length: number): void {
    const of = this.#directions[side];
    of.position += of.rest.length + length;
    of.rest = NOTHING;
    of.handshake = NOTHING;
    this.#odd('tls-gap', side);
    // Without its handshake nothing can be opened.
    if (of.opener === undefined && of.next === undefined) {
      of.broken = this.#server !== undefined;
      this.#giveUp();
      return;
    }
    of.hunting = true;
    of.gapped = true;
    this.#options.inner.gap(side, 0);
  }

  end(side: Side): void {
    const of = this.#directions[side];
    if (!of.closed && of.encrypted) this.#odd('tls-truncated', side);
    if (this.#client === undefined && this.#server === undefined) this.#giveUp();
  }

  over(side: Side): boolean {
    return this.#directions[side].closed;
  }

  position(side: Side): number {
    return this.#directions[side].position;
  }

  // ── Records ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes one record from `at` on: its length, or 0 when it is not all there. */
  #record(side: Side, of: Direction, bytes: Buffer, at: number): number {
    if (of.closed && !looksLikeRecord(bytes, at)) {
      // RFC 4217 §12.3 (CCC): clear text again.
      of.position += bytes.length - at;
      this.#options.inner.receive(side, bytes.subarray(at));
      return bytes.length - at;
    }
    if (of.broken) {
      of.position += bytes.length - at;
      return bytes.length - at;
    }
    if (bytes.length - at < HEADER) return 0;
    if (!looksLikeRecord(bytes, at)) {
      of.broken = true;
      this.#odd('tls-desync', side);
      this.#options.inner.opaque('desync');
      return 0;
    }
    const end = at + HEADER + bytes.readUInt16BE(at + 3);
    if (end > bytes.length) return 0;
    of.position += end - at;
    const record = sealedAt(bytes, at, end);
    if (of.opener === undefined) this.#plain(side, of, record);
    else if (record.type === TYPE.changeCipherSpec && this.#isTls13(of)) return end - at;
    else this.#sealed(side, of, record);
    return end - at;
  }

  /** Early data is of no other version, though the server has not said so yet. */
  #isTls13(of: Direction): boolean {
    return this.#server === undefined ? of.opener === this.#early?.opener : this.#server.version === TLS13;
  }

  /** A record before there are keys. */
  #plain(side: Side, of: Direction, { type, body }: SealedRecord): void {
    switch (type) {
      case TYPE.handshake:
        this.#handshake(side, of, body);
        break;
      case TYPE.alert:
        of.closed = body.length === 2 && body[1] === CLOSE_NOTIFY;
        break;
      case TYPE.changeCipherSpec:
        if (this.#server !== undefined && this.#server.version < TLS13) this.#activate(of);
        break;
      default:
        of.encrypted = true;
        // Early data comes before the server has said anything, or before it is heard that the server asks for another hello.
        if (this.#early !== undefined && side === CLIENT && (this.#server === undefined || this.#server.retry))
          this.#earlyUnread(this.#early);
        else this.#giveUp();
    }
  }

  #sealed(side: Side, of: Direction, record: SealedRecord): void {
    const opened =
      of.opener?.open(record) ?? this.#withNextKeys(side, of, record) ?? this.#withLaterKeys(side, of, record);
    if (opened === undefined) {
      // Early data whose keys nobody logged is followed by records that open.
      if (side === CLIENT && this.#early !== undefined && of.opener?.sequence === 0)
        return this.#earlyUnread(this.#early);
      of.broken = true;
      this.#odd('tls-bad-record', side);
      this.#options.inner.gap(side, 0);
      this.#options.inner.opaque('desync');
      return;
    }
    this.#opened(side, of, opened);
  }

  /** TLS 1.3: early data has ended without our seeing it, and the handshake's keys are used. */
  #withNextKeys(side: Side, of: Direction, record: SealedRecord): OpenedRecord | undefined {
    if (side !== CLIENT || this.#server?.version !== TLS13 || of.next === undefined) return undefined;
    const opened = of.next.open(record);
    if (opened === undefined) return undefined;
    of.opener = of.next;
    of.next = undefined;
    return opened;
  }

  /** The change to the keys of this record was lost. */
  #withLaterKeys(side: Side, of: Direction, record: SealedRecord): OpenedRecord | undefined {
    const keys = of.gapped ? this.#keysOf(side, of).find(({ opener }) => opensBehind(opener, record)) : undefined;
    if (keys === undefined) return undefined;
    this.#use(of, keys);
    return keys.opener.open(record);
  }

  #opened(side: Side, of: Direction, { type, text }: OpenedRecord): void {
    switch (type) {
      case TYPE.data:
        of.encrypted = true;
        if (text.length === 0) break;
        if (side === CLIENT && this.#early !== undefined && of.opener === this.#early.opener)
          this.#earlyData(this.#early, text);
        else {
          if (side === CLIENT) this.#forgetEarly();
          this.#options.inner.receive(side, text);
        }
        break;
      case TYPE.handshake:
        // Behind missing bytes nobody knows where a message of a long flight begins.
        if (!of.gapped || !of.handshaking) this.#handshake(side, of, text);
        break;
      case TYPE.alert:
        of.closed ||= text.length === 2 && text[1] === CLOSE_NOTIFY;
        break;
      case TYPE.changeCipherSpec:
        this.#activate(of);
        break;
    }
  }

  /** Where behind missing bytes a record begins that opens; -1: not in what is here. */
  #hunt(side: Side, of: Direction, bytes: Buffer, from: number): number {
    const candidates = this.#keysOf(side, of);
    for (let at = from; at + HEADER <= bytes.length; at++) {
      if (!looksLikeRecord(bytes, at)) continue;
      const end = at + HEADER + bytes.readUInt16BE(at + 3);
      // Not all here yet: it may be the one.
      if (end > bytes.length) {
        if (at - from < HUNT) return -1;
        continue;
      }
      const record = sealedAt(bytes, at, end);
      const keys = candidates.find(({ opener }) => opensBehind(opener, record));
      if (keys === undefined) continue;
      // It is read again, by whoever reads records.
      this.#use(of, keys);
      of.hunting = false;
      return at;
    }
    if (bytes.length - from > HUNT) {
      of.broken = true;
      this.#odd('tls-desync', side);
      this.#options.inner.opaque('desync');
    }
    return -1;
  }

  /** The keys that a record behind missing bytes may be sealed with: those in use, and what may have come next. */
  #keysOf(side: Side, of: Direction): Keys[] {
    const { secret, handshaking } = of;
    const keys: Keys[] = [];
    for (const opener of [of.opener, of.next]) if (opener !== undefined) keys.push({ opener, secret, handshaking });
    if (secret === undefined || this.#suite === undefined || this.#client === undefined) return keys;
    const later = handshaking
      ? this.#options.keys.secret(TRAFFIC[side], this.#client.random)
      : expandLabel(this.#suite.hash, secret, 'traffic upd', secret.length);
    const opener = later === undefined ? undefined : opener13(this.#suite, later);
    if (opener !== undefined) keys.push({ opener, secret: later, handshaking: false });
    return keys;
  }

  #use(of: Direction, { opener, secret, handshaking }: Keys): void {
    if (of.opener !== opener) of.next = undefined;
    of.opener = opener;
    of.secret = secret;
    of.handshaking = handshaking;
    of.encrypted = true;
    if (!handshaking && of === this.#directions[SERVER]) this.#forgetEarly();
  }

  #activate(of: Direction): void {
    of.encrypted = true;
    if (of.next === undefined) {
      this.#giveUp();
      of.broken = true;
      return;
    }
    of.opener = of.next;
    of.next = undefined;
  }

  // ── Handshakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes of handshake messages, which may be cut and joined by records as it pleases. */
  #handshake(side: Side, of: Direction, bytes: Buffer): void {
    const all = of.handshake.length === 0 ? bytes : Buffer.concat([of.handshake, bytes]);
    let at = 0;
    while (all.length - at >= 4) {
      const end = at + 4 + all.readUIntBE(at + 1, 3);
      if (end - at > this.#options.limits.tlsHandshake) {
        this.#odd('tls-handshake-too-long', side);
        of.broken = true;
        this.#giveUp();
        return;
      }
      if (end > all.length) break;
      this.#message(side, of, all.subarray(at, end));
      at = end;
    }
    of.handshake = at === all.length ? NOTHING : Buffer.from(all.subarray(at));
  }

  #message(side: Side, of: Direction, message: Buffer): void {
    const body = message.subarray(4);
    const type: number = message[0] ?? -1;
    if (this.#transcriptLength < this.#options.limits.tlsHandshake) {
      this.#transcriptLength += message.length;
      this.#transcript.push(Buffer.from(message));
    }
    switch (type) {
      case HANDSHAKE.clientHello:
        if (side === CLIENT) this.#clientHello(body, message);
        break;
      case HANDSHAKE.serverHello:
        if (side === SERVER) this.#serverHello(body);
        break;
      case HANDSHAKE.clientKeyExchange:
        if (side === CLIENT && this.#master === undefined) this.#premaster(body);
        break;
      case HANDSHAKE.newSessionTicket:
        if (this.#server !== undefined && this.#server.version < TLS13 && this.#master !== undefined && body.length > 6)
          this.#options.sessions.remember(Buffer.from(body.subarray(6)), this.#master);
        break;
      case HANDSHAKE.encryptedExtensions:
        if (side === SERVER && this.#server?.version === TLS13) this.#decideEarly(takesEarlyData(body));
        break;
      case HANDSHAKE.endOfEarlyData:
        if (this.#server?.version === TLS13 && of.next !== undefined) this.#activate(of);
        break;
      case HANDSHAKE.finished:
        if (this.#server?.version === TLS13) this.#use13(side, of, TRAFFIC[side]);
        break;
      case HANDSHAKE.keyUpdate:
        if (this.#server?.version === TLS13 && of.secret !== undefined && this.#suite !== undefined) {
          of.secret = expandLabel(this.#suite.hash, of.secret, 'traffic upd', of.secret.length);
          of.opener = opener13(this.#suite, of.secret);
        }
        break;
    }
  }

  #clientHello(body: Buffer, message: Buffer): void {
    const hello = parseClientHello(body);
    if (hello === undefined) return;
    // The second one after a HelloRetryRequest goes on with the same handshake.
    const again = this.#server?.retry === true;
    if (!again) {
      this.#transcript = [Buffer.from(message)];
      this.#transcriptLength = message.length;
    }
    this.#client = hello;
    this.#server = again ? this.#server : undefined;
    this.#master = undefined;
    if (!again) this.#early = undefined;
    this.#facts.sni = hello.serverName ?? this.#facts.sni;
    this.#tell();
    // Only the first hello of a connection has any.
    if (!hello.earlyData || again || this.#directions[CLIENT].opener !== undefined) return;
    const secret = this.#options.keys.secret('CLIENT_EARLY_TRAFFIC_SECRET', hello.random);
    const opener = secret === undefined ? undefined : earlyOpener(secret);
    this.#early = { opener, held: [], length: 0, missing: false, taken: undefined };
    this.#directions[CLIENT].opener = opener;
  }

  #serverHello(body: Buffer): void {
    const hello = parseServerHello(body);
    if (hello === undefined) return;
    this.#server = hello;
    this.#facts.version = versionName(hello.version) ?? this.#facts.version;
    this.#facts.cipher = suiteName(hello.suite);
    this.#tell();
    if (hello.retry) {
      // RFC 8446 §4.2.10: then it takes no early data, and the client's second hello is in clear.
      this.#decideEarly(false);
      if (this.#early !== undefined) this.#directions[CLIENT].opener = undefined;
      return;
    }
    this.#suite = cipherSuite(hello.suite);
    if (hello.version === TLS13) {
      const client = this.#directions[CLIENT];
      this.#use13(SERVER, this.#directions[SERVER], 'SERVER_HANDSHAKE_TRAFFIC_SECRET');
      // Early data is still under way: the handshake's keys come behind it.
      const early = client.opener;
      this.#use13(CLIENT, client, 'CLIENT_HANDSHAKE_TRAFFIC_SECRET');
      if (early !== undefined && client.opener !== undefined) {
        client.next = client.opener;
        client.opener = early;
      }
      return;
    }
    const { keys, sessions } = this.#options;
    const client = this.#client;
    if (client === undefined) return;
    const resumed = hello.sessionId.length > 0 && hello.sessionId.equals(client.sessionId);
    const master =
      keys.secret('CLIENT_RANDOM', client.random) ??
      (resumed ? (sessions.master(hello.sessionId) ?? sessions.master(client.ticket)) : undefined);
    if (master !== undefined) this.#useMaster(master);
  }

  /** RSA key exchange: the log may have the premaster secret by the first bytes of what it was encrypted to. */
  #premaster(body: Buffer): void {
    const [client, server] = [this.#client, this.#server];
    if (client === undefined || server === undefined || this.#suite === undefined || body.length < 10) return;
    const secret = this.#options.keys.secret('RSA', body.subarray(2, 10));
    if (secret === undefined) return;
    const hash = server.version >= TLS12 ? this.#suite.hash : undefined;
    const transcript = server.extendedMasterSecret ? Buffer.concat(this.#transcript) : undefined;
    this.#useMaster(masterSecret(hash, secret, client.random, server.random, transcript));
  }

  #useMaster(master: Buffer): void {
    const [client, server, suite] = [this.#client, this.#server, this.#suite];
    if (client === undefined || server === undefined || suite === undefined) return;
    this.#master = master;
    const hash = server.version >= TLS12 ? suite.hash : undefined;
    const block = keyBlock(hash, master, client.random, server.random, keyLengths(suite, server.version));
    for (const side of [CLIENT, SERVER] as const) {
      const keys = { mac: block.mac[side], key: block.key[side], iv: block.iv[side] };
      this.#directions[side].next = openerBefore13(suite, server.version, keys, server.encryptThenMac);
    }
    this.#options.sessions.remember(server.sessionId, master);
    this.#decrypted();
  }

  #use13(side: Side, of: Direction, label: SecretLabel): void {
    const secret = this.#client === undefined ? undefined : this.#options.keys.secret(label, this.#client.random);
    const opener = secret === undefined || this.#suite === undefined ? undefined : opener13(this.#suite, secret);
    if (opener === undefined) {
      of.broken = true;
      of.encrypted = true;
      this.#giveUp();
      return;
    }
    of.opener = opener;
    of.secret = secret;
    of.handshaking = label !== TRAFFIC[side];
    // Messages do not cross a change of keys (RFC 8446 §5.1).
    if (side === SERVER) this.#decrypted();
  }

  // ── Early data ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #earlyData(early: EarlyData, text: Buffer): void {
    if (early.taken === true) this.#options.inner.receive(CLIENT, text);
    else if (early.taken === undefined && !early.missing) {
      early.length += text.length;
      // Of any size that servers take.
      if (early.length > this.#options.limits.tlsHandshake) early.missing = true;
      else early.held.push(Buffer.from(text));
    }
  }

  #earlyUnread(early: EarlyData): void {
    const first = !early.missing;
    early.missing = true;
    if (first && early.taken === true) this.#tellMissing();
  }

  /** What the server does not take it has not read, and neither do we. */
  #decideEarly(taken: boolean): void {
    const early = this.#early;
    if (early === undefined || early.taken !== undefined) return;
    early.taken = taken;
    const { held } = early;
    early.held = [];
    if (!taken) return;
    for (const text of held) this.#options.inner.receive(CLIENT, text);
    if (early.missing) this.#tellMissing();
  }

  /** Whether the server took it was lost. */
  #forgetEarly(): void {
    const early = this.#early;
    if (early === undefined || early.taken !== undefined) return;
    early.held = [];
    early.missing = true;
    this.#decideEarly(true);
  }

  #tellMissing(): void {
    this.#odd('tls-early-data', CLIENT);
    this.#options.inner.gap(CLIENT, 0);
  }

  // ── What is told ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #decrypted(): void {
    if (this.#facts.decrypted) return;
    this.#facts.decrypted = true;
    this.#tell();
  }

  /** There are no keys. What was read already stands. */
  #giveUp(): void {
    if (this.#opaque) return;
    this.#opaque = true;
    if (this.#facts.decrypted) {
      this.#facts.decrypted = false;
      this.#tell();
    }
    this.#options.inner.opaque('tls-no-keys');
  }

  #tell(): void {
    this.#options.events.tls({ ...this.#facts });
  }

  #odd(event: TlsEvent, side: Side): void {
    this.#options.events.anomaly(event, side);
  }
}

function direction(): Direction {
  return {
    rest: NOTHING,
    position: 0,
    opener: undefined,
    next: undefined,
    secret: undefined,
    handshaking: false,
    handshake: NOTHING,
    closed: false,
    hunting: false,
    gapped: false,
    broken: false,
    encrypted: false,
  };
}

/** Does it open `record` when some before it were lost? Then that is its next. */
function opensBehind(opener: RecordOpener, record: SealedRecord): boolean {
  const first = opener.sequence;
  for (let lost = 0; lost <= MOST_LOST; lost++) {
    opener.sequence = first + lost;
    if (opener.open(record) === undefined) continue;
    opener.sequence = first + lost;
    return true;
  }
  opener.sequence = first;
  return false;
}

/** Does the header of a record stand at `at`? True as well when less than it is there and that fits. */
function looksLikeRecord(bytes: Buffer, at: number): boolean {
  const type = bytes[at] ?? 0;
  if (type < TYPE.changeCipherSpec || type > TYPE.heartbeat) return false;
  const left = bytes.length - at;
  if (left > 1 && bytes[at + 1] !== 3) return false;
  if (left > 2 && (bytes[at + 2] ?? 0) > 4) return false;
  return left < HEADER || bytes.readUInt16BE(at + 3) <= LONGEST;
}

function sealedAt(bytes: Buffer, at: number, end: number): SealedRecord {
  return { type: bytes[at] ?? 0, version: bytes.readUInt16BE(at + 1), body: bytes.subarray(at + HEADER, end) };
}
