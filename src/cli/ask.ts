/** `inspectd diagnose`, `get` and `execute`: a command for the daemon that runs. */
import { ask as askDaemon } from '../control/client.js';
import { controlSocket } from '../live/state-directory.js';
import { loadConfig } from './settings.js';

export interface AskOptions {
  readonly config?: string;
  readonly control?: string;
}

/** The exit status. Rejects with ConfigError (what the daemon says is wrong) or SourceError (there is no daemon). */
export async function ask(words: readonly string[], options: AskOptions): Promise<number> {
  const path = options.control ?? controlSocket((await loadConfig(options.config)).config);
  await askDaemon(path, words, (text) => process.stdout.write(text));
  return 0;
}
