/** The digest thread itself: hashes what it is told to, and searches it for literals, until it is ended. See digest-thread.ts. */
import { Buffer } from 'node:buffer';
import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { sha256 } from '../content/digest.js';
import {
  AT,
  CLEAN,
  type DigestThreadSetup,
  DONE,
  DROP,
  END,
  FAILED,
  FILE,
  FOUND,
  GIVEN,
  jobAt,
  KIND,
  LENGTH,
  RESULT,
  SHA256,
  STORED,
} from './digest-ring.js';
import { compileLiterals, type Search } from './literals.js';

interface Begun {
  readonly hash: Hash;
  readonly search: Search;
  /** Bytes so far; undefined: some of them could not be read, and nothing can be said of it. */
  size: number | undefined;
}

/** What is read of a spooled file at once. */
const PIECE = 256 * 1024;

const setup = workerData as DigestThreadSetup;
const words = new Int32Array(setup.ring);
const ring = Buffer.from(setup.ring);
const arena = Buffer.from(setup.arena);
const literals = compileLiterals(setup.literals.map((literal) => Buffer.from(literal)));
const piece = Buffer.allocUnsafeSlow(PIECE);
const begun = new Map<number, Begun>();

proveSearch();
for (let count = 0; ; count = (count + 1) | 0) {
  while (Atomics.load(words, GIVEN) === count) Atomics.wait(words, GIVEN, count);
  work(jobAt(count));
  Atomics.store(words, DONE, (count + 1) | 0);
  Atomics.notify(words, DONE);
}

function work(job: number): void {
  const kind = words[job + KIND]!;
  const file = words[job + FILE]!;
  const at = words[job + AT]!;
  try {
    if (kind === DROP) begun.delete(file);
    else if (kind === END) words[job + RESULT] = end(job, file, arena.subarray(at, at + words[job + LENGTH]!));
    else if (kind === STORED) stored(file, at, words[job + LENGTH]!);
    else more(file, arena.subarray(at, at + words[job + LENGTH]!));
  } catch {
    // Who asked does it alone then.
    if (kind === END) words[job + RESULT] = FAILED;
    else fileOf(file).size = undefined;
  }
}

function fileOf(file: number): Begun {
  let known = begun.get(file);
  if (known === undefined) {
    known = { hash: createHash('sha256'), search: literals.begin(), size: 0 };
    begun.set(file, known);
  }
  return known;
}

function more(file: number, bytes: Buffer): void {
  const known = fileOf(file);
  if (known.size === undefined) return;
  known.hash.update(bytes);
  known.search.push(bytes);
  known.size += bytes.length;
}

function stored(file: number, descriptor: number, length: number): void {
  for (let left = length; left > 0; ) {
    const at = fileOf(file).size;
    if (at === undefined) return;
    const got = readSync(descriptor, piece, 0, Math.min(PIECE, left), at);
    if (got === 0) throw new Error('the file ends too early');
    more(file, piece.subarray(0, got));
    left -= got;
  }
}

function end(job: number, file: number, bytes: Buffer): number {
  const before = begun.get(file);
  const search = before?.search ?? literals.begin();
  search.push(bytes);
  let digest: string;
  if (before === undefined) digest = sha256(bytes);
  else {
    begun.delete(file);
    if (before.size === undefined) return FAILED;
    digest = before.hash.update(bytes).digest('hex');
  }
  ring.write(digest, (job + SHA256) * 4, 'hex');
  return search.found().length === 0 ? CLEAN : FOUND;
}

/** A search that finds nothing must not be taken for one: who throws here is not asked. */
function proveSearch(): void {
  for (const literal of setup.literals.slice(0, 1)) {
    const search = literals.begin();
    search.push(Buffer.from(literal));
    if (search.found().length === 0) throw new Error('the search does not find what it looks for');
  }
}
