/**
 * What one thread inspects with: its memory, its scanners and what takes files apart, and the policy that each session falls under.
 * Every driver has one: each thread of a scan, each process of the daemon, each stage of somebody's proxy.
 */
import { availableParallelism } from 'node:os';
import type { Config } from '../config/config.js';
import { type MatchPolicy, type PolicyMatch, policyMatcher } from '../config/match-policy.js';
import { createUnpackers, type Unpackers } from '../content/archive/unpackers.js';
import { Inspection } from '../content/inspection.js';
import { createMimeExtractor } from '../content/mime/mime-extractor.js';
import { Readings } from '../content/mime/readings/readings.js';
import type { Tools } from '../content/node.js';
import type { FileBounds } from '../content/tree.js';
import { identify } from '../content/types/identify.js';
import { typesByName } from '../content/types/names.js';
import { Arena } from '../core/arena.js';
import { SourceError } from '../core/errors.js';
import type { Scanner } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';
import { sharedArena } from '../kernels/memory.js';
import { createPolicy } from '../policy/decide.js';
import { inspectionLimits } from '../policy/inspection-limits.js';
import type { Policy } from '../policy/outcome.js';
import { BUILT_IN_PROFILES, type SessionProfiles } from '../policy/profiles.js';
import { protocolKey } from '../policy/protocol-key.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { DigestThread } from '../scan/digest-thread.js';
import { remembering } from '../scan/remembering.js';
import { createScanners, selfTest } from '../scan/scanners.js';
import { loadSignatures, YARA } from '../scan/signatures.js';
import type { YaraPool } from '../scan/yara-pool.js';

/** What to inspect with and by which rules. */
export interface InspectorSetup {
  /** Undefined: the built-in profiles, which block whatever is bad or cannot be inspected. */
  readonly config: Config | undefined;
  /** Signature files and directories. */
  readonly signatures: readonly string[];
  readonly limits: Limits;
  /** A clamd to be asked beside our own signatures. */
  readonly clamd: ClamdAddress | undefined;
  /** Processes that run YARA rules, at most; each has all of them in memory. Undefined: as many as there are cores, and no more than four. */
  readonly ruleProcesses?: number;
  /** So many of them are started at once, since there is work for them: one, if undefined. */
  readonly ruleProcessesAtOnce?: number;
  /** Files may come while the rules are compiled (`Inspector.compiling`), and wait for them. */
  readonly rulesLater?: boolean;
  /** `startDigestThread` may be called: memory is shared. */
  readonly digestThread?: boolean;
  /** What a virus that is known from before is said to be found by (`cached`); undefined: as at the first time. */
  readonly knownAs?: string;
  /** Hash messages as well as what is in them. */
  readonly hashMessages?: boolean;
}

/** What policy applies to a session. */
export interface Ruling {
  /** What the configuration says of it for logs. */
  readonly match: PolicyMatch;
  readonly policy: Policy;
  /** What its profile adds to the limits of inspection. */
  readonly bounds: FileBounds;
}

/** 512 MiB of address space: the slots, a capture's read block, kernels' scratch areas. Pages cost nothing until they are touched. */
const ARENA_PAGES = 8192;
const USUAL_RULE_PROCESSES = 4;
/** The most that `uncompressed-nest-limit` can ask for: with a configuration the profiles are the bound. */
const MOST_NESTING = 100;
const NOTHING_CONFIGURED: PolicyMatch = {
  facts: { id: 0, type: 'policy' },
  srcUuid: undefined,
  dstUuid: undefined,
  profiles: BUILT_IN_PROFILES,
};

/** The scanners that a setup calls for. */
interface Engines {
  readonly scanners: Scanner[];
  readonly literals: readonly Buffer[];
  readonly rules: Rules;
  /** Rules that are compiled while files come. */
  readonly compiling?: Promise<Rules>;
}

interface Rules {
  readonly pool?: YaraPool;
  /** Why the user's YARA rules are not used. */
  readonly unused?: string;
}

export class Inspector {
  readonly arena: Arena;
  readonly inspection: Inspection;
  readonly limits: Limits;
  /** What inspection asks; exchanged in place when signatures are loaded again. */
  readonly #scanners: Scanner[];
  readonly #literals: readonly Buffer[];
  #digestThread: DigestThread | undefined;
  #rules: Rules;
  #compiling: Promise<void> | undefined;
  readonly #unpackers: Unpackers;
  readonly #readings: Readings;
  #match: MatchPolicy | undefined;
  /** By what the matched policy says; made once each. */
  #policies = new Map<SessionProfiles, Policy>();

  /** Reads the signatures and compiles the rules. Rejects with ConfigError when there is something wrong with them. */
  static async start(setup: InspectorSetup, keep?: Tools['keep']): Promise<Inspector> {
    return new Inspector(setup, await startEngines(setup, undefined), keep);
  }

