/** The sample captures through the program: every file that is known to be in them, and the same output however the work or the bytes are cut. */
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ScanEvent } from '../capture/events.js';
import { ScanThread } from '../capture/scan-thread.js';
import { CAPTURE_NAMES, CAPTURES, capturePath, type FileRow, rows, scanned, scratch } from '../testing/program.js';
import { recut } from '../testing/recut.js';
import { scanSetup } from '../testing/scan-setup.js';

const work = scratch();
const SETUP = scanSetup();
const PCAP_HEADER = 24;
/** The client of the samples, as a packet has it. */
const CLIENT = Buffer.from([10, 1, 100, 44]);

/** All samples in one capture, each with a client of its own: connections of the same two hosts fall to the same worker. */
const allInOne = join(work, 'all.pcap');
writeFileSync(
  allInOne,
  Buffer.concat(
    CAPTURE_NAMES.map((name, index) => {
      const capture = readFileSync(capturePath(name)).subarray(index === 0 ? 0 : PCAP_HEADER);
      for (let at = capture.indexOf(CLIENT); at >= 0; at = capture.indexOf(CLIENT, at + 4))
        capture[at + 3] = index + 100;
      return capture;
    }),
  ),
);

interface Truth {
  readonly files: readonly {
    readonly name: string | null;
    readonly size: number;
    readonly sha256: string;
    readonly direction: string;
    readonly infected: boolean;
    readonly partial?: boolean;
    /** Where a transfer changed it on its way (FTP's TYPE A). */
    readonly wire_sha256?: string;
    readonly wire_size?: number;
  }[];
}

/** Of a file on a share: its name in its directory. */
function leaf(name: string | null): string | null {
  return name?.slice(name.lastIndexOf('\\') + 1) ?? null;
}

/** Key logs lie beside the captures that they open. */
const KEYS = readdirSync(CAPTURES).filter((name) => name.endsWith('.keys'));
writeFileSync(join(work, 'all.keys'), KEYS.map((name) => readFileSync(join(CAPTURES, name), 'latin1')).join('\n'));

/** The hash in its truth is of the file before the server added a header line; what crossed the wire is another file. */
const NOT_AS_ON_THE_WIRE = new Set(['smtp-plain-nested-rfc822 forwarded.eml']);

test('every file that crossed the wire is a row, and nothing else is infected', async () => {
  const found = rows((await scanned(work, ['--jobs', '1', ...CAPTURE_NAMES.map(capturePath)])).files);
  for (const name of CAPTURE_NAMES) {
    const truth = JSON.parse(readFileSync(join(CAPTURES, `${name}.json`), 'utf8')) as Truth;
    const left = found.filter((row) => row.input === capturePath(name));
    const infected = new Set<string | null>();
    for (const file of truth.files) {
      const label = `${name} ${file.name}`;
      if (file.infected) infected.add(file.sha256);
      const fits = (row: FileRow) =>
        (row.name === file.name || leaf(row.name) === file.name) &&
        (NOT_AS_ON_THE_WIRE.has(label) ||
          file.partial === true ||
          (row.sha256 === (file.wire_sha256 ?? file.sha256) && row.size === (file.wire_size ?? file.size)));
      const at = left.findIndex(fits);
      const [row] = at < 0 ? [] : left.splice(at, 1);
      assert.ok(row !== undefined, `${label}: no row`);
      assert.equal(row.transfer, file.direction, label);
      if (file.partial === true) assert.notEqual(row.verdict, 'clean', label);
      else {
        assert.equal(row.state, 'complete', label);
        assert.equal(row.verdict, file.infected ? 'infected' : 'clean', label);
        assert.deepEqual(row.virus, file.infected ? ['EICAR_TEST_FILE'] : [], label);
      }
    }
    // What else is there: messages and text parts around the files, members of archives.
    const known = new Map(found.filter((row) => row.input === capturePath(name)).map((row) => [row.id, row]));
    const within = (row: FileRow): boolean =>
      infected.has(row.sha256) || (row.parent !== null && within(known.get(row.parent)!));
    const around = (row: FileRow): boolean =>
      [...known.values()].some((other) => other.parent === row.id && other.verdict === 'infected');
    for (const row of left)
      if (row.verdict === 'infected') assert.ok(within(row) || around(row), `${name}: false alarm on ${row.name}`);
  }
});

