import type { ScanSetup } from '../capture/scan-thread.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { BUILT_IN_SIGNATURES } from '../scan/signatures.js';

/** What `inspectd scan` works with when it is told nothing, but for `changes`. */
export function scanSetup(changes: Partial<ScanSetup> = {}): ScanSetup {
  return {
    config: undefined,
    signatures: [BUILT_IN_SIGNATURES],
    limits: DEFAULT_LIMITS,
    hashMessages: false,
    keyLogs: [],
    secrets: [],
    clamd: undefined,
    extract: undefined,
    ...changes,
  };
}
