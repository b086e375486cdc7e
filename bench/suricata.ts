/**
 * `npm run bench:suricata -- ROOT`: whole processes, side by side, over the captures of scan-smtp, scan-smb and scan-ftp: inspectd scanning, and
 * Suricata hashing every file and nothing else. ROOT is a Debian root with Suricata in it:
 *   debootstrap --variant=minbase --include=suricata trixie ROOT
 * It reads with its own configuration, but for what hashing whole files takes: reassembly without a depth, SHA-256 forced, no rules, no file store.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { CASES } from './cases.js';
import { datasetPaths, readIndex } from './dataset.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DATA = join(ROOT, 'bench/data');
const PRODUCT = join(ROOT, 'dist/program/main.js');
const [root, rounds = '5', megabytes = '200'] = process.argv.slice(2);
if (root === undefined) {
  console.error('usage: npm run bench:suricata -- ROOT [RUNS [MB]]');
  process.exit(2);
}

/** Inside the root. */
const WORK = '/tmp/inspectd-bench';
mkdirSync(join(root, WORK), { recursive: true });
const own = readFileSync(join(root, 'etc/suricata/suricata.yaml'), 'utf8');
writeFileSync(
  join(root, WORK, 'suricata.yaml'),
  own.replace(/#force-hash: \[md5\]/, 'force-hash: [sha256]').replace(/^( +)depth: 1mb.*/m, '$1depth: 0'),
);

const header = ['case', 'files', 'hashed by Suricata', 'Suricata s', 'inspectd s', 'times as fast'];
const rows = ['scan-smtp', 'scan-smb', 'scan-ftp'].map((name) => {
  const found = CASES.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  run(process.execPath, [join(ROOT, 'dist/bench/generate.js'), DATA, name, megabytes, '1']);
  const dataset = datasetPaths(DATA, found.capture, Number(megabytes), 1);
  copyFileSync(dataset.capture, join(root, WORK, 'capture.pcap'));
  const theirs: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round < Number(rounds); round++) {
    rmSync(join(root, WORK, 'out'), { recursive: true, force: true });
    mkdirSync(join(root, WORK, 'out'));
    const options = [
      '-r',
      `${WORK}/capture.pcap`,
      '-l',
      `${WORK}/out`,
      '-c',
      `${WORK}/suricata.yaml`,
      '-S',
      '/dev/null',
    ];
    readFileSync(join(root, WORK, 'capture.pcap'));
    theirs.push(
      run('chroot', [root, 'suricata', ...options, '-k', 'none', '--set', 'outputs.9.file-store.enabled=no']),
    );
    readFileSync(dataset.capture);
    ours.push(run(process.execPath, [PRODUCT, 'scan', '--quiet', '--log', '/dev/null', dataset.capture]));
  }
  const { files } = readIndex(dataset);
  const eve = readFileSync(join(root, WORK, 'out/eve.json'), 'utf8');
  const hashed = files.filter(({ sha256 }) => eve.includes(sha256)).length;
  const [slow, fast] = [median(theirs), median(ours)];
  return [name, String(files.length), String(hashed), slow.toFixed(3), fast.toFixed(3), (slow / fast).toFixed(2)];
});
rmSync(join(root, WORK), { recursive: true });
for (const row of [header, ...rows])
  console.log(row.map((cell, at) => cell.padStart(header[at]?.length ?? 0)).join('  '));
const load = (loadavg()[0] ?? 0).toFixed(1);
console.log(
  `Node ${process.version}, ${availableParallelism()} cores of ${cpus()[0]?.model}, load ${load}, medians of ${rounds}`,
);

/** Seconds of the whole process. */
function run(program: string, args: readonly string[]): number {
  const env = { ...process.env };
  // It costs Node 20 up to 75 ms a start.
  delete env['NODE_EXTRA_CA_CERTS'];
  const started = performance.now();
  const done = spawnSync(program, args, { env, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (done.status !== 0) throw new Error(`${program} ended with ${done.status ?? done.signal}: ${done.stderr}`);
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
