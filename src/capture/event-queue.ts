/**
 * Puts events in order. Inspection may finish out of turn (an archive is taken apart in another process), and several threads may share
 * a capture: events are let go up to the packet that every source has passed and nothing before it is still awaited.
 */
import type { Place, ScanEvent } from './events.js';
import { byPlace } from './events.js';

/** One thread's events, in the order of their places as soon as none before them is still awaited. */
export class EventQueue {
  #ready: ScanEvent[] = [];
  readonly #awaited = new Set<Place>();
  #turn = 0;
  #waiting: { count: number; resume: () => void } | undefined;

  /** The next turn: places of one thread ascend. */
  turn(): number {
    return this.#turn++;
  }

  add(event: ScanEvent): void {
    this.#ready.push(event);
  }

  /** An event of this place will come later. */
  await(place: Place): void {
    this.#awaited.add(place);
  }

  settle(place: Place, event: ScanEvent): void {
    this.#awaited.delete(place);
    this.#ready.push(event);
    const waiting = this.#waiting;
    if (waiting !== undefined && this.#awaited.size <= waiting.count) {
      this.#waiting = undefined;
      waiting.resume();
    }
  }

  /** Settles when no more than `count` events are awaited. For one caller at a time. */
  below(count: number): Promise<void> {
    if (this.#awaited.size <= count) return Promise.resolve();
    return new Promise((resume) => {
      this.#waiting = { count, resume };
    });
  }

  get awaiting(): number {
    return this.#awaited.size;
  }

  /** All events before packet `upTo`, or before the first awaited one; and up to which packet that is. */
  take(upTo: number): { events: ScanEvent[]; upTo: number } {
    let bound = upTo;
    for (const place of this.#awaited) if (place.packet < bound) bound = place.packet;
    const events: ScanEvent[] = [];
    const later: ScanEvent[] = [];
    for (const event of this.#ready) (event.packet < bound ? events : later).push(event);
    this.#ready = later;
    return { events: events.sort(byPlace), upTo: bound };
  }
}

/** Merges what several threads take, and hands events on in order. */
export class EventMerge {
  readonly #sources: { upTo: number; events: ScanEvent[] }[];
  readonly #deliver: (event: ScanEvent) => void;

  constructor(sources: number, deliver: (event: ScanEvent) => void) {
    this.#sources = Array.from({ length: sources }, () => ({ upTo: 0, events: [] }));
    this.#deliver = deliver;
  }

  /** `source` has no more events before packet `upTo` (Infinity: none at all). */
  add(source: number, events: readonly ScanEvent[], upTo: number): void {
    const of = this.#sources[source];
    if (of === undefined) return;
    for (const event of events) of.events.push(event);
    of.upTo = Math.max(of.upTo, upTo);
    const bound = Math.min(...this.#sources.map((each) => each.upTo));
    const due: ScanEvent[] = [];
    for (const each of this.#sources) {
      let count = 0;
      while (count < each.events.length && (each.events[count]?.packet ?? Number.POSITIVE_INFINITY) < bound) count++;
      due.push(...each.events.splice(0, count));
    }
    for (const event of due.sort(byPlace)) this.#deliver(event);
  }
}