  private constructor(setup: InspectorSetup, engines: Engines, keep: Tools['keep']) {
    const { config } = setup;
    this.arena = setup.digestThread === true ? sharedArena(ARENA_PAGES) : new Arena(ARENA_PAGES);
    this.limits = config === undefined ? setup.limits : { ...setup.limits, nesting: MOST_NESTING };
    this.#scanners = engines.scanners;
    this.#rules = engines.rules;
    this.#compiling = engines.compiling?.then((rules) => {
      this.#rules = rules;
      this.#compiling = undefined;
    });
    // Whoever waits hears of it.
    this.#compiling?.catch(() => {});
    this.#literals = engines.literals;
    this.#match = config === undefined ? undefined : policyMatcher(config);
    this.#unpackers = createUnpackers({ limits: this.limits });
    this.#readings = new Readings({ limits: this.limits });
    this.inspection = new Inspection({
      arena: this.arena,
      limits: this.limits,
      extractors: [createMimeExtractor({ arena: this.arena, limits: this.limits })],
      unpackers: this.#unpackers.unpackers,
      readings: this.#readings,
      scanners: this.#scanners,
      identify,
      hashContainers: setup.hashMessages === true,
      ...(keep === undefined ? {} : { keep }),
    });
  }

  /** Settles when the rules run, or cannot here (`unusedRules`); rejects with ConfigError. Undefined: that is over. */
  get compiling(): Promise<void> | undefined {
    return this.#compiling;
  }

  /** Why the user's YARA rules are not used, where they are not (no engine for this machine). */
  get unusedRules(): string | undefined {
    return this.#rules.unused;
  }

  /** What applies to a session; `service` is the protocol as decoded (`SMTP`), where it is known. */
  rule(client: Endpoint, server: Endpoint, service: string | undefined): Ruling {
    return this.ruling(this.#match?.(client, server, service) ?? NOTHING_CONFIGURED, service);
  }

  /** What applies to a session whose policy is known already. */
  ruling(match: PolicyMatch, service: string | undefined): Ruling {
    const { profiles } = match;
    let policy = this.#policies.get(profiles);
    if (policy === undefined) {
      policy = createPolicy(profiles, typesByName);
      this.#policies.set(profiles, policy);
    }
    return { match, policy, bounds: inspectionLimits(profiles.protocolOptions, protocolKey({ service })) };
  }

  /**
   * Takes another configuration and reads the signatures again. Files that are under way end with what they began with. Rejects as
   * `start` does, and then all stays as it was.
   */
  async reload(setup: InspectorSetup): Promise<void> {
    const match = setup.config === undefined ? undefined : policyMatcher(setup.config);
    const before = this.#rules.pool;
    const engines = await startEngines(setup, before);
    this.#scanners.splice(0, this.#scanners.length, ...engines.scanners);
    if (engines.rules.pool !== before) before?.close();
    this.#rules = engines.rules;
    this.#match = match;
    this.#policies = new Map();
  }

  /** There is much to be read: from now on files are hashed and searched in a second thread. Rules are matched where they were. */
  startDigestThread(): void {
    if (this.#digestThread !== undefined) return;
    this.#digestThread = new DigestThread(this.arena, this.#literals);
    this.inspection.digestBy(this.#digestThread);
  }

  /** Ends its processes. Files under way end as engine errors. */
  close(): void {
    this.#unpackers.close();
    this.#readings.close();
    this.#rules.pool?.close();
    this.#compiling?.then(() => this.#rules.pool?.close()).catch(() => {});
    this.#digestThread?.close();
  }
}

/** `running`: rules that run already, and may take others. */
async function startEngines(setup: InspectorSetup, running: YaraPool | undefined): Promise<Engines> {
  const signatures = loadSignatures(setup.signatures);
  const scanners = createScanners(signatures);
  selfTest(scanners);
  let rules: Rules = {};
  let compiling: Promise<Rules> | undefined;
  if (signatures.rules.length > 0) {
    const starting = startRules(setup, signatures.rules, running);
    if (setup.rulesLater === true) {
      compiling = starting;
      scanners.push({ name: YARA, scan: async (info, content) => (await starting).pool?.scan(info, content) ?? [] });
    } else {
      rules = await starting;
      if (rules.pool !== undefined) scanners.push(rules.pool);
    }
  }
  if (setup.clamd !== undefined) {
    const { createClamdScanner } = await import('../scan/clamd/clamd-scanner.js');
    scanners.push(createClamdScanner(setup.clamd, setup.limits));
  }
  const options = { limits: setup.limits, now: () => performance.now(), dtype: setup.knownAs };
  const literals = signatures.literals.map((literal) => literal.bytes);
  const remembered = scanners.map((scanner) => remembering(scanner, options));
  return { literals, scanners: remembered, rules, ...(compiling === undefined ? {} : { compiling }) };
}

async function startRules(
  setup: InspectorSetup,
  paths: readonly string[],
  running: YaraPool | undefined,
): Promise<Rules> {
  try {
    if (running !== undefined) {
      await running.reload(paths);
      return { pool: running };
    }
    // Loading the rule engine takes longer than scanning a small capture.
    const { createYaraPool } = await import('../scan/yara-pool.js');
    // Rules cost more than all the rest: while files wait for them the capture is read on.
    const processes = setup.ruleProcesses ?? Math.min(USUAL_RULE_PROCESSES, availableParallelism());
    const atOnce = setup.ruleProcessesAtOnce ?? 1;
    return { pool: await createYaraPool(paths, { limits: setup.limits, processes, atOnce }) };
  } catch (error) {
    // A machine that has no rule engine: literals and hashes are searched for all the same, and it is said.
    if (!(error instanceof SourceError)) throw error;
    return { unused: error.message };
  }
}
