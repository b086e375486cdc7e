/**
 * `npm run bench`: how fast the product is against the physical limit of the same bytes (limit.ts). For each case the two alternate, each
 * time in a cold process, over a file that was just read; the table shows medians. `seconds` of the product are those of its summary: from the
 * start of the command to its end, signatures, kernels and compilation of hot code included, loading Node and the command's files not; the
 * limit's are its passes alone. `wall` is the whole process as its parent sees it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BenchCase, CASES } from './cases.js';
import { type Dataset, datasetPaths, readIndex } from './dataset.js';
import { INLINE_CASES, InlineBench, type InlineCase, type Latency } from './inline/run.js';
import type { Measured } from './measure.js';
import { rulesFile } from './rules.js';

const USAGE = `usage: npm run bench -- [options]
  --json          one JSON object instead of the table
  --only REGEX    the cases whose name matches
  --runs N        runs of each, alternating; the median counts (5)
  --size MB       at least so much capture a case (200)
  --compare FILE  against an earlier --json; ends with 1 when a case reaches less of the limit than 0.9 of what it did
  --list          the cases`;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DATA = join(ROOT, 'bench/data');
const BENCH = join(ROOT, 'dist/bench');
const PRODUCT = join(ROOT, 'dist/program/main.js');
const SEED = 1;
/** A case is worse, not merely unlucky, below this part of its former share of the limit: medians move by some per cent between runs. */
const TOLERANCE = 0.9;

interface CaseResult {
  readonly name: string;
  /** Of the capture. */
  readonly bytes: number;
  readonly seconds: number;
  /** Millions of bytes of capture a second. */
  readonly mbps: number;
  readonly limitSeconds: number;
  /** limitSeconds / seconds. */
  readonly ofLimit: number;
  /** The same against the limit that decodes with our own kernel. Not of inline cases, whose limit is a plain relay. */
  readonly strictLimitSeconds?: number;
  readonly ofStrictLimit?: number;
  readonly peakRssMb: number;
  readonly wallSeconds?: number;
}

/** What inspection adds to a small mail, against the relay. */
interface LatencyResult extends Latency {
  readonly name: 'latency';
}

/** One run of the product. */
interface Timed extends Measured {
  readonly seconds: number;
  readonly wall: number;
}

interface Report {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  /** Load averages of one minute, before and after: above the number of cores the figures are of a busy machine. */
  readonly load: readonly [number, number];
  readonly runs: number;
  readonly cases: readonly (CaseResult | LatencyResult)[];
}

async function main(): Promise<void> {
  const options = {
    json: { type: 'boolean' },
    only: { type: 'string' },
    runs: { type: 'string', default: '5' },
    size: { type: 'string', default: '200' },
    compare: { type: 'string' },
    list: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ options });
  const runs = Number(values.runs);
  const size = Number(values.size);
  if (values.help === true || !Number.isInteger(runs) || runs < 1 || !Number.isInteger(size) || size < 1) {
    console.error(USAGE);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const only = new RegExp(values.only ?? '');
  const chosen = CASES.filter(({ name }) => only.test(name));
  const inline = [...INLINE_CASES, 'latency' as const].filter((name) => only.test(name));
  if (values.list === true) {
    for (const name of [...chosen.map((one) => one.name), ...inline]) console.log(name);
    return;
  }

  const before = loadavg()[0] ?? 0;
  const cases: (CaseResult | LatencyResult)[] = chosen.map((one) => measureCase(one, runs, size));
  for (const name of inline) cases.push(await measureInline(name, runs, size));
  const report: Report = {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    load: [before, loadavg()[0] ?? 0],
    runs,
    cases,
  };
  console.log(values.json === true ? JSON.stringify(report) : table(report));
  if (values.compare !== undefined) compare(report, values.compare);
}

