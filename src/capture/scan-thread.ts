/**
 * What one thread scans with: its arena, its inspection, its policies. The main thread has one, and so has each worker; nothing is shared
 * between them but the description that they are made from, which crosses threads as it is.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { PROTOCOLS } from '../../protocols/index.js';
import { InternalError, SourceError } from '../core/errors.js';
import type { FileMeta, Inspected } from '../core/file.js';
import type { Secret } from '../core/secret.js';
import type { Endpoint } from '../core/session.js';
import { createCrypto } from '../crypto/crypto.js';
import { candidates } from '../flow/detect.js';
import { Inspector, type InspectorSetup } from '../inspector/inspector.js';
import { sessionOf } from '../inspector/session-facts.js';
import { Announcements } from './announcements.js';
import { CaptureReader } from './capture-reader.js';
import { EventQueue } from './event-queue.js';
import type { ScanEvent } from './events.js';
import { treeEvent } from './flow-driver.js';
import { Keeper } from './keep.js';
import { loadKeyLogs, TLS_KEY_LOG } from './key-logs.js';
import { createLayers } from './layers.js';
import type { Share } from './share.js';
import type { CaptureDamage } from './statistics.js';
import type { KeyLog } from './tls/key-log.js';

/** What to scan with; crosses threads. */
export interface ScanSetup extends InspectorSetup {
  readonly hashMessages: boolean;
  /** Tell everything that is known of each file. */
  readonly detailed?: boolean;
  /** Key logs that open TLS sessions; one beside the capture is found by itself. */
  readonly keyLogs: readonly string[];
  readonly secrets: readonly Secret[];
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
  /** What did not work although the input could be read: files that were not kept, rules that were not used. The same line each time. */
  readonly failures: readonly string[];
}

/** Takes an event; a promise when it wants no more for now. */
export type Deliver = (event: ScanEvent) => void | Promise<void>;
/** Takes all events before packet `upTo` that it was not given yet, in order. */
export type DeliverBatch = (events: readonly ScanEvent[], upTo: number) => void | Promise<void>;

/** Loose files are read in pieces of this. */
const PIECE = 256 * 1024;
/** So many files may be inspected elsewhere before the reader waits for them. */
const AWAITED = 64;
/** A message or file that came over no connection. */
const NOWHERE: Endpoint = { address: '0.0.0.0', port: 0 };

export class ScanThread {
  readonly #setup: ScanSetup;
  readonly #inspector: Inspector;
  readonly #reader: CaptureReader;
  readonly #keeper: Keeper | undefined;

  /** Reads the signatures. Rejects with ConfigError when there is something wrong with them; with rules, whatever is scanned may. */
  static async start(setup: ScanSetup): Promise<ScanThread> {
    const keeper = setup.extract === undefined ? undefined : new Keeper(setup.extract);
    return new ScanThread(setup, await Inspector.start(setup, keeper?.keep), keeper);
  }

  private constructor(setup: ScanSetup, inspector: Inspector, keeper: Keeper | undefined) {
    this.#setup = setup;
    this.#inspector = inspector;
    this.#keeper = keeper;
    this.#reader = new CaptureReader(inspector.arena, inspector.limits);
  }

