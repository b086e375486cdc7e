/**
 * The endpoints of the simulated EMS: what each is like, which tags that earns it, and what changed since when. Kept in a file, so that the
 * simulator goes on where it ended.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

export const SYSTEMS = ['windows', 'macos', 'linux'] as const;

export interface SimulatedEndpoint {
  readonly uid: string;
  readonly hostname: string;
  readonly user: string;
  readonly os: (typeof SYSTEMS)[number];
  readonly addresses: readonly string[];
  readonly macs: readonly string[];
  readonly certificateSerial: string;
  readonly antivirus: boolean;
  readonly lowRisk: boolean;
  readonly online: boolean;
  readonly revoked: boolean;
  readonly quarantined: boolean;
}

/** What a person, or a call, may change. */
export type Change = Partial<
  Pick<SimulatedEndpoint, 'antivirus' | 'lowRisk' | 'online' | 'revoked' | 'quarantined' | 'user' | 'addresses'>
>;

/** The tagging rules of the seeds' example, in the order in which EMS names them. */
export function tagsOf({ antivirus, lowRisk }: SimulatedEndpoint): string[] {
  return [...(antivirus ? ['AV-enabled'] : []), 'all_registered_clients', ...(lowRisk ? ['Low'] : [])];
}

/** Removals that are remembered; who asks for older ones is told all. */
const MOST_REMOVED = 1_000;

export class SimulatedEndpoints {
  /** Names this life of it: revisions of another mean nothing. */
  readonly boot: string = randomBytes(8).toString('hex');
  readonly #path: string | undefined;
  readonly #endpoints = new Map<string, SimulatedEndpoint>();
  #sorted: readonly SimulatedEndpoint[] | undefined;
  readonly #changedAt = new Map<string, number>();
  #removed: { readonly uid: string; readonly revision: number }[] = [];
  /** Removals up to here are forgotten. */
  #forgotten = 0;
  #revision = 1;
  readonly #waiting = new Set<() => void>();

  /** `path`: where they are kept; undefined: nowhere. */
  constructor(path?: string) {
    this.#path = path;
    if (path === undefined) return;
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      // The first start.
      return;
    }
    for (const endpoint of JSON.parse(text) as SimulatedEndpoint[]) this.#endpoints.set(endpoint.uid, endpoint);
  }

  get revision(): number {
    return this.#revision;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  get(uid: string): SimulatedEndpoint | undefined {
    return this.#endpoints.get(uid);
  }

  at(address: string): SimulatedEndpoint | undefined {
    return this.values().find(({ addresses }) => addresses.includes(address));
  }

  /** By UID. */
  values(): readonly SimulatedEndpoint[] {
    this.#sorted ??= [...this.#endpoints.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1));
    return this.#sorted;
  }

  put(endpoint: SimulatedEndpoint): void {
    this.#endpoints.set(endpoint.uid, endpoint);
    this.#changedAt.set(endpoint.uid, ++this.#revision);
    this.#told();
  }

  /** False: there is none of that UID. */
  change(uid: string, change: Change): boolean {
    const known = this.#endpoints.get(uid);
    if (known === undefined) return false;
    this.put({ ...known, ...change });
    return true;
  }

  remove(uid: string): void {
    if (!this.#endpoints.delete(uid)) return;
    this.#changedAt.delete(uid);
    this.#removed.push({ uid, revision: ++this.#revision });
    if (this.#removed.length > MOST_REMOVED) this.#forgotten = this.#removed.shift()?.revision ?? 0;
    this.#told();
  }

  /** Undefined: that was too long ago, ask for all. */
  since(revision: number): { changed: SimulatedEndpoint[]; removed: string[] } | undefined {
    if (revision > this.#revision || revision < this.#forgotten) return undefined;
    return {
      changed: this.values().filter(({ uid }) => (this.#changedAt.get(uid) ?? 0) > revision),
      removed: this.#removed.filter((each) => each.revision > revision).map(({ uid }) => uid),
    };
  }

  /** Settles when something changes after `revision`, or after so many milliseconds. */
  changed(revision: number, milliseconds: number): Promise<void> {
    if (this.#revision > revision) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#waiting.add(done);
    });
  }

  /** Nobody waits any more. */
  close(): void {
    this.#wake();
  }

  #told(): void {
    this.#sorted = undefined;
    this.#wake();
    this.#save();
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  #save(): void {
    if (this.#path === undefined) return;
    const draft = `${this.#path}.draft`;
    writeFileSync(draft, `${JSON.stringify(this.values(), undefined, 2)}\n`, { mode: 0o600 });
    renameSync(draft, this.#path);
  }
}