test('rows and logs are the same for one, two and four workers', async () => {
  const inputs = [allInOne, ...CAPTURE_NAMES.map(capturePath)];
  const one = await scanned(work, ['--jobs', '1', ...inputs]);
  assert.equal(one.status, 1);
  assert.ok(rows(one.files).length > 300);
  for (const jobs of ['2', '4']) {
    const several = await scanned(work, ['--jobs', jobs, ...inputs]);
    assert.deepEqual(several, one, `--jobs ${jobs}`);
  }
});

test('events are the same whether another thread hashes and searches or this one does', async () => {
  const heard = async (digestThread: boolean): Promise<unknown[]> => {
    const thread = await ScanThread.start({ ...SETUP, digestThread, hashMessages: true });
    if (digestThread) thread.startDigestThread();
    const events: ScanEvent[] = [];
    const take = (some: readonly ScanEvent[]): void => void events.push(...some);
    for (const input of [allInOne, ...CAPTURE_NAMES.map(capturePath)])
      await thread.capture(input, { index: 0, count: 1 }, take, () => {});
    thread.close();
    return numberedAnew(events);
  };
  const here = await heard(false);
  assert.ok(here.length > 200);
  assert.deepEqual(await heard(true), here);
});

/** Numbers of files are in the order of their beginning, which may be another one where members come out of archives meanwhile. */
function numberedAnew(events: readonly ScanEvent[]): unknown[] {
  const numbers = new Map<unknown, number>();
  const anew = (key: string, value: unknown): unknown => {
    if ((key !== 'id' && key !== 'parent') || typeof value !== 'number') return value;
    if (!numbers.has(value)) numbers.set(value, numbers.size);
    return numbers.get(value);
  };
  return events.map((event) => JSON.parse(JSON.stringify(event, anew)) as unknown);
}

test('two workers share the connections of a capture: both have some, together all', async () => {
  const thread = await ScanThread.start(SETUP);
  const started = async (index: number, count: number) => {
    const flows: number[] = [];
    const take = (events: readonly ScanEvent[]) => {
      for (const event of events) if (event.kind === 'flow-started') flows.push(event.flow);
    };
    await thread.capture(allInOne, { index, count }, take, () => {});
    return flows;
  };
  const all = await started(0, 1);
  const first = await started(0, 2);
  const second = await started(1, 2);
  thread.close();
  assert.ok(first.length > 0 && second.length > 0, `${first.length} and ${second.length}`);
  assert.deepEqual(
    [...first, ...second].sort((a, b) => a - b),
    all,
  );
});

test('rows and logs are the same when segments are cut into seven bytes, and into single ones', async () => {
  const names = CAPTURE_NAMES.map((name) => `${name}.pcap`);
  const whole = await scanned(work, names, { cwd: CAPTURES });
  for (const size of [7, 1]) {
    const directory = scratch();
    for (const name of KEYS) copyFileSync(join(CAPTURES, name), join(directory, name));
    for (const name of CAPTURE_NAMES)
      writeFileSync(join(directory, `${name}.pcap`), recut(readFileSync(capturePath(name)), size));
    const cut = await scanned(work, names, { cwd: directory });
    assert.equal(cut.files, whole.files);
    // A connection that was reset is let go some packets later: which others end before that is a matter of how many packets there are.
    assert.equal(inOrder(cut.flows), inOrder(whole.flows));
    assert.equal(cut.log, whole.log);
    assert.deepEqual(cut.said, []);
  }
});

/** Rows of connections, by input and number. */
function inOrder(flows: string): string {
  return flows
    .trimEnd()
    .split('\n')
    .map((line) => ({ line, flow: (JSON.parse(line) as { flow: number }).flow }))
    .sort((one, other) => one.flow - other.flow)
    .map(({ line }) => line)
    .join('\n');
}