  /** There is much to be read: files are hashed and searched in a second thread from now on, where the setup allows it. */
  startDigestThread(): void {
    if (this.#setup.digestThread === true) this.#inspector.startDigestThread();
  }

  /** The connections of a capture that are this thread's share. `-` is standard input. */
  async capture(
    name: string,
    share: Share,
    deliver: DeliverBatch,
    advance: (done: number) => void,
  ): Promise<InputReport> {
    const { limits } = this.#setup;
    const queue = new EventQueue();
    const failures: string[] = [];
    const keys = loadKeyLogs(this.#setup.keyLogs, name, limits);
    const announcements = new Announcements(share, {
      candidates: candidates(PROTOCOLS, { crypto: createCrypto(), secrets: this.#setup.secrets }),
      layers: createLayers(keys, limits),
      ended: new Map(),
      limits,
      detailed: this.#detailed,
      inspection: this.#inspector.inspection,
      queue,
      clock: this.#reader.clock,
      marks: this.#reader.marks,
      rule: (client, server, service) => this.#inspector.rule(client, server, service),
      failed: (error, start) =>
        failures.push(
          `connection of packet ${start.packet}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        ),
    });
    // Nothing is told before it is known that the rules can be run.
    let unusable: unknown;
    this.#inspector.compiling?.catch((error: unknown) => {
      unusable = error;
    });
    const hand = (upTo: number): void | Promise<void> => {
      const taken = queue.take(upTo);
      if (taken.events.length > 0 || share.count > 1) return deliver(taken.events, taken.upTo);
      return undefined;
    };
    const statistics = await this.#reader.read({
      input: name === '-' ? process.stdin : name,
      open: (start) => announcements.open(start),
      secrets: (type, start, end) => {
        if (type === TLS_KEY_LOG) keys.add(this.#inspector.arena.bytes.toString('latin1', start, end));
      },
      between: (consumed) => {
        advance(consumed);
        const { inspection } = this.#inspector;
        inspection.collect();
        if (unusable !== undefined) throw unusable;
        const handed = this.#inspector.compiling === undefined ? hand(this.#reader.clock.packet) : undefined;
        if (inspection.promised === 0) return handed ?? undefined;
        // Who inspects files elsewhere gets on only while this thread lets its pipes be filled and emptied.
        const most = inspection.crowded ? Math.max(0, queue.awaiting - 1) : AWAITED;
        const others = queue.awaiting > most ? queue.below(most) : setImmediate();
        return handed === undefined ? others : handed.then(() => others);
      },
    });
    await this.#inspector.compiling;
    await queue.below(0);
    await hand(Number.POSITIVE_INFINITY);
    if (failures.length > 0) throw new InternalError(failures.join('\n'));
    return {
      packets: statistics.packets,
      bytes: statistics.bytes,
      ignoredPackets: Object.fromEntries(statistics.ignored),
      damage: damageText(statistics.damage),
      failures: [...this.#failures(), ...badKeyLines(keys)],
    };
  }

  /** A message or any other file, as it lies there. */
  async file(name: string, message: boolean, deliver: Deliver, advance: (done: number) => void): Promise<InputReport> {
    await this.#inspector.compiling;
    const file = openInput(name);
    let done = 0;
    let damage: string | undefined;
    try {
      const meta: FileMeta = {
        name: basename(name),
        direction: 'download',
        ...(message ? { declaredType: 'message/rfc822' } : {}),
      };
      const ruling = this.#inspector.rule(NOWHERE, NOWHERE, undefined);
      let inspected: (root: Inspected) => void = () => {};
      const settled = new Promise<Inspected>((resolve) => {
        inspected = resolve;
      });
      const stream = this.#inspector.inspection.open(meta, (root) => inspected(root), ruling.bounds);
      const piece = Buffer.allocUnsafeSlow(PIECE);
      for (;;) {
        let length: number;
        try {
          length = readSync(file, piece);
        } catch (error) {
          damage = `read error after ${done} bytes: ${error instanceof Error ? error.message : String(error)}`;
          break;
        }
        if (length === 0) break;
        stream.write(piece, 0, length);
        done += length;
        advance(done);
      }
      if (damage === undefined) stream.end();
      else stream.abort('gap');
      const now = Date.now();
      const time = { seconds: Math.floor(now / 1000), nanoseconds: (now % 1000) * 1_000_000 };
      const session = sessionOf({ client: NOWHERE, server: NOWHERE, service: undefined, tls: undefined }, ruling.match);
      const root = await settled;
      await deliver(treeEvent(root, session, ruling.policy, { packet: 0, flow: -1, turn: 0, time }, this.#detailed));
    } finally {
      closeSync(file);
    }
    return { packets: 0, bytes: done, ignoredPackets: {}, damage, failures: this.#failures() };
  }

  #failures(): string[] {
    return [this.#inspector.unusedRules, this.#keeper?.failure].filter((failure) => failure !== undefined);
  }

  close(): void {
    this.#inspector.close();
  }

  get #detailed(): boolean {
    return this.#setup.detailed === true;
  }
}

function badKeyLines({ badLines, firstBadLine }: KeyLog): string[] {
  if (badLines === 0) return [];
  return [
    `key log: ${badLines} ${badLines === 1 ? 'line is' : 'lines are'} none of a key log (the first is line ${firstBadLine})`,
  ];
}

/** `truncated: … (at byte 59097, after 56 packets)` */
function damageText(damage: CaptureDamage | undefined): string | undefined {
  if (damage === undefined) return undefined;
  const { message, offset, packet } = damage;
  return `${message} (at byte ${offset}, after ${packet} ${packet === 1 ? 'packet' : 'packets'})`;
}

function openInput(name: string): number {
  try {
    return openSync(name, 'r');
  } catch (cause) {
    throw new SourceError(`${name}: cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
