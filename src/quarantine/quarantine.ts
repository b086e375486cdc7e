/**
 * Where infected files are kept: a directory of the daemon's own, shared by its processes, that nobody else can read. A file lies there once,
 * under the name of its SHA-256, and is whole when it has that name. The quota counts what is being written as well, so that processes that
 * write at the same time do not go over it together.
 *
 * Keeping a file is never more important than stopping it: nothing here throws at whoever found the virus, and nothing takes for ever.
 */
import type { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Content } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import { HASH, type QuarantineEntry, readEntry, type Sighting, writeEntry } from './entry.js';

/** `config antivirus quarantine`. Bytes and milliseconds; `Infinity`: no bound of its own. */
export interface QuarantineSettings {
  /** All files together. */
  readonly quota: number;
  /** One file. */
  readonly largest: number;
  /** Since it came last. */
  readonly age: number;
  /** What goes when there is no room: what came, or the oldest. */
  readonly full: 'refuse' | 'oldest';
}

export interface QuarantineOptions {
  readonly directory: string;
  readonly settings: QuarantineSettings;
  readonly limits: Pick<Limits, 'quarantineBytes' | 'quarantineFiles' | 'quarantineWaiting' | 'quarantineTime'>;
  /** Milliseconds since 1970, as the file system counts them. */
  readonly now: () => number;
  /** Told when a file could not be kept, but for its size. */
  readonly failed: (what: string) => void;
}

/** What became of a file. `not-kept`: there is no room, or the disk failed. */
export type Kept = 'kept' | 'too-large' | 'not-kept';

/** So much is written at once. */
const PIECE = 1024 * 1024;
/** A file of which no more came for so long was left by a process that died. */
const LEFT_OVER = 3_600_000;
/** Names of one process's unfinished files. */
let count = 0;

