/**
 * The endpoints that are known, by UID and by address. The primary process holds the one that EMS feeds; each worker holds a copy that the
 * primary keeps up to date. A change is told only when it is one, after it holds.
 */
import type { Endpoint, Endpoints } from './endpoint.js';

/** How many endpoints are kept; FortiOS speaks of 50,000. What comes beyond is refused. */
export const MOST_ENDPOINTS = 200_000;

/** What became of one endpoint: `after` undefined: it is gone. One of both is given. */
export interface EndpointChange {
  readonly uid: string;
  readonly before: Endpoint | undefined;
  readonly after: Endpoint | undefined;
}

export class EndpointRegistry implements Endpoints {
  readonly #most: number;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #byAddress = new Map<string, Set<string>>();
  readonly #listeners = new Set<(changes: readonly EndpointChange[]) => void>();

  constructor(most = MOST_ENDPOINTS) {
    this.#most = most;
  }

  get size(): number {
    return this.#endpoints.size;
  }

  /** It is so from now on. False: there is no room for another. Listeners are called before it returns, unless nothing changed. */
  update(endpoint: Endpoint): boolean {
    return this.apply([endpoint]);
  }

  /** It is no longer known: who has its certificate has no tags, and is not online. */
  remove(uid: string): void {
    this.apply([], [uid]);
  }

  /** Several changes as one: listeners are called once. False: some were refused for want of room. */
  apply(updated: readonly Endpoint[], removed: readonly string[] = []): boolean {
    const changes: EndpointChange[] = [];
    let room = true;
    for (const uid of removed) {
      const before = this.#endpoints.get(uid);
      if (before === undefined) continue;
      this.#endpoints.delete(uid);
      this.#leave(before);
      changes.push({ uid, before, after: undefined });
    }
    for (const after of updated) {
      const before = this.#endpoints.get(after.uid);
      if (before === undefined && this.#endpoints.size >= this.#most) room = false;
      else if (before === undefined || !same(before, after)) {
        if (before !== undefined) this.#leave(before);
        this.#keep(after);
        changes.push({ uid: after.uid, before, after });
      }
    }
    if (changes.length > 0) for (const listener of [...this.#listeners]) listener(changes);
    return room;
  }

  byUid(uid: string): Endpoint | undefined {
    return this.#endpoints.get(uid);
  }

  /** All that were last seen at `address`. */
  byAddress(address: string): readonly Endpoint[] {
    return [...(this.#byAddress.get(address) ?? [])].flatMap((uid) => this.#endpoints.get(uid) ?? []);
  }

  get(uid: string): Endpoint | undefined {
    return this.#endpoints.get(uid);
  }

  /** In the order in which they became known. */
  values(): IterableIterator<Endpoint> {
    return this.#endpoints.values();
  }

  /** Called with what changed, after it holds, until the function returned is called. */
  onChange(listener: (changes: readonly EndpointChange[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch(changed: (uids: ReadonlySet<string>) => void): () => void {
    return this.onChange((changes) => changed(new Set(changes.map(({ uid }) => uid))));
  }

  #keep(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.uid, endpoint);
    for (const address of endpoint.addresses) {
      const uids = this.#byAddress.get(address);
      if (uids === undefined) this.#byAddress.set(address, new Set([endpoint.uid]));
      else uids.add(endpoint.uid);
    }
  }

  /** It is no longer where it was. */
  #leave({ uid, addresses }: Endpoint): void {
    for (const address of addresses) {
      const uids = this.#byAddress.get(address);
      uids?.delete(uid);
      if (uids?.size === 0) this.#byAddress.delete(address);
    }
  }
}

/** Both are plain data of a few short lists. */
function same(a: Endpoint, b: Endpoint): boolean {
  return (
    a.emsSerial === b.emsSerial &&
    a.certificateSerial === b.certificateSerial &&
    a.revoked === b.revoked &&
    a.online === b.online &&
    a.quarantined === b.quarantined &&
    a.domain === b.domain &&
    a.user === b.user &&
    a.owner === b.owner &&
    equal(a.addresses, b.addresses) &&
    equal(a.macs, b.macs) &&
    equal(a.tags, b.tags)
  );
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index]);
}
