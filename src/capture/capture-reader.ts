/**
 * Reads captures: input, format, link layer, IP and TCP tied together. One reader a thread; it claims its regions of the arena once. The bytes go through one
 * region: records are read where they lie, and only the rest of a record that a block cut is moved, in front of where the next block is read to.
 * A damaged capture gives all that can be read of it and then `statistics.damage`; only one that cannot be opened throws (SourceError).
 */
import type { Readable } from 'node:stream';
import type { Arena } from '../core/arena.js';
import { KiB, type Limits } from '../core/limits.js';
import { type HeaderPrediction, loadHeaderPrediction } from '../kernels/header-prediction.js';
import { type CaptureInput, openInput } from './capture-input.js';
import type { OpenConnection, PacketClock } from './connection.js';
import { RING } from './delivered.js';
import { FastPath } from './fast-path.js';
import { IpLayer } from './ip.js';
import { LinkLayer } from './link-layer.js';
import { isPcapMagic, PcapReader } from './pcap.js';
import { PcapngReader, SECTION_HEADER } from './pcapng.js';
import type { RecordContext, RecordReader, SecretsHandler } from './records.js';
import { RunMarks } from './run-marks.js';
import { type CaptureStatistics, emptyStatistics } from './statistics.js';
import { TcpReassembly } from './tcp.js';

/** Read at once: half of a usual L2 cache. */
const BLOCK = 256 * KiB;
/** Reads are multiples of this, so that file position and arena offset stay aligned to each other. */
const STEP = 64 * KiB;
/** Room for a datagram made of fragments. */
const SCRATCH = 64 * KiB;
/** The longest file header, and what the formats are told apart by. */
const MAGIC = 4;

/** Whether packets are offered to the fast path: from the second block on (a capture of one is read sooner than the kernel is compiled), at once, or never. */
export type FastPathUse = 'later' | 'always' | 'never';

export interface CaptureTask {
  /** A path, or a stream such as standard input. */
  readonly input: string | Readable;
  readonly open: OpenConnection;
  readonly secrets?: SecretsHandler;
  /**
   * Called after each block (256 KiB), with the stored bytes read so far and how many there are in all (undefined for a stream). The next block is read
   * when the promise that it may give is settled.
   */
  between?(consumed: number, total: number | undefined): Promise<void> | undefined;
}

export class CaptureReader {
  /** Of the capture being read. */
  readonly clock: PacketClock = { packet: -1, seconds: 0, nanoseconds: 0 };
  /** Of the run being delivered. */
  readonly marks: RunMarks;
  readonly #arena: Arena;
  readonly #limits: Limits;
  readonly #view: DataView;
  /** Where blocks are read to. In front of it is room for the rest of the record before. */
  readonly #readAt: number;
  /** Bytes that fit from `#readAt` on, and in front of it. */
  readonly #room: number;
  readonly #ring: number;
  readonly #scratch: number;
  readonly #fastPath: FastPathUse;
  /** Undefined: not asked for yet. */
  #prediction: HeaderPrediction | 'none' | undefined;

  constructor(arena: Arena, limits: Limits, fastPath: FastPathUse = 'later') {
    this.#arena = arena;
    this.#limits = limits;
    this.#fastPath = fastPath;
    this.#view = new DataView(arena.memory.buffer);
    // A packet, and what its record has beside it.
    this.#room = Math.ceil((limits.packet + 2 * STEP) / STEP) * STEP + BLOCK;
    this.#readAt = arena.claim(2 * this.#room) + this.#room;
    this.#ring = arena.claim(RING);
    this.#scratch = arena.claim(SCRATCH);
    this.marks = new RunMarks(arena);
  }

  /** Reads a capture to its end; every connection is closed then. A file is read without ever waiting. One capture at a time. */
  async read(task: CaptureTask): Promise<CaptureStatistics> {
    const input = await openInput(task.input);
    try {
      return await this.#read(input, task);
    } finally {
      input.close();
    }
  }

  async #read(input: CaptureInput, task: CaptureTask): Promise<CaptureStatistics> {
    const { clock } = this;
    clock.packet = -1;
    clock.seconds = 0;
    clock.nanoseconds = 0;
    const { bytes } = this.#arena;
    const statistics = emptyStatistics();
    const tcp = new TcpReassembly({
      arena: this.#arena,
      view: this.#view,
      ring: this.#ring,
      limits: this.#limits,
      clock,
      marks: this.marks,
      open: task.open,
      statistics: statistics.tcp,
    });
    const ip = new IpLayer(bytes, this.#view, clock, tcp, statistics, this.#limits.fragments, this.#scratch);
    const context: RecordContext = {
      view: this.#view,
      clock,
      handler: new LinkLayer(this.#view, ip),
      fastPath: this.#fastPath === 'always' ? this.#predicting(tcp, statistics) : undefined,
      secrets: task.secrets,
      maxPacket: this.#limits.packet,
    };
    let records: RecordReader | undefined;
    let damage: string | undefined;
    // [start, end) of the arena is read and not taken; `offset` is where in the capture `start` is.
    let start = this.#readAt;
    let end = start;
    let offset = 0;
    for (;;) {
      const rest = end - start;
      this.#arena.move(this.#readAt - rest, start, end);
      start = this.#readAt - rest;
      end = this.#readAt;
      const wanted = Math.max(BLOCK, Math.ceil(((records?.needed ?? 0) - rest) / STEP) * STEP);
      const reading = input.read(bytes, end, wanted);
      const got = typeof reading === 'number' ? reading : await reading;
      end += got;
      if (got > 0) {
        if (records !== undefined && records.skip > 0) {
          const skipped = Math.min(records.skip, end - start);
          records.skip -= skipped;
          start += skipped;
          offset += skipped;
        }
        if (records === undefined && end - start >= MAGIC) {
          records = this.#format(start, context);
          if (records === undefined) damage = 'neither pcap nor pcapng: it begins with none of their marks';
        }
        if (records !== undefined && records.skip === 0) {
          const taken = records.read(start, end);
          offset += taken - start;
          start = taken;
          damage = records.damage;
        }
        tcp.settle();
        const pause = task.between?.(input.consumed, input.total);
        if (pause !== undefined) await pause;
        if (damage !== undefined) break;
        context.fastPath ??= this.#predicting(tcp, statistics);
        continue;
      }
      if (input.failure !== undefined) damage = input.failure;
      else if (offset === 0 && end === start) damage = 'empty file';
      else if (records === undefined) damage = 'neither pcap nor pcapng: it is too short';
      else if (end > start || records.skip > 0)
        damage = `truncated: the last record has ${end - start} of its ${Math.max(records.needed, end - start + records.skip)} bytes`;
      break;
    }
    if (damage !== undefined) statistics.damage = { message: damage, offset, packet: clock.packet + 1 };
    ip.finish();
    tcp.finish();
    return statistics;
  }

  #predicting(tcp: TcpReassembly, statistics: CaptureStatistics): FastPath | undefined {
    if (this.#fastPath === 'never') return undefined;
    this.#prediction ??= loadHeaderPrediction(this.#arena) ?? 'none';
    if (this.#prediction === 'none') return undefined;
    return new FastPath(this.#prediction, tcp, statistics, this.clock, this.#limits.packet);
  }

  #format(at: number, context: RecordContext): RecordReader | undefined {
    const little = this.#view.getUint32(at, true);
    const big = this.#view.getUint32(at, false);
    if (isPcapMagic(little) || isPcapMagic(big)) return new PcapReader(context);
    return little === SECTION_HEADER ? new PcapngReader(context) : undefined;
  }
}
