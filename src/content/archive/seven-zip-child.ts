/**
 * The process in which 7-Zip (compiled to WebAssembly) takes one container after another apart. It writes into a file system in memory
 * that keeps nothing: what it writes goes on to the parent at once, under the member's name as mere text, so no name and no link leads
 * anywhere and no member is too large. The same hook counts, and stops at the job's bounds; listed sizes may lie. Whatever else
 * goes wrong in here (a loop, memory), the parent kills the process.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FileSystem, SevenZipModule, SevenZipModuleFactory } from '7z-wasm';
import { beginMember, endMember, retiring, serveJobs, writeMember } from '../child/child-jobs.js';
import type { Job, JobOutcome } from '../child/messages.js';

export interface Task {
  /** 7-Zip's name, or undefined where it is to look itself. */
  readonly format: string | undefined;
}

export interface Outcome extends JobOutcome {
  /** 7-Zip's exit code; -1 when it died of an error of its own. */
  readonly status: number;
  /** A bound of the job was crossed. */
  readonly over: 'bytes' | 'files' | undefined;
  /** Members that were given out, all of them or some. */
  readonly members: number;
  /** A member was not written from front to back: only a part of it was given out. */
  readonly scattered: boolean;
  /** What 7-Zip printed about errors and warnings, shortened. */
  readonly complaint: string;
  readonly encrypted: boolean;
  readonly volumes: boolean;
}

const COMPLAINT = 2000;
/** Lines of output that are kept: a listing has a few dozen a member. */
const LINES = 1_000_000;
const ARCHIVE = '/in/archive';
const OUTPUT = '/out';
/** `No space left on device` in the numbers of this build. */
const ENOSPC = 51;

/** The global exists in every runtime that we promise; its types are the DOM's. */
type Opaque = object;
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<Opaque>;
  instantiate(module: Opaque, imports: Opaque): Promise<Opaque>;
};

/** What the build has beyond its declarations. */
interface Node {
  usedBytes: number;
  readonly stream_ops: { write: Write; allocate?: () => void };
  readonly node_ops: {
    setattr: (node: Node, attributes: { readonly size?: number }) => void;
    mknod: (...args: unknown[]) => unknown;
  };
}
type Write = (
  stream: { readonly node: Node },
  buffer: Int8Array,
  offset: number,
  length: number,
  position: number,
) => number;
type Fs = Omit<FileSystem, 'getPath'> & {
  readonly ErrnoError: new (errno: number) => Error;
  getPath(node: Node): string;
};

const require = createRequire(import.meta.url);
let compiled: Promise<{ readonly factory: SevenZipModuleFactory; readonly module: Opaque }> | undefined;

async function load(): Promise<{ readonly factory: SevenZipModuleFactory; readonly module: Opaque }> {
  const main = require.resolve('7z-wasm');
  const module = await WebAssembly.compile(readFileSync(join(dirname(main), '7zz.wasm')));
  return { factory: require(main) as SevenZipModuleFactory, module };
}

/** A fresh instance for each run: one that failed is in an unknown state. */
async function instantiate(print: (line: string) => void): Promise<SevenZipModule> {
  compiled ??= load();
  const { factory, module } = await compiled;
  const options = {
    print,
    printErr: print,
    instantiateWasm(imports: Opaque, done: (instance: Opaque, module: Opaque) => void) {
      void WebAssembly.instantiate(module, imports).then((instance) => done(instance, module));
      return {};
    },
  };
  return factory(options);
}

/** What 7-Zip writes below /out, on its way to the parent. */
class Output {
  over: Outcome['over'];
  members = 0;
  scattered = false;
  readonly #fs: Fs;
  readonly #maxBytes: number;
  readonly #maxFiles: number;
  readonly #locked: ReadonlySet<string>;
  /** Files that were begun, and how far; few are ever open at once, one as a rule. */
  readonly #begun = new Set<Node>();
  #current: Node | undefined;
  #currentLocked = false;
  #bytes = 0;
  #files = 0;

  constructor(fs: Fs, maxBytes: number, maxFiles: number, locked: ReadonlySet<string>) {
    this.#fs = fs;
    this.#maxBytes = maxBytes;
    this.#maxFiles = maxFiles;
    this.#locked = locked;
  }

