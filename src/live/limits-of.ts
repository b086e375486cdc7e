/** The limits of a daemon: the defaults, but for what `config inspectd settings` says. */
import type { Config } from '../config/config.js';
import { LIVE_LIMITS, type Limits } from '../core/limits.js';

export function limitsOf(config: Config): Limits {
  const { overrideTimeout } = config.sections['antivirus settings'];
  const settings = config.sections['inspectd settings'];
  return {
    ...LIVE_LIMITS,
    ...(overrideTimeout === 0 ? {} : { scanTime: overrideTimeout }),
    sessions: settings.maxSessions,
    dialTime: settings.dialTimeout,
    greetingTime: settings.greetingTimeout,
    handshakeTime: settings.handshakeTimeout,
    idleTime: settings.idleTimeout,
    slowTime: settings.slowTimeout,
    drainTime: settings.drainTimeout,
  };
}
