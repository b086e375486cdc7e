/**
 * SMB on a live connection: whole messages of both ends, unwrapped where they are compressed or sealed, go to `live-smb2.ts`, which says what goes on.
 * NEGOTIATE of SMB 1 goes on without what is SMB 1 in it; a client that speaks nothing else is told that there is no dialect for it.
 */
import type { Buffer } from 'node:buffer';
import type { FileId, Verdict } from '../../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, opposite, SERVER, type Side } from '../../../src/core/flow.js';
import { decompressed } from '../compressed.js';
import type { SmbEvent } from '../events.js';
import { openSealed, TRANSFORM_HEADER } from '../smb2-keys.js';
import type { Sessions } from '../smb2-session.js';
import { LiveSmb2 } from './live-smb2.js';
import { framed } from './message.js';
import { newerDialects, noDialect } from './smb1-negotiate.js';
import { Wire } from './wire.js';

const LENGTH = 4;
const MESSAGE = 0x00;
/** NetBIOS (RFC 1002 section 4.3): session request, its answers, keepalive. */
const SESSION_SERVICE: readonly number[] = [0x81, 0x82, 0x83, 0x84, 0x85];
const SMB1 = 0xff53_4d42;
const SMB2 = 0xfe53_4d42;
const SEALED = 0xfd53_4d42;
const COMPRESSED = 0xfc53_4d42;

/** A message on its way in. */
interface Incoming {
  readonly bytes: Buffer;
  filled: number;
}

export class LiveSmb implements Decoder {
  readonly #flow: Flow;
  readonly #sessions: Sessions;
  readonly #smb2: LiveSmb2;
  readonly #incoming: [Incoming | undefined, Incoming | undefined] = [undefined, undefined];
  #over = false;
  /** The client began, and with what. */
  #begun = false;

  constructor(flow: Flow, sessions: Sessions) {
    this.#flow = flow;
    this.#sessions = sessions;
    this.#smb2 = new LiveSmb2(flow, sessions, new Wire(flow, sessions.crypto));
  }

  push(side: Side, chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#over && !this.#smb2.over; ) {
      if (side === CLIENT && this.#smb2.stopped) return;
      let message = this.#incoming[side];
      if (message === undefined) {
        if (chunk.length - at < LENGTH) return;
        message = this.#begin(side, chunk, at);
        if (message === undefined) return;
        this.#incoming[side] = message;
      }
      const count = Math.min(chunk.length - at, message.bytes.length - message.filled);
      chunk.copy(message.bytes, message.filled, at, at + count);
      message.filled += count;
      at += count;
      this.#flow.drop(at);
      if (message.filled < message.bytes.length) return;
      this.#incoming[side] = undefined;
      if (this.#whole(side, message.bytes)) this.#sessions.messages.give(message.bytes);
    }
  }

  end(side: Side): void {
    if (side === CLIENT) this.#smb2.clientEnded();
    this.#flow.finish(opposite(side));
  }

  cut(): void {
    this.#smb2.clientEnded();
  }

  gap(): void {}
  unanswered(): void {}

  verdict(file: FileId, verdict: Verdict): void {
    this.#smb2.verdict(file, verdict);
  }

  wake(now: number): void {
    this.#smb2.wake(now);
  }

  #begin(side: Side, chunk: Buffer, at: number): Incoming | undefined {
    const type = chunk[at] ?? 0;
    const length = chunk.readUIntBE(at + 1, 3);
    if (type !== MESSAGE && !SESSION_SERVICE.includes(type)) return this.#end('smb-desync', side);
    if (length > this.#flow.limits.smbMessage) return this.#end('smb-message-limit', side);
    return { bytes: this.#sessions.messages.take(LENGTH + length), filled: 0 };
  }

  /** True: nothing of `wire` is needed any more. */
  #whole(side: Side, wire: Buffer): boolean {
    // A session of NetBIOS is between the hosts; nothing of files is in it.
    if (wire[0] !== MESSAGE) this.#flow.send(opposite(side), wire);
    else if (wire.length < LENGTH + 4) this.#end('smb-unknown-message', side);
    else {
      const bytes = wire.subarray(LENGTH);
      const mark = bytes.readUInt32BE(0);
      if (mark === SMB2) return this.#hand(side, bytes, false, wire);
      if (mark === COMPRESSED) this.#compressed(side, bytes, false);
      else if (mark === SEALED) this.#sealed(side, bytes, wire);
      else if (mark === SMB1 && side === CLIENT) this.#smb1(bytes);
      else this.#end('smb-unknown-message', side);
    }
    return false;
  }

  #hand(side: Side, bytes: Buffer, sealed: boolean, wire: Buffer | undefined): boolean {
    this.#begun = true;
    return side === CLIENT ? this.#smb2.client(bytes, sealed, wire) : this.#smb2.server(bytes, sealed, wire);
  }

  /** It goes on as what we read, so that nobody reads it otherwise. */
  #compressed(side: Side, message: Buffer, sealed: boolean): void {
    const plain = decompressed(message, this.#flow.limits.smbMessage);
    if (plain === undefined || plain.length < 4 || plain.readUInt32BE(0) !== SMB2) {
      this.#end('smb-bad-compression', side);
      return;
    }
    this.#hand(side, plain, sealed, sealed ? undefined : framed(plain));
  }

  #sealed(side: Side, message: Buffer, wire: Buffer): void {
    if (message.length < TRANSFORM_HEADER) {
      this.#end('smb-bad-seal', side);
      return;
    }
    const keys = this.#smb2.keysOf(message.readUInt32LE(48), message.readUInt32LE(44));
    const key = side === CLIENT ? keys?.clientSealing : keys?.serverSealing;
    if (keys === undefined || key === undefined) return this.#unread(side, wire);
    const plain = openSealed(this.#sessions.crypto, keys, key, message);
    const mark = plain === undefined || plain.length < 4 ? 0 : plain.readUInt32BE(0);
    if (plain !== undefined && mark === COMPRESSED) return this.#compressed(side, plain, true);
    if (plain === undefined || mark !== SMB2) {
      this.#end('smb-bad-seal', side);
      return;
    }
    this.#hand(side, plain, true, wire);
  }

  /** Nobody has the key: all of it passes unread from here on, where the profile lets it, or it ends. */
  #unread(side: Side, wire: Buffer): void {
    this.#flow.anomaly('smb-encrypted' satisfies SmbEvent, side);
    this.#over = true;
    if (this.#smb2.spoke) return this.#flow.reset('smb-encrypted' satisfies SmbEvent);
    this.#flow.bypass('smb-encrypted');
    this.#flow.send(opposite(side), wire);
    for (const each of [CLIENT, SERVER] as const) {
      const begun = this.#incoming[each];
      if (begun !== undefined) this.#flow.send(opposite(each), begun.bytes.subarray(0, begun.filled));
    }
  }

  #smb1(bytes: Buffer): void {
    const newer = this.#begun ? undefined : newerDialects(bytes);
    this.#flow.anomaly('smb1-live' satisfies SmbEvent, CLIENT);
    if (newer !== undefined) {
      this.#begun = true;
      this.#smb2.smb1Negotiated();
      return this.#flow.send(SERVER, framed(newer));
    }
    const answer = this.#begun ? undefined : noDialect(bytes);
    this.#begun = true;
    if (answer === undefined) return this.#flow.reset('smb1-live' satisfies SmbEvent);
    this.#flow.send(CLIENT, framed(answer));
  }

  #end(event: SmbEvent, side: Side): undefined {
    this.#over = true;
    this.#flow.anomaly(event, side);
    this.#flow.reset(event);
  }
}
