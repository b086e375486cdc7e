// The same conversations as other cameras, cards and networks would have written them: the same files must come out of every disguise, and where bytes are
// lost no file that lost any may be called clean.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  clientOnly,
  type Disguise,
  dataSegments,
  disguised,
  EDGE_DISGUISES,
  FILE_DISGUISES,
  IP_DISGUISES,
  IPV6_DISGUISES,
  inSuccession,
  SEGMENT_DISGUISES,
  serverOnly,
  without,
  withoutFirst,
} from '../testing/disguise.js';
import { SeededRandom } from '../testing/random.js';
import { scanSetup } from '../testing/scan-setup.js';
import type { ScanEvent } from './events.js';
import { Scan } from './scan.js';

const SAMPLES = 'samples/captures';
// Not FTP: it names addresses in its commands, which a disguise of the packets does not change. Not TLS: its keys are left behind.
const CAPTURES = readdirSync(SAMPLES)
  .filter((name) => name.endsWith('.pcap') && !/^ftp|tls/.test(name))
  .map((name) => name.replace('.pcap', ''));
const load = (name: string): Buffer => readFileSync(join(SAMPLES, `${name}.pcap`));

const folder = mkdtempSync(join(tmpdir(), 'inspectd-disguise-'));
const scan = new Scan(scanSetup({ hashMessages: true }));
after(async () => {
  await scan.close();
  rmSync(folder, { recursive: true });
});

interface Row {
  readonly name: string | undefined;
  readonly size: number;
  readonly sha256: string | undefined;
  readonly type: string;
  readonly state: string;
  readonly verdict: string;
  readonly virus: readonly string[];
  /** It came over the connection itself, in nothing else. */
  readonly root: boolean;
}

interface Seen {
  readonly rows: Row[];
  /** Everything about the files and connections but times, numbers of packets, and addresses. */
  readonly facts: unknown[];
  readonly anomalies: Readonly<Record<string, number>>[];
}

async function see(capture: Buffer): Promise<Seen> {
  const file = join(folder, 'capture');
  writeFileSync(file, capture);
  const seen: Seen = { rows: [], facts: [], anomalies: [] };
  const deliver = (event: ScanEvent): void => {
    if (event.kind === 'tree') {
      const rows = event.files.map(({ name, size, sha256, type, state, verdict, parent }) => ({
        name,
        size,
        sha256,
        type,
        state,
        verdict: verdict.verdict,
        virus: verdict.virus,
        root: parent === undefined,
      }));
      seen.rows.push(...rows);
      seen.facts.push({
        rows,
        parents: event.files.map((each) => event.files.findIndex((other) => other.id === each.parent)),
        transfer: event.files[0]?.transfer,
        service: event.session.service,
        ports: [event.session.client.port, event.session.server.port],
        mail: event.mail,
        outcomes: event.outcomes.map((outcome) => [outcome.kind, outcome.action, outcome.file.meta.name]),
      });
    } else if (event.kind === 'flow-ended') {
      const { service, state, reason, clientBytes, serverBytes, anomalies, tls } = event;
      seen.facts.push({ service, state, reason, clientBytes, serverBytes, tls });
      seen.anomalies.push(anomalies);
    }
  };
  const report = await scan.capture({ name: file, size: 0, deliver, advance: () => {} });
  assert.equal(report.damage, undefined);
  return seen;
}

const originals = new Map<string, Promise<Seen>>();
function original(name: string): Promise<Seen> {
  const known = originals.get(name) ?? see(load(name));
  originals.set(name, known);
  return known;
}

async function expectSame(name: string, disguises: readonly Disguise[], seed: number): Promise<void> {
  const seen = await see(disguised(load(name), disguises, new SeededRandom(seed)));
  const expected = await original(name);
  const title = `${name}, ${disguises.map((one) => one.name).join(' + ')}, seed ${seed}`;
  assert.deepEqual(seen.facts, expected.facts, title);
  assert.deepEqual(seen.anomalies, expected.anomalies, title);
}

for (const disguise of [...SEGMENT_DISGUISES, ...IP_DISGUISES, ...IPV6_DISGUISES, ...FILE_DISGUISES]) {
  test(`the same files are found: ${disguise.name}`, async () => {
    for (const [seed, name] of CAPTURES.entries()) await expectSame(name, [disguise], seed);
  });
}

for (const disguise of EDGE_DISGUISES) {
  test(`the same files are found: ${disguise.name}`, async () => {
    for (const [seed, name] of CAPTURES.entries()) {
      const seen = await see(disguised(load(name), [disguise], new SeededRandom(seed)));
      assert.deepEqual(seen.rows, (await original(name)).rows, name);
    }
  });
}

