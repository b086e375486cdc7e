/**
 * What one thread scans with: its arena, its inspection, its policies. The main thread has one, and so has each worker; nothing is shared
 * between them but the description that they are made from, which crosses threads as it is.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { PROTOCOLS } from '../../protocols/index.js';
import type { Config } from '../config/config.js';
import { type MatchPolicy, type PolicyMatch, policyMatcher } from '../config/match-policy.js';
import { createUnpackers, type Unpackers } from '../content/archive/unpackers.js';
import { Inspection } from '../content/inspection.js';
import { createMimeExtractor } from '../content/mime/mime-extractor.js';
import { Readings } from '../content/mime/readings/readings.js';
import { identify } from '../content/types/identify.js';
import { typesByName } from '../content/types/names.js';
import type { Arena } from '../core/arena.js';
import { InternalError, SourceError } from '../core/errors.js';
import type { FileMeta, Inspected, Scanner } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import type { Secret } from '../core/secret.js';
import type { Endpoint } from '../core/session.js';
import { createCrypto } from '../crypto/crypto.js';
import { candidates } from '../flow/detect.js';
import { createPolicy } from '../policy/decide.js';
import { inspectionLimits } from '../policy/inspection-limits.js';
import type { Policy } from '../policy/outcome.js';
import { BUILT_IN_PROFILES, type SessionProfiles } from '../policy/profiles.js';
import { protocolKey } from '../policy/protocol-key.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { createScanners, selfTest } from '../scan/scanners.js';
import { loadSignatures } from '../scan/signatures.js';
import type { YaraPool } from '../scan/yara-pool.js';
import { Announcements } from './announcements.js';
import { CaptureReader } from './capture-reader.js';
import { EventQueue } from './event-queue.js';
import type { ScanEvent } from './events.js';
import { type Ruling, treeEvent } from './flow-driver.js';
import { Keeper } from './keep.js';
import { loadKeyLogs, TLS_KEY_LOG } from './key-logs.js';
import { createLayers } from './layers.js';
import { type PreparedMemory, prepareMemory } from './prepared-memory.js';
import { sessionOfCapture } from './session-facts.js';
import type { Share } from './share.js';
import type { CaptureDamage } from './statistics.js';
import type { KeyLog } from './tls/key-log.js';

/** What to scan with; crosses threads. */
export interface ScanSetup {
  readonly config: Config | undefined;
  /** Signature files and directories. */
  readonly signatures: readonly string[];
  readonly limits: Limits;
  /** Hash messages as well as what is in them. */
  readonly hashMessages: boolean;
  /** Tell everything that is known of each file. */
  readonly detailed?: boolean;
  /** Key logs that open TLS sessions; one beside the capture is found by itself. */
  readonly keyLogs: readonly string[];
  readonly secrets: readonly Secret[];
  /** A clamd to be asked beside our own signatures. */
  readonly clamd: ClamdAddress | undefined;
  /** Keep every file as `<extract>/<sha256>`. */
  readonly extract: string | undefined;
}

/** The user's YARA rules. */
interface UserRules {
  readonly pool: YaraPool | undefined;
  /** Why they are not used. */
  readonly unused: string | undefined;
}

/** Processes that run rules, at most: each has all of them in memory. */
const MOST_YARA = 4;

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
/** The most that `uncompressed-nest-limit` can ask for: with a configuration the profiles are the bound. */
const MOST_NESTING = 100;
const NOTHING_CONFIGURED: PolicyMatch = {
  facts: { id: 0, type: 'policy' },
  srcUuid: undefined,
  dstUuid: undefined,
  profiles: BUILT_IN_PROFILES,
};
/** A message or file that came over no connection. */
const NOWHERE: Endpoint = { address: '0.0.0.0', port: 0 };

export class ScanThread {
  readonly #setup: ScanSetup;
  readonly #arena: Arena;
  readonly #reader: CaptureReader;
  readonly #unpackers: Unpackers;
  readonly #readings: Readings;
  readonly #inspection: Inspection;
  readonly #match: MatchPolicy | undefined;
  /** By what the matched policy says; made once each. */
  readonly #policies = new Map<SessionProfiles, Policy>();
  readonly #keeper: Keeper | undefined;
  readonly #rules: UserRules;

