/**
 * Errors that are thrown. What a peer sends is never one of them: that is data (`flow.anomaly`, `Finding`).
 * Each class has a stable `code` for scripts and a message that says what, where and what to do.
 */

/** The user can mend it: a configuration, an option, a signature file. Names the file and the line where there is one. */
export class ConfigError extends Error {
  readonly code: string = 'INSPECTD_CONFIG';
  override readonly name: string = 'ConfigError';
  /** Each thing to mend, one line each; a configuration file is read to its end, so there can be several. */
  readonly problems: readonly string[];

  constructor(problem: string | readonly string[], options?: ErrorOptions) {
    super(typeof problem === 'string' ? problem : problem.join('\n'), options);
    this.problems = typeof problem === 'string' ? [problem] : problem;
  }
}

/** A file, socket or scanner failed us; `cause` holds what it said. */
export class SourceError extends Error {
  readonly code: string = 'INSPECTD_SOURCE';
  override readonly name: string = 'SourceError';
}

/** Our own bug. The flow that it happens in fails closed. */
export class InternalError extends Error {
  readonly code: string = 'INSPECTD_INTERNAL';
  override readonly name: string = 'InternalError';
}
