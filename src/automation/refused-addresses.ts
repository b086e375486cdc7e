/**
 * Whose sessions the daemon refuses and ends: banned addresses, and those of endpoints that are in quarantine. An endpoint in quarantine blocks its own
 * traffic; whatever still comes from it comes from something that does not obey.
 */
import type { EndpointRegistry } from '../ztna/endpoint-registry.js';
import type { BanList } from './ban-list.js';

export class RefusedAddresses {
  readonly #bans: BanList;
  /** How many endpoints in quarantine were last seen there. */
  readonly #quarantined = new Map<string, number>();
  readonly #closers: (() => void)[] = [];
  readonly #changed: (added: readonly string[], removed: readonly string[]) => void;
  #quarantine = true;

  /** `changed`: what begins and what ends to be refused. */
  constructor(
    bans: BanList,
    registry: EndpointRegistry,
    changed: (added: readonly string[], removed: readonly string[]) => void,
  ) {
    this.#bans = bans;
    this.#changed = changed;
    for (const endpoint of registry.values()) if (endpoint.quarantined) this.#count(endpoint.addresses, 1);
    this.#closers.push(
      bans.onChange((added, removed) => {
        const fresh = added.filter((address) => !this.#inQuarantine(address));
        const gone = removed.filter((address) => !this.#inQuarantine(address));
        if (fresh.length + gone.length > 0) changed(fresh, gone);
      }),
      registry.onChange((changes) => {
        const touched = new Set<string>();
        const before = new Set<string>();
        for (const change of changes)
          for (const endpoint of [change.before, change.after])
            if (endpoint?.quarantined === true) for (const address of endpoint.addresses) touched.add(address);
        for (const address of touched) if (this.has(address)) before.add(address);
        for (const change of changes) {
          if (change.before?.quarantined === true) this.#count(change.before.addresses, -1);
          if (change.after?.quarantined === true) this.#count(change.after.addresses, 1);
        }
        const fresh = [...touched].filter((address) => this.has(address) && !before.has(address));
        const gone = [...before].filter((address) => !this.has(address));
        if (fresh.length + gone.length > 0) changed(fresh, gone);
      }),
    );
  }

  /** Whether endpoints in quarantine count, from now on. */
  useQuarantine(on: boolean): void {
    if (on === this.#quarantine) return;
    this.#quarantine = on;
    const touched = [...this.#quarantined.keys()].filter((address) => !this.#bans.has(address));
    if (touched.length > 0) this.#changed(on ? touched : [], on ? [] : touched);
  }

  has(address: string): boolean {
    return this.#bans.has(address) || this.#inQuarantine(address);
  }

  values(): string[] {
    const quarantined = this.#quarantine ? this.#quarantined.keys() : [];
    return [...new Set([...[...this.#bans.values()].map(({ address }) => address), ...quarantined])];
  }

  close(): void {
    for (const close of this.#closers) close();
  }

  #inQuarantine(address: string): boolean {
    return this.#quarantine && this.#quarantined.has(address);
  }

  #count(addresses: readonly string[], by: number): void {
    for (const address of addresses) {
      const count = (this.#quarantined.get(address) ?? 0) + by;
      if (count > 0) this.#quarantined.set(address, count);
      else this.#quarantined.delete(address);
    }
  }
}