export class Quarantine {
  settings: QuarantineSettings;
  readonly #directory: string;
  readonly #limits: QuarantineOptions['limits'];
  readonly #now: () => number;
  readonly #failed: (what: string) => void;
  /** One file after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: QuarantineOptions) {
    this.#directory = options.directory;
    this.settings = options.settings;
    this.#limits = options.limits;
    this.#now = options.now;
    this.#failed = options.failed;
  }

  /**
   * Keeps an infected file, whose `content` must stay readable until the promise settles. Never rejects. A file that is there already is kept
   * once, and its time begins anew.
   */
  async keep(
    sha256: string,
    content: Content,
    viruses: ReadonlySet<string>,
    sighting: Omit<Sighting, 'time'>,
  ): Promise<Kept> {
    if (content.length > this.settings.largest) return 'too-large';
    if (this.#waiting >= this.#limits.quarantineWaiting) return this.#not('too many files at once');
    this.#waiting++;
    const cut = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => {
        cut.abort();
        resolve('late');
      }, this.#limits.quarantineTime);
    });
    const turn = this.#last.then(() =>
      this.#keep(sha256, content, viruses, { time: new Date(this.#now()).toISOString(), ...sighting }, cut.signal),
    );
    this.#last = turn.catch(() => {});
    try {
      const done = await Promise.race([turn, late]);
      if (done === 'late') return this.#not('the disk does not answer');
      return done === undefined ? 'kept' : this.#not(done);
    } catch (error) {
      return this.#not(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      this.#waiting--;
    }
  }

  /** Removes what is too old. Never rejects. */
  async sweep(): Promise<void> {
    await this.#stored().catch(() => {});
  }

  #not(what: string): 'not-kept' {
    this.#failed(what);
    return 'not-kept';
  }

  /** Undefined: it is kept. Otherwise why not. Rejects where the disk fails. */
  async #keep(
    sha256: string,
    content: Content,
    viruses: ReadonlySet<string>,
    sighting: Sighting,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    signal.throwIfAborted();
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, sha256);
    if (await isThere(path)) {
      await this.#again(path, viruses, sighting);
      return undefined;
    }
    if (content.length > this.#quota) return 'larger than the quota';
    const partial = join(this.#directory, `.${process.pid}-${++count}.partial`);
    const file = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      try {
        await write(file, content, signal);
      } finally {
        await file.close();
      }
      if (!(await this.#makeRoom(content.length))) return 'the quarantine is full';
      // Whoever wrote the same file meanwhile was first.
      signal.throwIfAborted();
      if (await linked(partial, path)) {
        const entry = {
          sha256,
          size: content.length,
          viruses: [...viruses],
          count: 1,
          first: sighting,
          last: sighting,
        };
        await this.#describe(path, entry);
      } else await this.#again(path, viruses, sighting);
      return undefined;
    } finally {
      await unlink(partial).catch(() => {});
    }
  }

  get #quota(): number {
    const { quota } = this.settings;
    return Number.isFinite(quota) ? quota : this.#limits.quarantineBytes;
  }

  /** It is there already. */
  async #again(path: string, viruses: ReadonlySet<string>, sighting: Sighting): Promise<void> {
    const now = new Date(this.#now());
    await utimes(path, now, now).catch(() => {});
    const known = await entryOf(path);
    if (known === undefined) {
      const { size } = await stat(path);
      const sha256 = path.slice(-64);
      await this.#describe(path, { sha256, size, viruses: [...viruses], count: 1, first: sighting, last: sighting });
      return;
    }
    const all = [...new Set([...known.viruses, ...viruses])];
    await this.#describe(path, { ...known, viruses: all, count: known.count + 1, last: sighting });
  }

  /** The file is what counts: one that could not be described is kept all the same. */
  async #describe(path: string, entry: QuarantineEntry): Promise<void> {
    const partial = join(this.#directory, `.${process.pid}-${++count}.partial`);
    try {
      const file = await open(partial, 'wx', 0o600);
      try {
        await file.writeFile(writeEntry(entry));
      } finally {
        await file.close();
      }
      await rename(partial, `${path}.json`);
    } catch (error) {
      await unlink(partial).catch(() => {});
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  /** Is there room for what was just written, `length` bytes of the sum? Makes it, where the settings say so. */
  async #makeRoom(length: number): Promise<boolean> {
    const stored = await this.#stored();
    let { total } = stored;
    let files = stored.files.length + 1;
    const fits = (): boolean => total <= this.#quota && files <= this.#limits.quarantineFiles;
    if (fits()) return true;
    if (this.settings.full === 'refuse' || length > this.#quota) return false;
    for (const { path, size } of stored.files.sort((a, b) => a.at - b.at)) {
      await remove(path);
      total -= size;
      files--;
      if (fits()) return true;
    }
    return false;
  }

  /** What lies there, without what has become too old, which goes; `total` counts what is being written as well. */
  async #stored(): Promise<{ readonly total: number; readonly files: { path: string; size: number; at: number }[] }> {
    const now = this.#now();
    const files: { path: string; size: number; at: number }[] = [];
    let total = 0;
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      // Another process may take it away meanwhile.
      const found = await stat(path).catch(() => undefined);
      if (found === undefined || !found.isFile()) continue;
      const age = now - found.mtimeMs;
      if (HASH.test(name)) {
        if (age > this.settings.age) {
          await remove(path);
          continue;
        }
        files.push({ path, size: found.size, at: found.mtimeMs });
        total += found.size;
      } else if (name.endsWith('.partial')) {
        if (age > LEFT_OVER) await unlink(path).catch(() => {});
        else total += found.size;
      }
    }
    return { total, files };
  }
}

async function write(file: FileHandle, content: Content, signal: AbortSignal): Promise<void> {
  for (let at = 0; at < content.length; ) {
    // After the deadline its memory is somebody else's.
    signal.throwIfAborted();
    const piece: Buffer = content.read(at, PIECE);
    if (piece.length === 0) throw new Error('the file is shorter than it was');
    for (let written = 0; written < piece.length; ) {
      const { bytesWritten } = await file.write(piece, written, piece.length - written);
      written += bytesWritten;
    }
    at += piece.length;
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** False: there is one of that name. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function entryOf(path: string): Promise<QuarantineEntry | undefined> {
  return readEntry(await readFile(`${path}.json`, 'utf8').catch(() => ''));
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => {});
  await unlink(`${path}.json`).catch(() => {});
}
