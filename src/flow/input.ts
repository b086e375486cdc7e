/**
 * What came from one side and was not taken yet: a carry of kept bytes, then the rest of the chunk that is being received.
 * Only the carry is copied. A carry is joined with just as much of the chunk as it takes to get past it, so a partial line in front
 * of a chunk of 256 KiB costs the copy of a line, not of the chunk.
 */
import { Buffer } from 'node:buffer';

/** The least that is joined to a carry; doubled while the decoder cannot get past the carry. */
const JOIN = 512;

const NOTHING: Buffer = Buffer.alloc(0);

export class Input {
  /** Offset in the side's stream of its first untaken byte. */
  offset = 0;
  stopped = false;
  /** There is something that the decoder was not offered yet, or it asked to be offered again. */
  fresh = false;
  finDue = false;
  ended = false;

  #carry = NOTHING;
  #from = 0;
  #to = 0;
  #chunk = NOTHING;
  #at = 0;
  #owned = false;
  /** How many bytes of the chunk are in the view that is being offered, behind the carry. */
  #joined = 0;

  /** Untaken bytes. */
  get pending(): number {
    return this.#to - this.#from + (this.#chunk.length - this.#at);
  }

  /** May the bytes of the view be kept without a copy? */
  get viewOwned(): boolean {
    return this.#owned && this.#from === this.#to;
  }

  /** A new chunk; the last one was shelved. */
  receive(chunk: Buffer, owned: boolean): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#owned = owned;
    if (chunk.length > 0) this.fresh = true;
  }

  /** The bytes to offer now. Follow with `took`. */
  view(): Buffer {
    this.fresh = false;
    const kept = this.#to - this.#from;
    if (kept === 0) {
      this.#joined = 0;
      return this.#at === 0 ? this.#chunk : this.#chunk.subarray(this.#at);
    }
    this.#joined = Math.min(this.#chunk.length - this.#at, Math.max(JOIN, kept));
    if (this.#joined > 0) this.#append(this.#at + this.#joined);
    return this.#carry.subarray(this.#from, this.#to);
  }

  /** Of the view, `count` bytes were taken. */
  took(count: number): void {
    this.offset += count;
    const kept = this.#to - this.#from;
    if (kept === 0) {
      this.#at += count;
      return;
    }
    const had = kept - this.#joined;
    const offeredAll = this.#at + this.#joined === this.#chunk.length;
    if (count === kept || (count >= had && !offeredAll)) {
      // Past the carry: what follows is offered from the chunk itself.
      this.#at += count - had;
      this.#from = this.#to = 0;
      if (this.#at < this.#chunk.length) this.fresh = true;
    } else {
      this.#at += this.#joined;
      this.#from += count;
      if (this.#at < this.#chunk.length) this.fresh = true;
    }
  }

  /** The chunk goes: what was not taken of it is copied to the carry. */
  shelve(): void {
    if (this.#at < this.#chunk.length) this.#append(this.#chunk.length);
    this.#chunk = NOTHING;
    this.#at = 0;
  }

  /** Drop what was not taken. How many bytes that was. */
  discard(): number {
    const dropped = this.pending;
    this.offset += dropped;
    this.#from = this.#to = 0;
    this.#chunk = NOTHING;
    this.#at = 0;
    this.fresh = false;
    return dropped;
  }

  /** The first untaken byte, or -1. */
  peek(): number {
    if (this.#from < this.#to) return this.#carry[this.#from] ?? -1;
    return this.#chunk[this.#at] ?? -1;
  }

  /** Move the chunk's bytes up to `end` behind the carry. `#at` stays: `took` moves it. */
  #append(end: number): void {
    const kept = this.#to - this.#from;
    const count = end - this.#at;
    if (this.#to + count > this.#carry.length) {
      const room =
        kept + count <= this.#carry.length ? this.#carry : Buffer.allocUnsafeSlow(Math.max(1024, 2 * (kept + count)));
      this.#carry.copy(room, 0, this.#from, this.#to);
      this.#carry = room;
      this.#from = 0;
      this.#to = kept;
    }
    this.#chunk.copy(this.#carry, this.#to, this.#at, end);
    this.#to += count;
  }
}
