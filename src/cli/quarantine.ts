/** `inspectd quarantine`: what the daemon kept of what was infected. Looks at the directory itself; the daemon need not run. */
import { ConfigError } from '../core/errors.js';
import { quarantineDirectory, stateDirectory } from '../live/state-directory.js';
import {
  deleteQuarantined,
  findQuarantined,
  listQuarantine,
  type Quarantined,
  releaseQuarantined,
} from '../quarantine/look.js';
import { loadConfig } from './settings.js';

export interface QuarantineOptions {
  readonly config?: string;
  readonly directory?: string;
}

/** `words`: what was typed behind `quarantine`. The exit status. Rejects with ConfigError or SourceError. */
export async function quarantine(words: readonly string[], options: QuarantineOptions): Promise<number> {
  const directory = options.directory ?? quarantineDirectory(stateDirectory((await loadConfig(options.config)).config));
  const [what, hash, to, more] = words;
  if (what === 'list' && hash === undefined) print(listed(listQuarantine(directory)));
  else if (what === 'show' && hash !== undefined && to === undefined) print(shown(findQuarantined(directory, hash)));
  else if (what === 'delete' && hash !== undefined && to === undefined)
    deleteQuarantined(directory, findQuarantined(directory, hash));
  else if (what === 'release' && hash !== undefined && to !== undefined && more === undefined)
    releaseQuarantined(directory, findQuarantined(directory, hash), to);
  else
    throw new ConfigError(
      'say list, show HASH, release HASH FILE or delete HASH (inspectd quarantine --help explains)',
    );
  return 0;
}

function print(text: string): void {
  process.stdout.write(text);
}

function listed(files: readonly Quarantined[]): string {
  const lines = files.map(({ sha256, size, entry }) =>
    entry === undefined
      ? `${sha256}  ${size}  (nothing is known of it)`
      : [
          sha256,
          size,
          entry.last.time,
          `${entry.count}x`,
          entry.viruses.map((virus) => plain(virus)).join(','),
          plain(nameOf(entry.last.names)),
        ].join('  '),
  );
  return `${[...lines, `${files.length} files`].join('\n')}\n`;
}

/** JSON escapes every control character, but for those of eight bits and those that turn text around. */
function shown({ sha256, size, entry }: Quarantined): string {
  return `${plain(JSON.stringify(entry ?? { sha256, size }, undefined, 2), '\n')}\n`;
}

function nameOf(names: readonly string[]): string {
  return names[0] ?? '-';
}

/** What a peer called something, without what a terminal would obey or a reader be misled by. */
function plain(text: string, but = ''): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (each) => (but.includes(each) ? each : '?'));
}