function measureCase(one: BenchCase, runs: number, size: number): CaseResult {
  const dataset = datasetPaths(DATA, one.capture, size, SEED);
  const about = [DATA, one.name, String(size), String(SEED)];
  console.error(`${one.name}: preparing`);
  child([join(BENCH, 'generate.js'), ...about]);
  const index = readIndex(dataset);
  checkFindings(one, dataset);

  const limits: number[] = [];
  const stricts: number[] = [];
  const products: Timed[] = [];
  for (let run = 1; run <= runs; run++) {
    warm(dataset);
    limits.push(limitSecondsOf([...about, 'native']));
    warm(dataset);
    stricts.push(limitSecondsOf([...about, 'kernel']));
    warm(dataset);
    products.push(measureProduct(one, dataset));
    const [limit, product] = [limits.at(-1)!, products.at(-1)!];
    console.error(`${one.name}: ${run}/${runs} limit ${limit.toFixed(3)} s, product ${product.seconds.toFixed(3)} s`);
  }
  const seconds = median(products.map((product) => product.seconds));
  const limitSeconds = median(limits);
  const strictLimitSeconds = median(stricts);
  return {
    name: one.name,
    bytes: index.captureBytes,
    seconds: rounded(seconds),
    mbps: rounded(index.captureBytes / 1e6 / seconds),
    limitSeconds: rounded(limitSeconds),
    ofLimit: rounded(limitSeconds / seconds),
    strictLimitSeconds: rounded(strictLimitSeconds),
    ofStrictLimit: rounded(strictLimitSeconds / seconds),
    peakRssMb: rounded(Math.max(...products.map((product) => product.peakRssMb))),
    wallSeconds: rounded(median(products.map((product) => product.wall))),
  };
}

/** Each in a process of its own in the middle, which stays for all runs: a daemon is warm. */
async function measureInline(
  name: InlineCase | 'latency',
  runs: number,
  size: number,
): Promise<CaseResult | LatencyResult> {
  const bench = new InlineBench();
  try {
    if (name === 'latency') {
      const { p50ms, p99ms } = await bench.latency();
      console.error(`latency: p50 ${p50ms.toFixed(3)} ms, p99 ${p99ms.toFixed(3)} ms`);
      return { name, p50ms: rounded(p50ms), p99ms: rounded(p99ms) };
    }
    const found = await bench.measure(name, runs, size);
    const bytes = found[0]?.bytes ?? 0;
    const seconds = median(found.map((run) => run.inspectedSeconds));
    const limitSeconds = median(found.map((run) => run.relaySeconds));
    console.error(`${name}: relay ${limitSeconds.toFixed(3)} s, inspected ${seconds.toFixed(3)} s`);
    return {
      name,
      bytes,
      seconds: rounded(seconds),
      mbps: rounded(bytes / 1e6 / seconds),
      limitSeconds: rounded(limitSeconds),
      ofLimit: rounded(limitSeconds / seconds),
      peakRssMb: rounded(await bench.peakRssMb()),
    };
  } finally {
    bench.close();
  }
}

function limitSecondsOf(about: readonly string[]): number {
  return (JSON.parse(child([join(BENCH, 'limit.js'), ...about]).output) as { seconds: number }).seconds;
}

/** A scan that is fast and wrong is no result: once, not timed, every attachment must be found, whole, and clean. */
function checkFindings(one: BenchCase, dataset: Dataset): void {
  inFolder((folder) => {
    const rows = join(folder, 'files');
    child([PRODUCT, ...scanArguments(one, folder), '--files', rows, dataset.capture]);
    const clean = new Set<string>();
    for (const line of readFileSync(rows, 'utf8').split('\n').filter(Boolean)) {
      const row = JSON.parse(line) as { sha256: string | null; verdict: string };
      if (row.sha256 !== null && row.verdict === 'clean') clean.add(row.sha256);
    }
    const { files } = readIndex(dataset);
    const missing = files.filter(({ sha256 }) => !clean.has(sha256));
    if (missing.length > 0)
      throw new Error(
        `${one.name}: ${missing.length} of ${files.length} attachments not found clean, ${missing[0]?.name} first`,
      );
  });
}

