/** What the readers of the two capture formats have in common, and which of them a capture needs. */
import type { PacketClock } from './connection.js';
import type { FastPath } from './fast-path.js';

/** Takes one captured packet; `clock` was set to it. */
export interface PacketHandler {
  /** It lies in the arena at [start, end); `cut` more bytes of it were on the wire. */
  packet(linkType: number, start: number, end: number, cut: number): void;
}

/** Reads the records of one format out of the arena. */
export interface RecordReader {
  /**
   * Takes all whole records in [start, end) of the arena. Where the first that is not whole begins; `end` when there is none.
   * After `damage` it is not called again.
   */
  read(start: number, end: number): number;
  /** How many bytes the record that is not whole needs, as far as is known; at least one more than there were. */
  readonly needed: number;
  /** Bytes to pass over, after the end of what was given, without looking at them. */
  skip: number;
  /** What is wrong with the record at the offset that `read` returned. */
  readonly damage: string | undefined;
}

/** Told of a Decryption Secrets Block: its type (0x544c534b is an NSS key log) and its secrets, valid for the call only. */
export type SecretsHandler = (type: number, start: number, end: number) => void;

export interface RecordContext {
  readonly view: DataView;
  readonly clock: PacketClock;
  readonly handler: PacketHandler;
  /** Offered what comes behind a packet that was handled; undefined: not yet, or not at all. */
  fastPath: FastPath | undefined;
  readonly secrets: SecretsHandler | undefined;
  /** The largest packet that is believed. */
  readonly maxPacket: number;
}
