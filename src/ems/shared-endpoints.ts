/**
 * What the nodes tell each other of the endpoints of one EMS: whoever reaches it puts down what it learnt, and who does not takes it from there. A map of
 * endpoints by UID; at `@`, where that EMS stands and when it confirmed it.
 */
import type { ReplicatedMap } from '../shared/replicated-map.js';
import type { Endpoint } from '../ztna/endpoint.js';
import type { EmsConnector, Synced } from './connector.js';
import { restoredEndpoint } from './kept-endpoints.js';
import { isRecord } from './reply.js';

const META = '@';
/** Milliseconds between two confirmations of what did not change; and what a node that reaches EMS itself is given to learn of a change. */
const CONFIRM = 5_000;
const PATIENCE = 500;

export class SharedEndpoints {
  readonly #map: ReplicatedMap;
  readonly #connector: () => EmsConnector | undefined;
  readonly #now: () => number;
  readonly #forget: () => void;
  #confirmedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `connector`: of the EMS whose endpoints these are, while it is configured. `now`: milliseconds since 1970. */
  constructor(map: ReplicatedMap, connector: () => EmsConnector | undefined, now: () => number) {
    this.#map = map;
    this.#connector = connector;
    this.#now = now;
    this.#forget = map.onChange((_, origin) => {
      if (origin !== 'elsewhere') return;
      if (connector()?.state === 'connected') this.#timer ??= setTimeout(() => this.#learn(), PATIENCE).unref();
      else this.#learn();
    });
  }

  /** EMS told this node. */
  readonly synced: Synced = (news, known, at): void => {
    const now = this.#now();
    if (news === undefined && now - this.#confirmedAt < CONFIRM) return;
    this.#confirmedAt = now;
    const changed = news === 'all' ? known.values() : (news?.endpoints ?? []);
    const removed =
      news === 'all'
        ? [...this.#map.entries()].map(([key]) => key).filter((key) => key !== META && !known.has(key))
        : (news?.removed ?? []);
    this.#map.change(
      [
        ...[...changed].map((endpoint) => ({ key: endpoint.uid, value: JSON.stringify(endpoint) })),
        ...removed.map((key) => ({ key, value: undefined })),
        { key: META, value: JSON.stringify({ ...at, syncedAt: now }) },
      ],
      'here',
    );
  };

  /** Takes what the others know, where it is newer. */
  #learn(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const meta = parsed(this.#map.get(META) ?? '');
    if (!isRecord(meta)) return;
    const { boot, revision, syncedAt } = meta;
    if (typeof boot !== 'string' || typeof revision !== 'number' || typeof syncedAt !== 'number') return;
    this.#connector()?.learn(() => this.#endpoints(), { boot, revision }, syncedAt);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#forget();
  }

  #endpoints(): Map<string, Endpoint> {
    const endpoints = new Map<string, Endpoint>();
    for (const [uid, value] of this.#map.entries()) {
      const endpoint = uid === META ? undefined : parsed(value);
      // It was checked when it came from EMS, by a node of ours.
      if (isRecord(endpoint)) endpoints.set(uid, restoredEndpoint(endpoint as unknown as Endpoint));
    }
    return endpoints;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