function measureProduct(one: BenchCase, dataset: Dataset): Timed {
  return inFolder((folder) => {
    const to = join(folder, 'measured');
    const argv = ['--import', join(BENCH, 'measure.js'), PRODUCT, ...scanArguments(one, folder), dataset.capture];
    const { wall, said } = child(argv, { INSPECTD_BENCH_MEASURE: to });
    const { seconds } = JSON.parse(said.trim().split('\n').at(-1) ?? '') as { seconds: number };
    return { ...(JSON.parse(readFileSync(to, 'utf8')) as Measured), seconds, wall };
  });
}

function scanArguments(one: BenchCase, folder: string): string[] {
  const rules = one.rules === undefined ? [] : ['--signatures', rulesFile(DATA, one.rules)];
  const quiet = ['scan', '--quiet', '--summary', 'json', '--log', join(folder, 'log')];
  return [...quiet, '--jobs', String(one.jobs), ...rules];
}

/** Runs Node to its end; its failure is ours. */
function child(argv: string[], environment: NodeJS.ProcessEnv = {}): { output: string; said: string; wall: number } {
  const env = { ...process.env, ...environment };
  // It costs Node 20 up to 75 ms a start.
  delete env['NODE_EXTRA_CA_CERTS'];
  const started = performance.now();
  const done = spawnSync(process.execPath, argv, { env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const wall = (performance.now() - started) / 1000;
  if (done.status !== 0)
    throw new Error(`node ${argv.join(' ')} ended with ${done.status ?? done.signal}\n${done.stderr}`, {
      cause: done.error,
    });
  return { output: done.stdout, said: done.stderr, wall };
}

/** Brings what will be read into the page cache: disks are not what is measured. */
function warm(dataset: Dataset): void {
  readFileSync(dataset.capture);
  readFileSync(dataset.bodies);
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'inspectd-bench-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function table({ node, cpu, cores, load, runs, cases }: Report): string {
  const header = ['case', 'MB', 'seconds', 'MB/s', 'limit s', 'of limit', 'strict s', 'of strict', 'wall s', 'peak MB'];
  const latency = cases
    .filter((one): one is LatencyResult => !isTimed(one))
    .map(({ p50ms, p99ms }) => `latency added to a small mail: p50 ${p50ms.toFixed(2)} ms, p99 ${p99ms.toFixed(2)} ms`);
  const rows = cases
    .filter(isTimed)
    .map((one) => [
      one.name,
      (one.bytes / 1e6).toFixed(0),
      one.seconds.toFixed(3),
      one.mbps.toFixed(0),
      one.limitSeconds.toFixed(3),
      one.ofLimit.toFixed(2),
      one.strictLimitSeconds?.toFixed(3) ?? '',
      one.ofStrictLimit?.toFixed(2) ?? '',
      one.wallSeconds?.toFixed(3) ?? '',
      one.peakRssMb.toFixed(0),
    ]);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  const busy = load.map((value) => value.toFixed(1)).join(' to ');
  const machine = `Node ${node}, ${cores} cores of ${cpu}, load ${busy}, median of ${runs}, one cold process a run`;
  return [line(header), ...rows.map(line), '', ...latency, machine].join('\n');
}

function isTimed(one: CaseResult | LatencyResult): one is CaseResult {
  return 'seconds' in one;
}

function compare(report: Report, path: string): void {
  const earlier = JSON.parse(readFileSync(path, 'utf8')) as Report;
  if (earlier.cpu !== report.cpu || earlier.node !== report.node)
    console.error(
      `${path} is of Node ${earlier.node} on ${earlier.cpu}: shares of the limit can be compared, seconds cannot`,
    );
  for (const one of report.cases.filter(isTimed)) {
    const was = earlier.cases.filter(isTimed).find(({ name }) => name === one.name);
    if (was === undefined) continue;
    const worse = one.ofLimit < was.ofLimit * TOLERANCE;
    if (worse) process.exitCode = 1;
    const rate = `${was.mbps.toFixed(0)} to ${one.mbps.toFixed(0)} MB/s`;
    console.error(
      `${one.name}: of limit ${was.ofLimit.toFixed(2)} to ${one.ofLimit.toFixed(2)}, ${rate}${worse ? '  WORSE' : ''}`,
    );
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** To the fourth significant digit: more is noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

await main();
