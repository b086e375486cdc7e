/**
 * The inspection stage: what somebody's proxy, or our daemon, hands connections to. It keeps no global state: several stages with
 * different configurations live in one process.
 *
 * What is copied and what is lent. `StagedConnection.receive` takes chunks over: they may be kept, and go out again as they are. What
 * `ConnectionOutput.write` is given is the caller's. Calls of the output come from within `receive`, `end`, `tlsReady` and `close`, and from
 * answers that arrive later (a scanner, a timer), never from within each other. When a connection closes with something held, that is
 * dropped: it never goes out.
 */
import { PROTOCOLS } from '../../protocols/index.js';
import { type Config, readConfig } from '../config/config.js';
import { LIVE_LIMITS, type Limits } from '../core/limits.js';
import type { Secret } from '../core/secret.js';
import { createCrypto } from '../crypto/crypto.js';
import { candidates } from '../flow/detect.js';
import { Inspector, type InspectorSetup } from '../inspector/inspector.js';
import type { LogSink } from '../log/sink.js';
import { type TimeZone, timeZone } from '../log/time-zone.js';
import { toRecord } from '../log/utm.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { BUILT_IN_SIGNATURES } from '../scan/signatures.js';
import { type ConnectionFacts, StagedConnection } from './connection.js';
import type { StageContext } from './context.js';
import type { ConnectionOutput } from './output.js';
import { Quarantining } from './quarantining.js';

export interface StageOptions {
  /** FortiOS CLI text, or a configuration that was read. Without one: antivirus on with block, no file filter. */
  readonly config?: Config | string;
  /** Signature files and directories beside the built-in ones. */
  readonly signatures?: readonly string[];
  readonly clamd?: ClamdAddress;
  /** Credentials for SMB sessions that are sealed or signed. */
  readonly secrets?: readonly Secret[];
  readonly limits?: Partial<Limits>;
  /** Where utm records go; a verdict waits until its records are written. Without one they are lost, and `output.event` is told outcomes. */
  readonly log?: LogSink;
  /**
   * A directory of the stage's own for infected files, made when the first is kept; several stages and processes may share it. What is kept
   * there the configuration says (`config antivirus quarantine`, `set quarantine enable` in a profile). Without one nothing is.
   */
  readonly quarantine?: string;
  /** What goes wrong without changing a verdict: an infected file that could not be kept. */
  readonly problem?: (what: string) => void;
  /** The zone of the records' date and time; the system's unless told. */
  readonly zone?: TimeZone;
  /** Nanoseconds since 1970. */
  readonly wallClock?: () => bigint;
}

export class InspectionStage {
  readonly #inspector: Inspector;
  readonly #options: StageOptions;
  readonly #context: StageContext;
  #held = 0;
  #lastId = 0;

  /**
   * Reads configuration and signatures, and proves that EICAR is found. Rejects with ConfigError (configuration, signatures) or InternalError.
   */
  static async start(options: StageOptions = {}): Promise<InspectionStage> {
    const setup = setupOf(options);
    const zone = options.zone ?? timeZone(setup.config?.sections['system global'].timezone);
    return new InspectionStage(options, setup, await Inspector.start(setup), zone);
  }

  private constructor(options: StageOptions, setup: InspectorSetup, inspector: Inspector, zone: TimeZone) {
    this.#options = options;
    this.#inspector = inspector;
    const { limits } = inspector;
    const wallClock = options.wallClock ?? (() => BigInt(Date.now()) * 1_000_000n);
    this.#context = {
      inspector,
      inspection: inspector.inspection,
      limits,
      candidates: candidatesOf(options),
      quarantining:
        options.quarantine === undefined
          ? undefined
          : new Quarantining(
              options.quarantine,
              setup.config,
              limits,
              () => Number(wallClock() / 1_000_000n),
              (what) => options.problem?.(`quarantine ${options.quarantine}: ${what}`),
            ),
      log: (outcome, session, fate) =>
        options.log?.write(toRecord(outcome, session, { eventTime: wallClock(), zone, fate })),
      now: () => performance.now(),
      timer: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      repeat: (ms, run) => {
        const timer = setInterval(run, ms);
        return () => clearInterval(timer);
      },
      hold: (change) => {
        this.#held += change;
        return change <= 0 || this.#held <= limits.heldInAll;
      },
    };
  }

  /** Bytes that wait for verdicts in all its connections. */
  get held(): number {
    return this.#held;
  }

  /** Takes a connection on: hand it what both ends send, and do what it asks of `output`. */
  open(facts: ConnectionFacts, output: ConnectionOutput): StagedConnection {
    return new StagedConnection({ id: ++this.#lastId, ...facts }, output, this.#context);
  }

  /**
   * Takes another configuration, and reads the signatures again. Connections go on; what they open from now on is judged anew, by the policy
   * that they were admitted by. `clamd: undefined`: none is asked any more. Rejects with ConfigError, and then all stays as it was.
   */
  async reload(
    options: Pick<StageOptions, 'config' | 'signatures' | 'secrets'> & { readonly clamd?: ClamdAddress | undefined },
  ): Promise<void> {
    const setup = setupOf({ ...this.#options, ...options });
    await this.#inspector.reload(setup);
    if (options.secrets !== undefined) this.#context.candidates = candidatesOf(options);
    this.#context.quarantining?.configure(setup.config);
  }

  /** Ends its processes. Close its connections before. */
  close(): void {
    this.#inspector.close();
    this.#context.quarantining?.close();
  }
}

function candidatesOf({ secrets }: Pick<StageOptions, 'secrets'>): StageContext['candidates'] {
  return candidates(PROTOCOLS, { crypto: createCrypto(), secrets: secrets ?? [] });
}

function setupOf(options: Omit<StageOptions, 'clamd'> & { readonly clamd?: ClamdAddress | undefined }): InspectorSetup {
  const { config } = options;
  return {
    config: typeof config === 'string' ? readConfig(config, 'configuration').config : config,
    signatures: [BUILT_IN_SIGNATURES, ...(options.signatures ?? [])],
    limits: { ...LIVE_LIMITS, ...options.limits },
    knownAs: 'cached',
    clamd: options.clamd,
  };
}