  hook(): void {
    const fs = this.#fs;
    const probe = fs.open(`${OUTPUT}/.probe`, 'w+');
    const { stream_ops: ops, node_ops: fileOps } = (probe as unknown as { readonly node: Node }).node;
    fs.close(probe);
    fs.unlink(`${OUTPUT}/.probe`);
    const directoryOps = (fs.lookupPath(OUTPUT).node as unknown as Node).node_ops;
    ops.write = (stream, buffer, offset, length, position) => {
      this.#write(stream.node, Buffer.from(buffer.buffer, buffer.byteOffset + offset, length), position);
      return length;
    };
    ops.allocate = () => {};
    // A file that is made long before it is filled would be allocated by a header's word. It is only said to be so long.
    fileOps.setattr = (node, attributes) => {
      if (attributes.size !== undefined) node.usedBytes = attributes.size;
    };
    const { mknod } = directoryOps;
    directoryOps.mknod = (...args) => {
      this.#files++;
      if (this.#files > this.#maxFiles) this.#refuse('files');
      return mknod(...args);
    };
  }

  #write(node: Node, bytes: Buffer, position: number): void {
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes) this.#refuse('bytes');
    if (node !== this.#current) {
      this.finish();
      // Members are written one after another, from front to back; anything else cannot be given on in order.
      if (this.#begun.has(node) || position !== 0) {
        this.scattered = true;
        return;
      }
      this.#begun.add(node);
      this.#current = node;
      this.#at = 0;
      const name = this.#fs.getPath(node).slice(OUTPUT.length + 1);
      this.#currentLocked = this.#locked.has(name);
      // Locked members were named already, and what a wrong password decrypts to is noise.
      if (!this.#currentLocked) this.begin(name);
    }
    if (position !== this.#at) {
      this.scattered = true;
      return;
    }
    this.#at += bytes.length;
    if (this.#at > node.usedBytes) node.usedBytes = this.#at;
    if (!this.#currentLocked) writeMember(bytes);
  }

  #at = 0;

  begin(name: string): void {
    this.members++;
    beginMember({ name });
  }

  /** The member being written has ended. */
  finish(): void {
    // One that a bound cut is left without its end.
    if (this.#current !== undefined && !this.#currentLocked && this.over === undefined) endMember();
    this.#current = undefined;
  }

  /** Members that nothing was written to are members all the same. Links are not followed, and are none. */
  giveEmpty(directory: string): void {
    const fs = this.#fs;
    for (const entry of fs.readdir(directory)) {
      if (entry === '.' || entry === '..') continue;
      const path = `${directory}/${entry}`;
      const { mode } = fs.lstat(path);
      if (fs.isDir(mode)) this.giveEmpty(path);
      else if (fs.isFile(mode) && !this.#begun.has(fs.lookupPath(path).node as unknown as Node))
        this.giveName(path.slice(OUTPUT.length + 1));
    }
  }

  giveName(name: string): void {
    this.begin(name);
    endMember();
  }

  #refuse(over: NonNullable<Outcome['over']>): never {
    this.over = over;
    throw new this.#fs.ErrnoError(ENOSPC);
  }
}

async function run(job: Job, archive: Buffer): Promise<Outcome> {
  const task = job.task as Task;
  let lines: string[] = [];
  const print = (line: string): void => {
    if (lines.length < LINES) lines.push(line);
  };
  const format = task.format === undefined ? [] : [`-t${task.format}`];
  // Listed first, in an instance of its own: extracting says of a locked member only that something is wrong.
  const lister = await instantiate(print);
  place(lister, archive);
  call(lister, ['l', '-slt', '-pnone', ...format, '--', ARCHIVE]);
  const locked = lockedNames(lines);
  const volumes = lines.some((line) =>
    /^(Multivolume = \+|Volumes = ([2-9]|\d\d)|Characteristics = .*\bVolume\b)/.test(line),
  );
  lines = [];

  const seven = await instantiate(print);
  place(seven, archive);
  seven.FS.mkdir(OUTPUT);
  const output = new Output(seven.FS as unknown as Fs, job.maxBytes, job.maxFiles, locked);
  output.hook();
  for (const name of locked) output.giveName(name);
  // -aou: members of one name are all kept; -spd: names are no patterns.
  const status = call(seven, ['x', '-y', '-aou', '-spd', '-pnone', ...format, `-o${OUTPUT}`, '--', ARCHIVE]);
  output.finish();
  if (output.over === undefined && locked.size === 0) output.giveEmpty(OUTPUT);
  const said = lines
    .filter((line) => /error|warning|wrong|unsupported|cannot|unexpected|missing|data after/i.test(line))
    .join('; ');
  return {
    status,
    over: output.over,
    members: output.members,
    scattered: output.scattered,
    complaint: said.slice(0, COMPLAINT),
    encrypted: locked.size > 0 || /wrong password|encrypted archive/i.test(said),
    retiring: retiring(),
    volumes: volumes || /missing volume/i.test(said),
  };
}

function place(seven: SevenZipModule, archive: Buffer): void {
  seven.FS.mkdir('/in');
  // Both instances look at the same bytes: nothing is copied, and nothing writes there.
  const writeFile = seven.FS.writeFile as (path: string, data: Buffer, options: { readonly canOwn: boolean }) => void;
  writeFile(ARCHIVE, archive, { canOwn: true });
}

function call(seven: SevenZipModule, args: string[]): number {
  try {
    const status: unknown = seven.callMain(args);
    return typeof status === 'number' ? status : -1;
  } catch {
    // An exception of C++ comes as a number that means nothing outside.
    return -1;
  }
}

/** Paths of the members that a listing marks as encrypted. */
function lockedNames(lines: readonly string[]): Set<string> {
  const locked = new Set<string>();
  let path = '';
  for (const line of lines) {
    if (line.startsWith('Path = ')) path = line.slice(7);
    else if (line === 'Encrypted = +' && path !== ARCHIVE) locked.add(path);
  }
  return locked;
}

serveJobs(run);
