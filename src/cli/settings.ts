/** What commands share of what a user configures: the configuration file, the signatures, the time zone. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { ConfigError } from '../core/errors.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { BUILT_IN_SIGNATURES } from '../scan/signatures.js';
import { said } from './inputs.js';

export function signaturePaths(more: readonly string[]): string[] {
  return [BUILT_IN_SIGNATURES, ...more];
}

/** The configuration, when the user gave one. Throws ConfigError with everything that is wrong, a line each. */
export async function loadConfig(
  path: string | undefined,
): Promise<{ config: Config | undefined; warnings: readonly string[] }> {
  if (path === undefined) return { config: undefined, warnings: [] };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${said(cause)}`, { cause });
  }
  const { readConfig } = await import('../config/config.js');
  return readConfig(text, path);
}

/** `config system global / set timezone`; undefined: the zone of the environment. */
export function configuredZone(config: Config | undefined): string | undefined {
  return config?.sections['system global'].timezone;
}

/** The clamd to be asked: the one named on the command line, else the configuration's. */
export function chosenClamd(named: ClamdAddress | undefined, config: Config | undefined): ClamdAddress | undefined {
  return named ?? config?.sections['antivirus settings'].clamd;
}
