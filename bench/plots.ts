/**
 * `npm run bench:plots`: the two charts of docs/performance.md, into docs/plots/. Throughput by the size of the attachment, each point the median of
 * cold processes; and the workers' memory while the daemon has 500 sessions at work for five minutes (`--seconds S` for another time).
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SIZE_CASES } from './cases.js';
import { datasetPaths, readIndex } from './dataset.js';
import { svg } from './plot.js';
import { sessions } from './soak/sessions.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DATA = join(ROOT, 'bench/data');
const PLOTS = join(ROOT, 'docs/plots');
const MEGABYTES = 50;
const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, seconds: { type: 'string', default: '300' } },
});
mkdirSync(PLOTS, { recursive: true });

const points = SIZE_CASES.map(({ name, capture, fileSize }): [number, number] => {
  node([join(ROOT, 'dist/bench/generate.js'), DATA, name, String(MEGABYTES), '1']);
  const dataset = datasetPaths(DATA, capture, MEGABYTES, 1);
  const seconds: number[] = [];
  for (let run = 0; run < Number(values.runs); run++) {
    readFileSync(dataset.capture);
    const said = node([
      join(ROOT, 'dist/program/main.js'),
      'scan',
      '--quiet',
      '--log',
      '/dev/null',
      '--summary',
      'json',
      dataset.capture,
    ]);
    seconds.push((JSON.parse(said.trim().split('\n').at(-1) ?? '') as { seconds: number }).seconds);
  }
  const median = seconds.sort((a, b) => a - b)[seconds.length >> 1] ?? 0;
  const rate = readIndex(dataset).captureBytes / 1e6 / median;
  process.stderr.write(`${name}: ${rate.toFixed(0)} MB/s\n`);
  return [fileSize / 1024, rate];
});
writeFileSync(
  join(PLOTS, 'throughput.svg'),
  svg({
    title: `SMTP, ${MEGABYTES} MB of capture, one cold process each`,
    x: 'attachment',
    y: 'MB of capture a second',
    points,
    logarithmic: true,
    label: (kilobytes) => (kilobytes < 1024 ? `${kilobytes} KB` : `${kilobytes / 1024} MB`),
  }),
);

const { ok, figures, seen } = await sessions({ count: 500, seconds: Number(values.seconds) });
process.stderr.write(`${JSON.stringify({ ok, ...figures })}\n`);
writeFileSync(
  join(PLOTS, 'memory.svg'),
  svg({
    title: 'Memory of two workers, 500 sessions at work',
    x: 'seconds',
    y: 'MB resident',
    points: seen.map(({ rssMb }, second): [number, number] => [second, rssMb.reduce((sum, each) => sum + each, 0)]),
  }),
);

/** What it said on standard error. */
function node(argv: readonly string[]): string {
  const env = { ...process.env };
  // It costs Node 20 up to 75 ms a start.
  delete env['NODE_EXTRA_CA_CERTS'];
  const done = spawnSync(process.execPath, argv, { env, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (done.status !== 0) throw new Error(`${argv.join(' ')}: ${done.stderr}`);
  return done.stderr;
}
