/**
 * The physical limit: what no scan of these bytes can do without, and nothing else. One read of as many bytes as the capture has, for
 * attachments one base64 pass over their text, one SHA-256 of each file, one search for the same signatures. No packets, no protocol, no
 * MIME, no policy. With the care of the product: page-aligned memory that never moves, 256 KiB reads at page-aligned file positions (a
 * malloc'd buffer would read four times slower on some processors), the product's own signature search, blocks hashed while they are in
 * the cache. Loading code and signatures is not counted here, though it is for the product.
 *
 * `native` decodes base64 as the platform does (simdutf, over whole lines, 64 KiB at a time, where it is fastest): what any program could
 * do, and what figures are given against. `kernel` decodes with the product's own kernel, which is faster: the strictest limit there is.
 *   node dist/bench/limit.js FOLDER CASE MEGABYTES SEED native|kernel    prints {"seconds"}
 */
import type { Buffer } from 'node:buffer';
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Arena } from '../src/core/arena.js';
import { loadBase64Kernel, roomFor } from '../src/kernels/base64.js';
import { OUT } from '../src/kernels/base64-registers.js';
import { compileLiterals, type Search } from '../src/scan/literals.js';
import { loadSignatures } from '../src/scan/signatures.js';
import { compileRules, type RuleFile } from '../src/scan/yara-rules.js';
import { CASES } from './cases.js';
import { type Dataset, type DatasetIndex, datasetPaths, readIndex } from './dataset.js';
import { rulesFile } from './rules.js';

const BLOCK = 256 * 1024;
/** Two MiB, and room for the largest file where rules want it whole. */
const ARENA_PAGES = 32 + 1024;
/** What the platform decodes at once. */
const PIECE = 64 * 1024;
const LF = 0x0a;
const SIGNATURES = fileURLToPath(new URL('../../signatures', import.meta.url));

class Limit {
  readonly #arena = new Arena(ARENA_PAGES);
  readonly #kernel = loadBase64Kernel(this.#arena);
  readonly #literals = compileLiterals(
    loadSignatures([join(SIGNATURES, 'eicar.literals')]).literals.map((signature) => signature.bytes),
  );
  /** In front of a block is room for the line that the block before cut. */
  readonly #block = this.#arena.claim(PIECE + BLOCK) + PIECE;
  /** Bytes of that line. */
  #carried = 0;
  readonly #decoded = this.#arena.claim(roomFor(BLOCK));
  readonly #index: DatasetIndex;
  readonly sums: string[] = [];
  #hash: Hash = createHash('sha256');
  #search: Search = this.#literals.begin();
  /** Encoded bytes of the present file that are still to come. */
  #left: number;

  readonly #decoder: string;
  /** Rules want a file whole: it is put together here. */
  readonly #rules: readonly RuleFile[];
  readonly #whole: Buffer;
  #wholeLength = 0;

  constructor(index: DatasetIndex, decoder: string, rules: readonly RuleFile[]) {
    this.#decoder = decoder;
    this.#rules = rules;
    this.#whole = this.#arena.bytes.subarray(0, 0);
    if (rules.length > 0) {
      const largest = Math.max(...index.files.map(({ encoded }) => encoded));
      const at = this.#arena.claim(largest);
      this.#whole = this.#arena.bytes.subarray(at, at + largest);
    }
    if (!this.#kernel.compiled) throw new Error('the base64 kernel was not built: this limit would be too low');
    this.#index = index;
    this.#left = index.files[0]?.encoded ?? 0;
  }

  /** All passes, once. Seconds. */
  run(dataset: Dataset): number {
    const started = process.hrtime.bigint();
    const bodyBytes = this.#read(dataset.bodies, Number.POSITIVE_INFINITY, (length) => this.#pass(length));
    // The capture is larger by its headers: they are read too.
    this.#read(dataset.capture, this.#index.captureBytes - bodyBytes, () => undefined);
    return Number(process.hrtime.bigint() - started) / 1e9;
  }

  #read(path: string, most: number, each: (length: number) => void): number {
    const file = openSync(path, 'r');
    let total = 0;
    while (total < most) {
      const length = readSync(file, this.#arena.bytes, this.#block, Math.min(BLOCK, most - total), null);
      if (length === 0) break;
      total += length;
      each(length);
    }
    closeSync(file);
    return total;
  }

  /** The passes over what was read; the line that it cuts waits in front of the next block. */
  #pass(length: number): void {
    const { bytes } = this.#arena;
    const end = this.#block + length;
    let at = this.#block - this.#carried;
    while (at < end) {
      const to = Math.min(end, at + this.#left);
      const taken = this.#fileBytes(at, to);
      if (taken === at) break;
      this.#left -= taken - at;
      at = taken;
      if (this.#left === 0) this.#finishFile();
    }
    this.#carried = end - at;
    if (this.#carried > 0) bytes.copyWithin(this.#block - this.#carried, at, end);
  }

  /** Bytes [at, to) of the present file, or as many of them as can be worked on; one past the last that was. */
  #fileBytes(at: number, to: number): number {
    const { bytes } = this.#arena;
    if (this.#index.files[this.sums.length]?.base64 === false) {
      this.#inspect(bytes.subarray(at, to));
      return to;
    }
    if (this.#decoder === 'kernel') {
      this.#kernel.decode(at, to, this.#decoded, true);
      this.#inspect(bytes.subarray(this.#decoded, this.#kernel.registers[OUT]));
      return to;
    }
    let lines = Math.min(to, at + PIECE);
    if (lines - at < this.#left) lines = bytes.lastIndexOf(LF, lines - 1) + 1;
    if (lines <= at) return at;
    const written = bytes.write(bytes.toString('latin1', at, lines), this.#decoded, PIECE, 'base64');
    this.#inspect(bytes.subarray(this.#decoded, this.#decoded + written));
    return lines;
  }

  #inspect(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#search.push(bytes);
    if (this.#rules.length === 0) return;
    this.#whole.set(bytes, this.#wholeLength);
    this.#wholeLength += bytes.length;
  }

  #finishFile(): void {
    if (this.#search.found().length > 0) throw new Error('the generated data holds a signature');
    for (const rules of this.#rules)
      if (rules.scan(this.#whole.subarray(0, this.#wholeLength)).length > 0) throw new Error('a rule matches noise');
    this.#wholeLength = 0;
    this.sums.push(this.#hash.digest('hex'));
    this.#hash = createHash('sha256');
    this.#search = this.#literals.begin();
    this.#kernel.registers.fill(0);
    this.#left = this.#index.files[this.sums.length]?.encoded ?? 0;
  }
}

const [folder = '', name, megabytes, seed, decoder = ''] = process.argv.slice(2);
const found = CASES.find((one) => one.name === name);
if (found === undefined || !['native', 'kernel'].includes(decoder))
  throw new Error('usage: limit FOLDER CASE MEGABYTES SEED native|kernel');
const dataset = datasetPaths(folder, found.capture, Number(megabytes), Number(seed));
const index = readIndex(dataset);
const rules = found.rules === undefined ? [] : [rulesFile(folder, found.rules)];
const limit = new Limit(index, decoder, compileRules(rules, { refuseSlow: false }));
const seconds = limit.run(dataset);
// A pass that did something else would be no limit.
for (const [at, { sha256 }] of index.files.entries())
  if (limit.sums[at] !== sha256) throw new Error(`attachment ${at}: decoded to other bytes`);
console.log(JSON.stringify({ seconds }));