test('the same files are found in disguises of segments, IP and file at once', async () => {
  const random = new SeededRandom(11);
  // Offload leaves packets that no other disguise of IP can carry.
  const segments = SEGMENT_DISGUISES.filter((one) => one.packets === undefined);
  const packets = [...IP_DISGUISES, ...IPV6_DISGUISES.filter((one) => one.segments === undefined)];
  for (let round = 0; round < 80; round++) {
    const chosen = [random.pick(segments), random.pick(packets), random.pick(FILE_DISGUISES)];
    await expectSame(random.pick(CAPTURES), chosen, round);
  }
});

test('a connection that begins anew on the same ports gives its files too', async () => {
  for (const [first, second] of [
    ['smtp-plain-multi', 'smtp-plain-two-mails-one-conn'],
    ['smtp-plain-two-mails-one-conn', 'smtp-plain-multi'],
    ['pop3-plain-retr-all', 'pop3-plain-pipelined'],
  ] as const) {
    const seen = await see(inSuccession(load(first), load(second)));
    assert.deepEqual(seen.rows, [...(await original(first)).rows, ...(await original(second)).rows]);
  }
});

/** Each side sends files. */
const BOTH_WAYS = ['imap-compress-deflate'];
const ONE_WAY = CAPTURES.filter((name) => !BOTH_WAYS.includes(name) && !name.startsWith('smb'));
/** The client sends it. */
const isUpload = (name: string): boolean => name.startsWith('smtp') || name.startsWith('imap-append');

test('the side that sends the mail is enough', async () => {
  for (const name of ONE_WAY) {
    const only = isUpload(name) ? clientOnly : serverOnly;
    // TOP's answer looks like a message; without the command it cannot be known to be cut on purpose.
    if (name === 'pop3-plain-uidl-top') continue;
    const seen = await see(disguised(load(name), [only], new SeededRandom(1)));
    assert.deepEqual(seen.rows, (await original(name)).rows, name);
  }
});

test('the side that only answers gives nothing that could be called clean', async () => {
  for (const name of ONE_WAY) {
    const only = isUpload(name) ? serverOnly : clientOnly;
    const seen = await see(disguised(load(name), [only], new SeededRandom(1)));
    assert.deepEqual(
      seen.rows.filter((row) => row.verdict === 'clean'),
      [],
      name,
    );
  }
});

/** Nothing is clean that is not whole, and what differs says so. */
function expectHonest(seen: Seen, whole: Seen, title: string): void {
  // The message around a part that IMAP fetched alone is ours, with as much of its header as was told.
  const ours = (row: Row): boolean => title.startsWith('imap-plain-fetch-parts') && row.type === 'mime';
  for (const row of seen.rows.filter((each) => each.verdict === 'clean' && !ours(each)))
    assert.ok(
      whole.rows.some((one) => one.sha256 === row.sha256 && one.name === row.name),
      `${title}: clean and not of the capture: ${JSON.stringify(row)}`,
    );
}

test('of a capture that begins late nothing is clean that is not whole', async () => {
  for (const name of CAPTURES)
    for (const count of [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 20]) {
      const disguise = withoutFirst(count);
      const seen = await see(disguised(load(name), [disguise], new SeededRandom(1)));
      expectHonest(seen, await original(name), `${name} ${disguise.name}`);
    }
});

test('whichever packet is lost, one mail at most suffers, it is told, and nothing is clean that is not whole', async () => {
  const mails = (seen: Seen): Row[] => seen.rows.filter((row) => row.root && row.type === 'mime');
  for (const name of CAPTURES) {
    const capture = load(name);
    const whole = await original(name);
    const count = dataSegments(capture);
    // Each of a small capture; of a larger one the dialogue, and every fifth after it.
    for (let number = 0; number < count; number += count < 40 || number < 15 ? 1 : 5) {
      const seen = await see(disguised(capture, [without(number)], new SeededRandom(1)));
      const title = `${name} without data segment ${number}`;
      expectHonest(seen, whole, title);
      const unhurt = mails(whole).filter((row) => mails(seen).some((one) => one.sha256 === row.sha256));
      // What IMAP tells of a message is needed for all that is fetched of it, and a compressed stream for all that follows in it.
      const hurt = name.startsWith('imap') ? mails(whole).length : 1;
      assert.ok(unhurt.length >= mails(whole).length - hurt, `${title}: ${JSON.stringify(seen.rows)}`);
      assert.ok(
        seen.anomalies.some((each) => Object.keys(each).length > 0),
        `${title}: nothing told`,
      );
    }
  }
});
