/**
 * One thread's inspection of files: the memory and the spool that they are collected in, and what they are inspected with.
 * Takes files from whoever extracts them, and hands back each with all that came out of it. Knows no flow and no
 * profile, only the bounds that a profile sets.
 */
import { tmpdir } from 'node:os';
import type { Arena } from '../core/arena.js';
import type { FileMeta, Inspected } from '../core/file.js';
import { type Limits, MiB } from '../core/limits.js';
import type { Storage } from './collection.js';
import { type Digests, digestsHere } from './digest.js';
import { JoinedFiles } from './joined-files.js';
import { type ContentTaker, FileNode, type InfectedTaker, type RootFile, type Tools } from './node.js';
import { SlotPool } from './slots.js';
import { Spool } from './spool.js';
import { type Clock, type FileBounds, FileTree } from './tree.js';

/** A file lies in memory in pieces of this size, at the most: large enough for what a block of a capture brings, and for scanners to run at full speed. */
const PIECE = MiB;

export interface InspectionOptions extends Tools {
  /** Must hold `limits.slots` more bytes. */
  readonly arena: Arena;
  readonly limits: Limits;
  /** Where files go on that memory does not hold; the system's temporary directory unless told. */
  readonly spoolDirectory?: string;
  /** Measures what unpacking takes. */
  readonly clock?: Clock;
}

export class Inspection {
  readonly #limits: Limits;
  readonly #tools: Tools;
  readonly #storage: Storage;
  readonly #clock: Clock;
  /** Of all that is inspected here. */
  readonly joined: JoinedFiles;
  #lastId = 0;

  constructor(options: InspectionOptions) {
    const { arena, limits } = options;
    this.#limits = limits;
    this.#tools = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#storage = {
      arena,
      slots: new SlotPool(arena, { slot: Math.min(limits.slot, PIECE), slots: limits.slots }),
      spool: new Spool(options.spoolDirectory ?? tmpdir(), limits.spool),
      slotLimit: limits.slot,
      digests: digestsHere,
      promised: 0,
      spare: { left: limits.readingMemory },
    };
    this.joined = new JoinedFiles(this.#storage, limits);
  }

  /**
   * Starts a file. `done` is called once, with the file and all that came out of it in order of opening: within its `end` or
   * `abort` when no work left the thread, else later. `bounds`: what the session's profile adds to the engine's limits. `ended` is given
   * its bytes when it ends, before they are inspected. `infected` is given each infected file below it and, at last, itself, before `done`.
   */
  open(
    meta: FileMeta,
    done: (root: Inspected) => void,
    bounds?: FileBounds,
    ended?: ContentTaker,
    infected?: InfectedTaker,
  ): RootFile {
    const tree = new FileTree(this.#limits, this.#clock, () => done(root.inspected), bounds);
    const outermost = { parent: undefined, mimeDepth: 0, nesting: 0, budget: undefined, reading: undefined };
    const place = { ...outermost, tree, ended, infected };
    const root = new FileNode(meta, this.#tools, this.#storage, this.#nextId, place);
    return root;
  }

  /** Files that begin from now on are hashed there. */
  digestBy(digests: Digests): void {
    this.#storage.digests = digests;
  }

  /** Ends files that another thread has hashed; waits for it where memory becomes short. */
  collect(): void {
    const { digests } = this.#storage;
    digests.collect();
    while (this.crowded && digests.next());
  }

  /** Answers that files wait for and that come by the event loop. */
  get promised(): number {
    return this.#storage.promised;
  }

  /** Bytes in memory of files that are whole and still looked at. */
  get waiting(): number {
    return this.#storage.slots.sealed;
  }

  /** They are so many that new ones will soon have to be spooled. */
  get crowded(): boolean {
    return this.waiting > this.#limits.slots / 2;
  }

  readonly #nextId = (): number => {
    this.#lastId++;
    return this.#lastId;
  };
}
