/** Where the daemon keeps what it makes itself, unless the configuration names a directory: certificates, quarantine, the control socket. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.js';

export function stateDirectory(config: Config | undefined): string {
  const named = config?.sections['inspectd settings'].stateDirectory;
  if (named !== undefined) return named;
  if (process.getuid?.() === 0) return '/var/lib/inspectd';
  return join(process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'inspectd');
}

/** `state`: the state directory. */
export function quarantineDirectory(state: string): string {
  return join(state, 'quarantine');
}

export function controlSocket(config: Config | undefined): string {
  return config?.sections['inspectd settings'].controlSocket ?? join(stateDirectory(config), 'control.sock');
}
