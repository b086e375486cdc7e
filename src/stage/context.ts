/** What a connection in the stage is given by the stage that it is in. */
import type { Inspection } from '../content/inspection.js';
import type { Limits } from '../core/limits.js';
import type { SessionInfo } from '../core/session.js';
import type { Candidate } from '../flow/detect.js';
import type { Inspector } from '../inspector/inspector.js';
import type { Fate, Outcome } from '../policy/outcome.js';
import type { Quarantining } from './quarantining.js';

/** What the connections of one stage share. */
export interface StageContext {
  readonly inspector: Inspector;
  readonly inspection: Inspection;
  readonly limits: Limits;
  /** Those of the connections to come. */
  candidates: readonly Candidate[];
  /** Where infected files are kept, if anywhere. */
  readonly quarantining: Quarantining | undefined;
  /** Writes the record of an outcome; `fate`: what became of an infected file beside that. */
  log(outcome: Outcome, session: SessionInfo, fate: Fate): void | Promise<void>;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Runs once after so many milliseconds, or until the function returned is called. */
  timer(ms: number, run: () => void): () => void;
  repeat(ms: number, run: () => void): () => void;
  /** Bytes held in all connections grew or shrank. False when there is no room. */
  hold(change: number): boolean;
}
