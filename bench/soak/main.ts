/**
 * `npm run soak -- NAME`: tests that take minutes and whose result is a figure. Each starts the daemon, loads it, and prints what was seen as one
 * JSON object; the exit status is 1 when something was lost or passed that should not have.
 */
import { parseArgs } from 'node:util';
import { faults } from './faults.js';
import { handshakes } from './handshakes.js';
import { memory } from './memory.js';
import { mutants } from './mutants.js';
import { sessions } from './sessions.js';
import { stalls } from './stalls.js';

const SOAKS = { sessions, memory, faults, handshakes, stalls, mutants } as const;
const USAGE = `usage: npm run soak -- NAME [--count N] [--seconds S]
  sessions    N sessions at once (2000), mails through all of them for S seconds (60): none lost, memory flat
  memory      N sessions (10000), each in the middle of a large mail: memory under its ceiling, no session torn down wrongly
  faults      mails for S seconds (300), one in a hundred sessions broken in some way: no leak of memory or descriptors
  handshakes  N server names (100000) through TLS for at most S seconds (120): the cache of certificates stays bounded
  stalls      hostile messages one by one: how long the event loop stands still for each
  mutants     verdict code changed in one place at a time: which changes no test notices`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string' }, seconds: { type: 'string' } },
});
const name = positionals[0] as keyof typeof SOAKS | undefined;
const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
if (name === undefined || !(name in SOAKS)) {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 2;
} else {
  const { ok, figures } = await SOAKS[name]({ count: number(values.count), seconds: number(values.seconds) });
  process.stdout.write(`${JSON.stringify({ name, ok, node: process.version, ...figures }, null, 1)}\n`);
  process.exit(ok ? 0 : 1);
}