  /** Reads the signatures and compiles the rules. Rejects with ConfigError when there is something wrong with them. */
  static async start(setup: ScanSetup, memory = prepareMemory(setup.limits, 0)): Promise<ScanThread> {
    const signatures = loadSignatures(setup.signatures);
    const scanners = createScanners(signatures);
    selfTest(scanners);
    let withoutRules: string | undefined;
    let rules: YaraPool | undefined;
    if (signatures.rules.length > 0) {
      // Loading the rule engine takes longer than scanning a small capture.
      const { createYaraPool } = await import('../scan/yara-pool.js');
      try {
        // Rules cost more than all the rest: while files wait for them the capture is read on.
        const processes = isMainThread ? Math.min(MOST_YARA, availableParallelism()) : 1;
        rules = await createYaraPool(signatures.rules, { limits: setup.limits, processes });
        scanners.push(rules);
      } catch (error) {
        // A machine that has no rule engine: literals and hashes are searched for all the same, and it is said.
        if (!(error instanceof SourceError)) throw error;
        withoutRules = error.message;
      }
    }
    if (setup.clamd !== undefined) {
      const { createClamdScanner } = await import('../scan/clamd/clamd-scanner.js');
      scanners.push(createClamdScanner(setup.clamd, setup.limits));
    }
    await memory.ready;
    return new ScanThread(setup, memory, scanners, { pool: rules, unused: withoutRules });
  }

  private constructor(setup: ScanSetup, memory: PreparedMemory, scanners: readonly Scanner[], rules: UserRules) {
    this.#setup = setup;
    this.#arena = memory.arena;
    this.#rules = rules;
    const { config } = setup;
    const limits = config === undefined ? setup.limits : { ...setup.limits, nesting: MOST_NESTING };
    this.#keeper = setup.extract === undefined ? undefined : new Keeper(setup.extract);
    this.#match = config === undefined ? undefined : policyMatcher(config);
    this.#reader = new CaptureReader(this.#arena, limits);
    this.#unpackers = createUnpackers({ limits });
    this.#readings = new Readings({ limits });
    this.#inspection = new Inspection({
      arena: this.#arena,
      slots: memory.slots,
      limits,
      extractors: [createMimeExtractor({ arena: this.#arena, limits })],
      unpackers: this.#unpackers.unpackers,
      readings: this.#readings,
      scanners,
      identify,
      hashContainers: setup.hashMessages,
      ...(this.#keeper === undefined ? {} : { keep: this.#keeper.keep }),
    });
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
      inspection: this.#inspection,
      queue,
      clock: this.#reader.clock,
      marks: this.#reader.marks,
      rule: (client, server, service) => this.#rule(client, server, service),
      failed: (error, start) =>
        failures.push(
          `connection of packet ${start.packet}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        ),
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
        if (type === TLS_KEY_LOG) keys.add(this.#arena.bytes.toString('latin1', start, end));
      },
      between: (consumed) => {
        advance(consumed);
        const handed = hand(this.#reader.clock.packet);
        if (queue.awaiting > AWAITED) return (handed ?? Promise.resolve()).then(() => queue.below(AWAITED));
        return handed === undefined ? undefined : handed;
      },
    });
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
    const file = openInput(name);
    let done = 0;
    let damage: string | undefined;
    try {
      const meta: FileMeta = {
        name: basename(name),
        direction: 'download',
        ...(message ? { declaredType: 'message/rfc822' } : {}),
      };
      const ruling = this.#rule(NOWHERE, NOWHERE, undefined);
      let inspected: (root: Inspected) => void = () => {};
      const settled = new Promise<Inspected>((resolve) => {
        inspected = resolve;
      });
      const stream = this.#inspection.open(meta, (root) => inspected(root), ruling.bounds);
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
      const session = sessionOfCapture(NOWHERE, NOWHERE, undefined, undefined, ruling.facts);
      const root = await settled;
      await deliver(treeEvent(root, session, ruling.policy, { packet: 0, flow: -1, turn: 0, time }, this.#detailed));
    } finally {
      closeSync(file);
    }
    return { packets: 0, bytes: done, ignoredPackets: {}, damage, failures: this.#failures() };
  }

  #failures(): string[] {
    return [this.#rules.unused, this.#keeper?.failure].filter((failure) => failure !== undefined);
  }

  close(): void {
    this.#unpackers.close();
    this.#readings.close();
    this.#rules.pool?.close();
  }

  get #detailed(): boolean {
    return this.#setup.detailed === true;
  }

  #rule(client: Endpoint, server: Endpoint, service: string | undefined): Ruling {
    const {
      facts: policyFacts,
      srcUuid,
      dstUuid,
      profiles,
    } = this.#match?.(client, server, service) ?? NOTHING_CONFIGURED;
    let policy = this.#policies.get(profiles);
    if (policy === undefined) {
      policy = createPolicy(profiles, typesByName);
      this.#policies.set(profiles, policy);
    }
    const facts = { policy: policyFacts, srcUuid, dstUuid };
    return { facts, policy, bounds: inspectionLimits(profiles.protocolOptions, protocolKey({ service })) };
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
