/**
 * SMB ([MS-SMB2], [MS-CIFS]) over TCP, or in NetBIOS sessions (RFC 1002 section 4.3): messages by their length, then by their mark to the dialect.
 * In recordings what is read and written becomes files; live connections are `live/live.ts`'s.
 * README.md maps the sections and says what is deliberately not done.
 */
import type { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../src/core/file.js';
import {
  CLIENT,
  type Decoder,
  type Flow,
  type Likeness,
  type Protocol,
  SERVER,
  type Side,
} from '../../src/core/flow.js';
import { MiB } from '../../src/core/limits.js';
import { decompressed } from './compressed.js';
import type { SmbEvent } from './events.js';
import { LiveSmb } from './live/live.js';
import { OpenedFile } from './opened-file.js';
import { Smb1 } from './smb1.js';
import { Smb1Signing } from './smb1-signing.js';
import { Smb2 } from './smb2.js';
import { openSealed, TRANSFORM_HEADER } from './smb2-keys.js';
import { Sessions } from './smb2-session.js';

/** RFC 1002 section 4.3.1: a message; session request, its answers, keepalive. */
const MESSAGE = 0x00;
const SESSION_SERVICE: readonly number[] = [0x81, 0x82, 0x83, 0x84, 0x85];
const SESSION_REQUEST = 0x81;
const HEADER = 4;
/** `SMB` behind FF (SMB 1), FE (SMB 2), FD (sealed), FC (compressed). */
const SMB1 = 0xff53_4d42;
const SMB2 = 0xfe53_4d42;
const SEALED = 0xfd53_4d42;
const COMPRESSED = 0xfc53_4d42;

export const smb: Protocol = {
  name: 'smb',
  service: 'SMB',
  ports: [445, 139],
  tlsPorts: [],
  // A sealed message is judged whole, and so is a signed one.
  maxUntaken: ({ smbMessage }) => smbMessage + MiB,
  probe,
  decoders: ({ crypto, secrets }) => {
    const sessions = new Sessions(crypto, secrets);
    return (flow) => (flow.passive ? new SmbConnection(flow, sessions) : new LiveSmb(flow, sessions));
  },
};

function probe(_side: Side, head: Buffer): Likeness {
  const type = head[0];
  if (type === MESSAGE) {
    if (head.length < 8) return head.length < 5 || isMark(head[4]) ? 'more' : 'no';
    return isMark(head[4]) && (head.readUInt32BE(4) & 0xff_ffff) === 0x53_4d42 ? 'yes' : 'no';
  }
  if (type === undefined || !SESSION_SERVICE.includes(type)) return 'no';
  // A session request names two hosts in 34 bytes each.
  if (head.length < HEADER) return 'more';
  const length = head.readUIntBE(1, 3);
  return type === SESSION_REQUEST ? (length === 68 ? 'yes' : 'no') : length <= 6 ? 'more' : 'no';
}

function isMark(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0xfc;
}

/** What a message is read by; `whole`: sealed or compressed, taken when all of it is there. */
type Reader = 'smb1' | 'smb2' | 'whole' | 'skip';

interface Direction {
  /** Of the message under way; -1 between messages. */
  length: number;
  done: number;
  reader: Reader;
  /** The next message is looked for. */
  hunting: boolean;
}

class SmbConnection implements Decoder {
  readonly #flow: Flow;
  readonly #sessions: Sessions;
  readonly #smb1: Smb1;
  readonly #smb2: Smb2;
  readonly #directions: readonly [Direction, Direction] = [between(), between()];
  readonly #ended: [boolean, boolean] = [false, false];
  readonly #noted = new Set<SmbEvent>();

  constructor(flow: Flow, sessions: Sessions) {
    this.#flow = flow;
    this.#sessions = sessions;
    const signing = new Smb1Signing(sessions.crypto, sessions.secrets, flow.limits.smb1Requests);
    this.#smb1 = new Smb1(flow, (share, path) => new OpenedFile(flow, share, path), signing);
    this.#smb2 = new Smb2(flow, sessions);
  }

  push(side: Side, chunk: Buffer): void {
    const direction = this.#directions[side];
    for (let at = 0; at < chunk.length || direction.length === direction.done; ) {
      if (direction.hunting) {
        const found = this.#hunt(chunk, at);
        this.#flow.pass(found.at);
        at = found.at;
        if (!found.here) return;
        direction.hunting = false;
      }
      if (direction.length < 0) {
        if (chunk.length - at < HEADER) return;
        const begun = this.#begin(side, direction, chunk, at);
        if (begun < 0) return;
        at = begun;
        this.#flow.pass(at);
        if (direction.hunting) continue;
      }
      const taken = this.#read(side, direction, chunk, at);
      if (taken < 0) return;
      at += taken;
      this.#flow.pass(at);
      direction.done += taken;
      if (direction.done < direction.length) {
        if (taken === 0 || at >= chunk.length) return;
        continue;
      }
      const { reader } = direction;
      direction.length = -1;
      if (reader === 'smb1' && this.#smb1.pauses(side)) return;
      if (at >= chunk.length) return;
    }
  }

  end(side: Side): void {
    this.#ended[side] = true;
    this.#flow.finish(side === CLIENT ? SERVER : CLIENT);
    if (!this.#ended[CLIENT] || !this.#ended[SERVER]) return;
    this.#smb1.end();
    this.#smb2.end();
  }

  gap(side: Side, length: number): void {
    const direction = this.#directions[side];
    this.#smb1.lost(side);
    const left = direction.length - direction.done;
    if (direction.length >= 0 && direction.reader === 'smb2' && length > 0 && length < left && this.#smb2.lost(side)) {
      direction.done += length;
      return;
    }
    this.#smb2.abandon(side);
    // A recording that begins in the middle: the first bytes may well be a message.
    const inMessage = direction.length >= 0;
    if (inMessage && direction.reader === 'skip' && length > 0 && length <= left) {
      direction.done += length;
      return;
    }
    direction.length = -1;
    direction.hunting = true;
  }

  verdict(_file: FileId, _verdict: Verdict): void {}

  unanswered(side: Side): void {
    if (side === CLIENT) this.#smb1.unanswered();
  }

  wake(): void {}

  /** A message begins at `at`: where its first byte lies behind the length, or -1 when it cannot be told yet. */
  #begin(side: Side, direction: Direction, chunk: Buffer, at: number): number {
    const type = chunk[at] ?? 0;
    const length = chunk.readUIntBE(at + 1, 3);
    const start = at + HEADER;
    if (type !== MESSAGE && !SESSION_SERVICE.includes(type)) {
      this.#once('smb-desync', side);
      direction.hunting = true;
      return at + 1;
    }
    direction.done = 0;
    direction.reader = 'skip';
    if (type !== MESSAGE) {
      direction.length = length;
      return start;
    }
    if (this.#smb1.expectsRaw(side)) direction.reader = 'smb1';
    else if (length >= 4) {
      if (chunk.length - start < 4) return -1;
      direction.reader = this.#readerOf(side, chunk.readUInt32BE(start));
    }
    if (direction.reader === 'whole' && length > this.#flow.limits.smbMessage) {
      this.#once('smb-message-limit', side);
      direction.reader = 'skip';
    }
    direction.length = length;
    return start;
  }

  #readerOf(side: Side, mark: number): Reader {
    switch (mark) {
      case SMB1:
        return 'smb1';
      case SMB2:
        return 'smb2';
      case SEALED:
      case COMPRESSED:
        return 'whole';
      default:
        this.#once('smb-unknown-message', side);
        return 'skip';
    }
  }

  /** How many bytes of the message at `at` are taken; -1: wait for more. */
  #read(side: Side, direction: Direction, chunk: Buffer, at: number): number {
    const { length, done, reader } = direction;
    const to = Math.min(chunk.length, at + length - done);
    switch (reader) {
      case 'smb1':
        return this.#smb1.read(side, chunk, at, to, done, length);
      case 'smb2':
        return this.#smb2.read(side, chunk, at, to, done, length);
      case 'skip':
        return to - at;
      case 'whole':
        if (to - at < length) return -1;
        this.#wrapped(side, chunk.subarray(at, to));
        return length;
    }
  }

  /** A message that holds another: sealed, compressed, or the latter in the former. */
  #wrapped(side: Side, message: Buffer): void {
    if (message.readUInt32BE(0) === SEALED) this.#sealed(side, message);
    else this.#compressed(side, message, false);
  }

  #compressed(side: Side, message: Buffer, sealed: boolean): void {
    const plain = decompressed(message, this.#flow.limits.smbMessage);
    if (plain === undefined || plain.length < 4 || plain.readUInt32BE(0) !== SMB2)
      return this.#unread('smb-bad-compression', side);
    this.#smb2.read(side, plain, 0, plain.length, 0, plain.length, sealed);
  }

  #sealed(side: Side, message: Buffer): void {
    if (message.length < TRANSFORM_HEADER) return this.#unread('smb-bad-seal', side);
    const keys = this.#smb2.keysOf(message.readUInt32LE(48), message.readUInt32LE(44));
    const key = side === CLIENT ? keys?.clientSealing : keys?.serverSealing;
    if (keys === undefined || key === undefined) return this.#unread('smb-encrypted', side);
    const plain = openSealed(this.#sessions.crypto, keys, key, message);
    if (plain === undefined || plain.length < 4) return this.#unread('smb-bad-seal', side);
    if (plain.readUInt32BE(0) === COMPRESSED) return this.#compressed(side, plain, true);
    if (plain.readUInt32BE(0) !== SMB2) return this.#unread('smb-bad-seal', side);
    this.#smb2.read(side, plain, 0, plain.length, 0, plain.length, true);
  }

  /** Where behind missing bytes the next message is, or may be once more is there. */
  #hunt(chunk: Buffer, from: number): { at: number; here: boolean } {
    for (let at = from; at + 8 <= chunk.length; at++) {
      if (chunk[at] !== MESSAGE || !isMark(chunk[at + 4])) continue;
      if ((chunk.readUInt32BE(at + 4) & 0xff_ffff) === 0x53_4d42 && chunk.readUIntBE(at + 1, 3) >= 32)
        return { at, here: true };
    }
    return { at: Math.max(from, chunk.length - 7), here: false };
  }

  /** Something cannot be read, and the connection shows it; what else there is, is. */
  #unread(event: 'smb-encrypted' | 'smb-bad-seal' | 'smb-bad-compression', side: Side): void {
    this.#once(event, side);
    this.#flow.unread(event === 'smb-encrypted' ? 'smb-encrypted' : 'desync');
  }

  /** Noted once a connection: it would be noted at each message. */
  #once(event: SmbEvent, side: Side): void {
    if (this.#noted.has(event)) return;
    this.#noted.add(event);
    this.#flow.anomaly(event, side);
  }
}

function between(): Direction {
  return { length: -1, done: 0, reader: 'skip', hunting: false };
}
