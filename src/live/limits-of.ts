/** The limits of a daemon: the defaults, but for what `config inspectd settings` says. */
import type { Config } from '../config/config.js';
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js';

export function limitsOf(config: Config): Limits {
  const settings = config.sections['inspectd settings'];
  return {
    ...DEFAULT_LIMITS,
    sessions: settings.maxSessions,
    dialTime: settings.dialTimeout,
    greetingTime: settings.greetingTimeout,
    handshakeTime: settings.handshakeTimeout,
    idleTime: settings.idleTimeout,
    drainTime: settings.drainTimeout,
  };
}
