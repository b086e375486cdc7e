/** `inspectd ca`: the authority whose certificates stand in for servers', for clients to trust. Made where there is none yet. */

import { stateDirectory } from '../live/state-directory.js';
import { authorities } from '../live/tls/authority.js';
import { loadConfig } from './settings.js';

export interface CaOptions {
  readonly config?: string;
}

/** Prints the certificate, never the key: the exit status. Rejects with ConfigError or SourceError. */
export async function ca(options: CaOptions): Promise<number> {
  const { config } = await loadConfig(options.config);
  process.stdout.write(authorities(stateDirectory(config)).trusted.certificate.toString());
  return 0;
}
