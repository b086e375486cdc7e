/** `inspectd check`: is the configuration right, do the signatures load and find EICAR, what are the defaults. */
import { ConfigError } from '../core/errors.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { createScanners, selfTest } from '../scan/scanners.js';
import { loadSignatures } from '../scan/signatures.js';
import { chosenClamd, loadConfig, signaturePaths } from './settings.js';

export interface CheckOptions {
  readonly config?: string;
  readonly signatures: readonly string[];
  readonly clamd?: ClamdAddress;
  readonly defaults?: boolean;
}

/** The exit status. What is wrong is thrown as ConfigError, every line of it; a clamd that cannot be used as SourceError. */
export async function check(options: CheckOptions): Promise<number> {
  if (options.defaults === true) {
    const { describeDefaults } = await import('../config/defaults.js');
    process.stdout.write(`${describeDefaults()}\n`);
  }
  const { config, warnings } = await loadConfig(options.config);
  for (const warning of warnings) process.stderr.write(`inspectd: ${warning}\n`);
  if (config !== undefined) {
    const { checkDoors } = await import('../live/check-doors.js');
    checkDoors(config);
    const { configuredCertificates } = await import('../live/tls/trust-store.js');
    configuredCertificates(config);
    const { planResponse } = await import('../live/incident-response.js');
    planResponse(config);
  }
  const signatures = loadSignatures(signaturePaths(options.signatures));
  selfTest(createScanners(signatures));
  if (signatures.rules.length > 0) {
    const { compileRules } = await import('../scan/yara-rules.js');
    compileRules(signatures.rules, { refuseSlow: false });
    for (const line of slowRules(() => compileRules(signatures.rules, { refuseSlow: true })))
      process.stderr.write(`inspectd: ${line}\n`);
  }
  const clamd = chosenClamd(options.clamd, config);
  if (clamd !== undefined) {
    const { checkClamd } = await import('../scan/clamd/clamd-scanner.js');
    for (const line of await checkClamd(clamd, DEFAULT_LIMITS)) process.stderr.write(`inspectd: ${line}\n`);
  }
  return 0;
}

/** They compile; what YARA-X says of those that may take long. */
function slowRules(compile: () => void): string[] {
  try {
    compile();
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => `warning: ${line}`);
  }
}
