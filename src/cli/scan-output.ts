/** Ordered events of a scan to rows, log records and the summary. Gives connections and files their numbers. */
import type { ScanEvent, TreeInspected } from '../capture/events.js';
import type { FileId } from '../core/file.js';
import type { LogSink } from '../log/sink.js';
import type { TimeZone } from '../log/time-zone.js';
import { toRecord } from '../log/utm.js';
import type { LineFile } from './line-file.js';
import { fileRow, flowRow } from './rows.js';
import type { Summary } from './summary.js';

export interface ScanOutputOptions {
  readonly files: LineFile | undefined;
  readonly flows: LineFile | undefined;
  readonly log: LogSink;
  /** Asked before the first record: the database of time zones takes longer to load than a small capture to scan. */
  zone(): TimeZone;
  readonly summary: Summary;
}

export class ScanOutput {
  readonly #options: ScanOutputOptions;
  #zone: TimeZone | undefined;
  #failed = false;
  #input = '';
  /** Connections of all inputs, and loose files, are counted through. */
  #flows = 0;
  #loose = 0;
  /** Connections of this input that have not ended: number and files so far, by first packet. */
  #open = new Map<number, { number: number; files: number }>();

  constructor(options: ScanOutputOptions) {
    this.#options = options;
  }

  /** What follows comes out of `input`. */
  begin(input: string): void {
    this.#input = input;
    this.#open = new Map();
  }

  /** Something could not be written. No input is to blame, and nothing that follows can be written either. */
  get failed(): boolean {
    return this.#failed;
  }

  /** A promise when the log's reader is slower than we are. What it throws, or the promise rejects with, is SourceError. */
  event(event: ScanEvent): void | Promise<void> {
    try {
      return this.#write(event)?.catch((error: unknown) => this.#fail(error));
    } catch (error) {
      return this.#fail(error);
    }
  }

  #fail(error: unknown): never {
    this.#failed = true;
    throw error;
  }

  #write(event: ScanEvent): void | Promise<void> {
    this.#options.summary.event(event);
    switch (event.kind) {
      case 'flow-started':
        this.#open.set(event.flow, { number: ++this.#flows, files: 0 });
        return undefined;
      case 'flow-ended': {
        const flow = this.#open.get(event.flow);
        // Its files ended before it did, and events come in order.
        this.#open.delete(event.flow);
        this.#options.flows?.write(flowRow(event, { input: this.#input, flow: flow?.number ?? null }));
        return undefined;
      }
      case 'tree':
        return this.#tree(event, this.#open.get(event.flow));
    }
  }

  close(): void {
    this.#options.files?.close();
    this.#options.flows?.close();
  }

  #tree(tree: TreeInspected, flow: { number: number; files: number } | undefined): void | Promise<void> {
    const prefix = flow === undefined ? `f${++this.#loose}` : String(flow.number);
    const counter = flow ?? { files: 0 };
    const place = { input: this.#input, flow: flow?.number ?? null };
    const ids = new Map<FileId, string>();
    for (const file of tree.files) {
      const id = `${prefix}.${++counter.files}`;
      ids.set(file.id, id);
      this.#options.files?.write(
        fileRow(tree, file, id, file.parent === undefined ? null : (ids.get(file.parent) ?? null), place),
      );
    }
    const session = { ...tree.session, id: flow?.number ?? 0 };
    const eventTime = BigInt(tree.time.seconds) * 1_000_000_000n + BigInt(tree.time.nanoseconds);
    if (tree.outcomes.length === 0) return undefined;
    this.#zone ??= this.#options.zone();
    const zone = this.#zone;
    let pending: Promise<void> | undefined;
    for (const outcome of tree.outcomes) {
      const written = this.#options.log.write(toRecord(outcome, session, { eventTime, zone }));
      if (written !== undefined) pending = written;
    }
    return pending;
  }
}
