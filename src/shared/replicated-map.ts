/**
 * A map of small texts that several nodes may share: bans, calls, endpoints. Each node has all of it and enforces what it has; what changes here is
 * handed to the link, where there is one, and what changes elsewhere comes in through it. It can be kept in a file, so that a node that starts
 * anew goes on with what it knew.
 */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';

export interface MapChange {
  readonly key: string;
  /** undefined: it is gone. */
  readonly value: string | undefined;
}

/** A change that the others have not heard yet. `was`: what it replaced; nobody else's newer value is deleted. */
export interface Unsent extends MapChange {
  readonly was: string | undefined;
}

/** `here`: this node changed it. */
export type Origin = 'here' | 'elsewhere';

export interface ReplicatedMapOptions {
  /** Names it among all nodes: `bans`. */
  readonly name: string;
  /** Entries; more are refused. */
  readonly most: number;
  /** Where it is kept; undefined: nowhere. */
  readonly path?: string;
  /** It cannot be read or written: the node goes on without. */
  problem(what: string): void;
}

/** Characters of one key and of one value; what is longer comes from nobody of ours. */
const KEY = 512;
const VALUE = 65_536;

export class ReplicatedMap {
  readonly name: string;
  readonly #options: ReplicatedMapOptions;
  readonly #entries = new Map<string, string>();
  readonly #listeners = new Set<(changes: readonly MapChange[], origin: Origin) => void>();
  /** Changes of this node that wait for a link, by key. */
  readonly #unsent = new Map<string, Unsent>();
  #shared = false;
  /** Which memory of the others this is a copy of, as the link calls it. */
  #epoch: string | undefined;
  #writing: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;

  constructor(options: ReplicatedMapOptions) {
    this.name = options.name;
    this.#options = options;
    this.#load();
  }

  get size(): number {
    return this.#entries.size;
  }

  get epoch(): string | undefined {
    return this.#epoch;
  }

  get(key: string): string | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<[string, string]> {
    return this.#entries.entries();
  }

  /** From now on changes of this node are kept until the link has sent them. */
  share(): void {
    this.#shared = true;
  }

  unsent(): readonly Unsent[] {
    return [...this.#unsent.values()];
  }

  /** The others have it, unless it changed again meanwhile. */
  sent(changes: readonly Unsent[]): void {
    for (const change of changes) if (this.#unsent.get(change.key) === change) this.#unsent.delete(change.key);
    void this.saved();
  }

  /** False: there is no room for another. Listeners are called before it returns. */
  set(key: string, value: string): boolean {
    return this.change([{ key, value }], 'here');
  }

  delete(key: string): void {
    this.change([{ key, value: undefined }], 'here');
  }

  /** Several as one. False: some were refused. */
  change(changes: readonly MapChange[], origin: Origin): boolean {
    let room = true;
    const made = changes.filter(({ key, value }) => {
      const was = this.#entries.get(key);
      // What this node changed, and the others have not heard, is newer.
      if (origin === 'elsewhere' && this.#unsent.has(key)) return false;
      if (was === value) return false;
      if (value === undefined) {
        this.#entries.delete(key);
        this.#keepUnsent({ key, value, was }, origin);
        return true;
      }
      const fits = key.length <= KEY && value.length <= VALUE;
      if (!fits || (!this.#entries.has(key) && this.#entries.size >= this.#options.most)) {
        room = false;
        return false;
      }
      this.#entries.set(key, value);
      this.#keepUnsent({ key, value, was }, origin);
      return true;
    });
    if (made.length === 0) return room;
    for (const listener of [...this.#listeners]) listener(made, origin);
    void this.saved();
    return room;
  }

  /** What all have in common is `entries`: what they lack is gone here too. */
  replace(entries: ReadonlyMap<string, string>, epoch: string): void {
    this.#epoch = epoch;
    const gone = [...this.#entries.keys()].filter((key) => !entries.has(key));
    this.change(
      [...gone.map((key) => ({ key, value: undefined })), ...[...entries].map(([key, value]) => ({ key, value }))],
      'elsewhere',
    );
    void this.saved();
  }

  onChange(listener: (changes: readonly MapChange[], origin: Origin) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Settles when what holds now is on the disk. Changes that come while it is written are one more write. Never rejects. */
  saved(): Promise<void> {
    if (this.#options.path === undefined) return Promise.resolve();
    this.#waiting ??= (this.#writing ?? Promise.resolve()).then(() => {
      this.#waiting = undefined;
      this.#writing = this.#save().finally(() => {
        this.#writing = undefined;
      });
      return this.#writing;
    });
    return this.#waiting;
  }

  #keepUnsent(change: Unsent, origin: Origin): void {
    if (!this.#shared || origin === 'elsewhere') return;
    // Of several changes of one key the others only need the last; what they have is what was there before the first.
    const first = this.#unsent.get(change.key);
    this.#unsent.set(change.key, first === undefined ? change : { ...change, was: first.was });
  }

  /** Whole under another name, then under its own: what a crash leaves is the old or the new one. */
  async #save(): Promise<void> {
    const { path, problem } = this.#options;
    if (path === undefined) return;
    const body = JSON.stringify({
      epoch: this.#epoch,
      entries: [...this.#entries],
      unsent: [...this.#unsent.values()],
    });
    try {
      await writeFile(`${path}.draft`, body, { mode: 0o600, flush: true });
      await rename(`${path}.draft`, path);
    } catch (error) {
      problem(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #load(): void {
    const { path, problem, most } = this.#options;
    if (path === undefined) return;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      // The first start.
      return;
    }
    try {
      const { epoch, entries, unsent } = JSON.parse(text) as Readonly<Record<string, unknown>>;
      if (!Array.isArray(entries) || entries.length > most) throw new TypeError('no entries');
      for (const [key, value] of entries as [unknown, unknown][])
        if (typeof key === 'string' && typeof value === 'string') this.#entries.set(key, value);
      this.#epoch = typeof epoch === 'string' ? epoch : undefined;
      for (const { key, value, was } of Array.isArray(unsent) ? (unsent as Unsent[]) : [])
        this.#unsent.set(key, { key, value, was });
    } catch {
      problem(`${path}: cannot be read, what it kept is lost`);
    }
  }
}
