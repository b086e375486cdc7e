/**
 * What one thread scans with: its arena, its inspection, its policies. The main thread has one, and so has each worker; nothing is shared
 * between them but the description that they are made from, which crosses threads as it is.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import type { Config } from '../config/config.js';
import { matchPolicy } from '../config/match-policy.js';
import { createUnpackers, type Unpackers } from '../content/archive/unpackers.js';
import { Inspection } from '../content/inspection.js';
import { createMimeExtractor } from '../content/mime/mime-extractor.js';
import { identify } from '../content/types/identify.js';
import { typesByName } from '../content/types/names.js';
import { Arena } from '../core/arena.js';
import { SourceError } from '../core/errors.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';
import { createPolicy } from '../policy/decide.js';
import { createScanners } from '../scan/scanners.js';
import { loadSignatures } from '../scan/signatures.js';
import { PROTOCOLS } from '../../protocols/index.js';
import type { PacketClock } from './connection.js';
import { EventQueue } from './event-queue.js';
import type { ScanEvent } from './events.js';
import { FlowDriver, type Ruling, treeEvent } from './flow-driver.js';
import { keepIn } from './keep.js';
import { sessionOfCapture } from './session-facts.js';

/** What to scan with; crosses threads. */
export interface ScanSetup {
  readonly config: Config | undefined;
  /** Signature files and directories. */
  readonly signatures: readonly string[];
  readonly limits: Limits;
  /** Hash messages as well as what is in them. */
  readonly hashMessages: boolean;
  /** Keep every file as `<extract>/<sha256>`. */
  readonly extract: string | undefined;
}

/** What was read of an input, and what kept it from being read to its end. */
export interface InputReport {
  readonly packets: number;
  readonly bytes: number;
  /** Packets that were not looked at, by reason. */
  readonly ignoredPackets: Readonly<Record<string, number>>;
  /** Says what is wrong and where. */
  readonly damage: string | undefined;
}

/** Which part of a capture's connections this thread takes. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** Takes events in order; a promise when it wants no more for now. */
export type Deliver = (event: ScanEvent) => void | Promise<void>;

/** Loose files are read in pieces of this. */
const PIECE = 256 * 1024;
/** 512 MiB of address space: the slots, a capture's read block, kernels' scratch areas. Pages cost nothing until they are touched. */
const ARENA_PAGES = 8192;
/** So many files may be inspected elsewhere before the reader waits for them. */
const AWAITED = 64;
/** A message or file that came over no connection. */
const NOWHERE: Endpoint = { address: '0.0.0.0', port: 0 };

export class ScanThread {
  readonly arena = new Arena(ARENA_PAGES);
  readonly clock: PacketClock = { packet: 0, seconds: 0, nanoseconds: 0 };
  readonly #setup: ScanSetup;
  readonly #unpackers: Unpackers;
  readonly #inspection: Inspection;

  constructor(setup: ScanSetup) {
    this.#setup = setup;
    const { limits } = setup;
    const signatures = loadSignatures(setup.signatures);
    this.#unpackers = createUnpackers({ limits });
    this.#inspection = new Inspection({
      arena: this.arena,
      limits,
      extractors: [createMimeExtractor({ arena: this.arena, limits })],
      unpackers: this.#unpackers.unpackers,
      scanners: createScanners(signatures),
      identify,
      hashContainers: setup.hashMessages,
      ...(setup.extract === undefined ? {} : { keep: keepIn(setup.extract) }),
    });
  }

  /** A message or any other file, as it lies there. */
  async file(name: string, message: boolean, deliver: Deliver, advance: (done: number) => void): Promise<InputReport> {
    const file = openInput(name);
    let done = 0;
    try {
      const meta: FileMeta = { name: basename(name), direction: 'download', ...(message ? { declaredType: 'message/rfc822' } : {}) };
      let inspected: (root: Inspected) => void = () => {};
      const settled = new Promise<Inspected>((resolve) => {
        inspected = resolve;
      });
      const stream = this.#inspection.open(meta, (root) => inspected(root));
      const piece = Buffer.allocUnsafeSlow(PIECE);
      for (let length = readSync(file, piece); length > 0; length = readSync(file, piece)) {
        stream.write(piece, 0, length);
        done += length;
        advance(done);
      }
      stream.end();
      const now = Date.now();
      const time = { seconds: Math.floor(now / 1000), nanoseconds: (now % 1000) * 1_000_000 };
      const ruling = this.#rule(NOWHERE, NOWHERE, undefined);
      const session = sessionOfCapture(NOWHERE, NOWHERE, undefined, undefined, ruling.facts);
      const root = await settled;
      await deliver(treeEvent(root, session, ruling.policy, { packet: 0, flow: -1, turn: 0, time }));
    } catch (cause) {
      throw new SourceError(`cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    } finally {
      closeSync(file);
    }
    return { packets: 0, bytes: done, ignoredPackets: {}, damage: undefined };
  }

  close(): void {
    this.#unpackers.close();
  }

  #rule(client: Endpoint, server: Endpoint, service: string | undefined): Ruling {
    const { config } = this.#setup;
    if (config === undefined) return { facts: NO_POLICY, policy: this.#builtIn };
    return ruleOf(config, client, server, service);
  }
}
