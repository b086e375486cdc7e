/**
 * The process in which 7-Zip (compiled to WebAssembly) takes one container after another apart. Everything happens in a file system in
 * memory that is thrown away with its instance, so no member's name and no link leads anywhere. A hook on its writes counts what comes out
 * and stops at the job's bounds; listed sizes may lie. Whatever else goes wrong in here (a loop, memory), the parent kills the process.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FileSystem, SevenZipModule, SevenZipModuleFactory } from '7z-wasm';
import type { FromChild, Outcome, ToChild } from './seven-zip-messages.js';

const PIECE = 256 * 1024;
const COMPLAINT = 2000;
/** Processor seconds after which it makes room for a fresh process: what leaks here ends with it. */
const RETIRE = 300;
const ARCHIVE = '/in/archive';
const OUTPUT = '/out';
/** `No space left on device` in the numbers of this build. */
const ENOSPC = 51;

/** What the build has beyond its declarations. */
interface Node {
  readonly stream_ops: { write: (...args: unknown[]) => number; allocate?: (...args: unknown[]) => void };
  readonly node_ops: {
    setattr: (node: unknown, attributes: { readonly size?: number }) => void;
    mknod: (...args: unknown[]) => unknown;
  };
}
type Errors = FileSystem & { readonly ErrnoError: new (errno: number) => Error };

/** The global exists in every runtime that we promise; its types are the DOM's. */
type Opaque = object;
declare const WebAssembly: {
  compile(bytes: Uint8Array): Promise<Opaque>;
  instantiate(module: Opaque, imports: Opaque): Promise<Opaque>;
};

const require = createRequire(import.meta.url);
let compiled: Promise<{ readonly factory: SevenZipModuleFactory; readonly module: Opaque }> | undefined;

async function load(): Promise<{ readonly factory: SevenZipModuleFactory; readonly module: Opaque }> {
  const main = require.resolve('7z-wasm');
  const module = await WebAssembly.compile(readFileSync(join(dirname(main), '7zz.wasm')));
  return { factory: require(main) as SevenZipModuleFactory, module };
}

/** A fresh instance for each container: one that failed is in an unknown state. */
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

interface Bounds {
  over: Outcome['over'];
}

/** Counts what is written below `/out`, and refuses what a header merely announces. */
function bound(fs: Errors, maxBytes: number, maxFiles: number): Bounds {
  const bounds: Bounds = { over: undefined };
  let bytes = 0;
  let files = 0;
  const probe = fs.open(`${OUTPUT}/.bound`, 'w+') as unknown as { readonly node: Node };
  const ops = probe.node.stream_ops;
  const fileOps = probe.node.node_ops;
  fs.close(probe as never);
  fs.unlink(`${OUTPUT}/.bound`);
  const directoryOps = (fs.lookupPath(OUTPUT) as unknown as { readonly node: Node }).node.node_ops;
  const refuse = (over: NonNullable<Outcome['over']>): never => {
    bounds.over = over;
    throw new fs.ErrnoError(ENOSPC);
  };
  const { write } = ops;
  ops.write = (...args) => {
    bytes += args[3] as number;
    if (bytes > maxBytes) refuse('bytes');
    return write(...args);
  };
  if (ops.allocate !== undefined) ops.allocate = () => refuse('bytes');
  // A file that is made long before it is filled would be allocated by a header's word. 7-Zip does not mind that it is not.
  const { setattr } = fileOps;
  fileOps.setattr = (node, attributes) => {
    if (attributes.size !== undefined && attributes.size > 0) {
      if (attributes.size > maxBytes) refuse('bytes');
      if (attributes.size > (node as { readonly usedBytes: number }).usedBytes) return;
    }
    setattr(node, attributes);
  };
  const { mknod } = directoryOps;
  directoryOps.mknod = (...args) => {
    files++;
    if (files > maxFiles) refuse('files');
    return mknod(...args);
  };
  return bounds;
}

async function run(job: ToChild & { readonly kind: 'job' }, archive: Buffer): Promise<void> {
  let lines: string[] = [];
  const print = (line: string): void => {
    if (lines.length < 100_000) lines.push(line);
  };
  const format = job.format === undefined ? [] : [`-t${job.format}`];
  // Listed first, in an instance of its own: extracting says of an encrypted member only that something is wrong.
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
  const fs = seven.FS as Errors;
  const bounds = bound(fs, job.maxBytes, job.maxFiles);
  // -aou: members of one name are all kept; -spd: names are no patterns.
  const status = call(seven, ['x', '-y', '-aou', '-spd', '-pnone', ...format, `-o${OUTPUT}`, '--', ARCHIVE]);
  const said = lines
    .filter((line) => /error|warning|wrong|unsupported|cannot|unexpected|missing|data after/i.test(line))
    .join('; ');
  const encrypted = locked.size > 0 || /wrong password|encrypted archive/i.test(said);
  const members = await give(fs, locked);
  await send({
    kind: 'done',
    status,
    over: bounds.over,
    members,
    complaint: said.slice(0, COMPLAINT),
    encrypted,
    volumes: volumes || /missing volume/i.test(said),
  });
}

function place(seven: SevenZipModule, archive: Buffer): void {
  seven.FS.mkdir('/in');
  // Both instances look at the same bytes: nothing is copied, and nothing writes there.
  (seven.FS.writeFile as (path: string, data: Buffer, options: { readonly canOwn: boolean }) => void)(
    ARCHIVE,
    archive,
    {
      canOwn: true,
    },
  );
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
    else if (line === 'Encrypted = +') locked.add(path);
  }
  return locked;
}

/** Sends what lies below `/out`, in the order in which it was made; links are not followed. */
async function give(fs: Errors, locked: ReadonlySet<string>): Promise<number> {
  let members = 0;
  const walk = async (directory: string, prefix: string): Promise<void> => {
    for (const entry of fs.readdir(directory)) {
      if (entry === '.' || entry === '..') continue;
      const path = `${directory}/${entry}`;
      const { mode, size } = fs.lstat(path);
      if (fs.isDir(mode)) await walk(path, `${prefix}${entry}/`);
      else if (fs.isFile(mode)) {
        const name = prefix + entry;
        const encrypted = locked.has(name);
        members++;
        await send({ kind: 'member', name, size, encrypted });
        // What a wrong password decrypts to is noise.
        if (!encrypted) {
          const bytes = fs.readFile(path);
          for (let at = 0; at < bytes.length; at += PIECE)
            await send({ kind: 'bytes', bytes: Buffer.from(bytes.subarray(at, at + PIECE)) });
        }
        await send({ kind: 'end' });
      }
    }
  };
  await walk(OUTPUT, '');
  return members;
}

function send(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, () => resolve());
  });
}

let job: (ToChild & { readonly kind: 'job' }) | undefined;
let archive = Buffer.alloc(0);
let filled = 0;

process.on('message', (message: ToChild) => {
  if (message.kind === 'job') {
    job = message;
    // As long as the container is, not as it says: the parent has it.
    archive = Buffer.allocUnsafeSlow(message.length);
    filled = 0;
    return;
  }
  if (job === undefined) return;
  archive.set(message.bytes, filled);
  filled += message.bytes.length;
  if (filled < archive.length) return;
  const started = job;
  job = undefined;
  void run(started, archive).then(
    () => {
      archive = Buffer.alloc(0);
      const { user, system } = process.cpuUsage();
      if (user + system > RETIRE * 1e6) process.exit(0);
    },
    // The parent sees an exit without an outcome and says so.
    () => process.exit(1),
  );
});
process.on('disconnect', () => process.exit(0));
