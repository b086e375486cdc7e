/**
 * Connections by their key, as words: open addressing with linear probing, the keys in the table itself, so that a lookup allocates nothing and touches one
 * cache line in most cases. Connections are removed many at a time, when a sweep finds them over, and the table is built anew.
 */
import { randomInt } from 'node:crypto';
import { finish } from './ip-address.js';
import type { TcpConnection } from './tcp-connection.js';

const FIRST_SIZE = 1024;

export class FlowTable {
  /** Words of a key. */
  readonly #width: number;
  /** So that nobody can make keys that fall on each other. No result depends on it. */
  readonly #seed = randomInt(2 ** 32);
  /** Words of an entry: the key, the hash, the connection's slot + 1 (0: free). */
  readonly #stride: number;
  #entries: Int32Array;
  #mask: number;
  #count = 0;
  /** By slot; freed slots are used again. */
  readonly #connections: (TcpConnection | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(width: number) {
    this.#width = width;
    this.#stride = width + 2;
    this.#entries = new Int32Array(FIRST_SIZE * this.#stride);
    this.#mask = FIRST_SIZE - 1;
  }

  get size(): number {
    return this.#count;
  }

  find(key: Int32Array): TcpConnection | undefined {
    const at = this.#find(key, this.#hash(key));
    const slot = this.#entries[at + this.#width + 1]!;
    return slot === 0 ? undefined : this.#connections[slot - 1];
  }

  /** The slot for a new connection of `key`, which must not be in the table: `put` fills it. */
  add(key: Int32Array): number {
    if ((this.#count + 1) * 2 > this.#mask) this.#grow();
    const slot = this.#free.pop() ?? this.#connections.push(undefined) - 1;
    const hash = this.#hash(key);
    const at = this.#find(key, hash);
    for (let i = 0; i < this.#width; i++) this.#entries[at + i] = key[i]!;
    this.#entries[at + this.#width] = hash;
    this.#entries[at + this.#width + 1] = slot + 1;
    this.#count++;
    return slot;
  }

  /** The connection of its slot from now on. */
  put(connection: TcpConnection): void {
    this.#connections[connection.slot] = connection;
  }

  /** Every connection, in no particular order. */
  *connections(): Generator<TcpConnection> {
    for (const connection of this.#connections) if (connection !== undefined) yield connection;
  }

  /** Removes all that `gone` says. */
  removeAll(gone: (connection: TcpConnection) => boolean): void {
    const { length } = this.#entries;
    let removed = 0;
    for (let at = this.#width + 1; at < length; at += this.#stride) {
      const slot = this.#entries[at]!;
      if (slot === 0 || !gone(this.#connections[slot - 1]!)) continue;
      this.#connections[slot - 1] = undefined;
      this.#free.push(slot - 1);
      this.#entries[at] = -1; // For `rebuild` only.
      removed++;
    }
    if (removed > 0) this.#rebuild(this.#mask + 1);
  }

  #hash(key: Int32Array): number {
    let hash = this.#seed | 0;
    for (let i = 0; i < this.#width; i++) {
      hash = Math.imul(hash ^ key[i]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return finish(hash);
  }

  /** The offset of the entry of `key`, or of the free one where it belongs. */
  #find(key: Int32Array, hash: number): number {
    const entries = this.#entries;
    const width = this.#width;
    const stride = this.#stride;
    for (let index = hash & this.#mask; ; index = (index + 1) & this.#mask) {
      const at = index * stride;
      if (entries[at + width + 1] === 0) return at;
      if (entries[at + width] !== hash) continue;
      let same = 0;
      while (same < width && entries[at + same] === key[same]) same++;
      if (same === width) return at;
    }
  }

  #grow(): void {
    this.#rebuild((this.#mask + 1) * 2);
  }

  #rebuild(size: number): void {
    const old = this.#entries;
    const stride = this.#stride;
    this.#entries = new Int32Array(size * stride);
    this.#mask = size - 1;
    this.#count = 0;
    for (let from = 0; from < old.length; from += stride) {
      if (old[from + stride - 1]! <= 0) continue;
      let index = old[from + this.#width]! & this.#mask;
      while (this.#entries[index * stride + stride - 1] !== 0) index = (index + 1) & this.#mask;
      this.#entries.set(old.subarray(from, from + stride), index * stride);
      this.#count++;
    }
  }
}
