// npm start: scans the captures of samples/ and prints the FortiOS logs and a summary. Finding viruses there is a success.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const captures = join(root, 'samples', 'captures');
const inputs = readdirSync(captures)
  .filter((name) => /\.pcap(ng)?(\.gz)?$/.test(name))
  .sort();
process.stderr.write(
  `inspectd scan ${relative(process.cwd(), captures) || '.'}/*.pcap   (${inputs.length} captures of real mail servers and clients; the viruses are the harmless EICAR test file)\n\n`,
);
const done = spawnSync(
  process.execPath,
  [join(root, 'dist/program/main.js'), 'scan', ...inputs.map((name) => join(captures, name))],
  { stdio: 'inherit' },
);
process.exit(done.status === 1 ? 0 : (done.status ?? 2));
