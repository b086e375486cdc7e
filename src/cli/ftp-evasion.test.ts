/**
 * The rows FTP-* of our list of evasions, as recordings: whatever is done to hide a transfer, its file is found with its virus, or what
 * could not be seen is named. Live refusals stand in samples/ftp; REST and APPE in pieces (FTP-010) in ftp-transfers.test.ts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CLIENT, SERVER } from '../core/flow.js';
import { CLIENT_HOST, control, data, FtpRecording, passive, type Say, SERVER_HOST } from '../testing/ftp-recording.js';
import { pcapFile } from '../testing/packets.js';
import { type FileRow, rows, scanned, scratch } from '../testing/program.js';

const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const THIEF = '192.0.2.66';
const work = scratch();

interface FlowRow {
  readonly state: string;
  readonly reason: string | null;
  readonly anomalies: Readonly<Record<string, number>>;
}
interface Seen {
  /** Name, verdict and state of each file. */
  readonly files: readonly (readonly [string | null, string, string])[];
  readonly flows: readonly FlowRow[];
  readonly odd: readonly string[];
}

/** What is seen of a recording, which is the same with two workers. */
async function seen(capture: FtpRecording): Promise<Seen> {
  const path = join(work, 'ftp.pcap');
  writeFileSync(path, pcapFile(capture.frames));
  const one = await scanned(work, ['--jobs', '1', path]);
  assert.deepEqual(await scanned(work, ['--jobs', '2', path]), one);
  assert.equal(one.said.join('\n'), '');
  const flows = rows<FlowRow>(one.flows);
  const roots = rows<FileRow>(one.files).filter(({ parent }) => parent === null);
  return {
    files: roots.map(({ name, verdict, state }) => [name, verdict, state]),
    flows,
    odd: flows.flatMap(({ anomalies }) => Object.keys(anomalies)),
  };
}

const INFECTED = ['bad.com', 'infected', 'complete'] as const;

function begun(): { capture: FtpRecording; say: Say; talk: ReturnType<typeof control>['talk'] } {
  const capture = new FtpRecording();
  const session = control(capture);
  session.say(CLIENT, 'TYPE I');
  session.say(SERVER, '200 ok');
  return { capture, ...session };
}

function retrieve(say: Say): void {
  say(CLIENT, 'RETR bad.com');
  say(SERVER, '150 here');
}

test('FTP-001, FTP-002: PORT to a third host, 227 of no host or another: the transfer is inspected, and noted', async () => {
  for (const [host, dials] of [
    ['0.0.0.0', SERVER_HOST],
    ['127.0.0.1', SERVER_HOST],
    [THIEF, THIEF],
  ] as const) {
    const { capture, say } = begun();
    passive(say, 2000, host);
    retrieve(say);
    capture.take(data(CLIENT_HOST, dials, 2000).send(SERVER, EICAR).close());
    say(SERVER, '226 done');
    const { files, odd } = await seen(capture);
    assert.deepEqual(files, [INFECTED], host);
    assert.ok(odd.includes('expected-elsewhere'), host);
  }
  const { capture, say } = begun();
  say(CLIENT, `PORT ${THIEF.replaceAll('.', ',')},8,0`);
  say(SERVER, '200 ok');
  retrieve(say);
  capture.take(data(SERVER_HOST, THIEF, 2048).send(CLIENT, EICAR).close());
  say(SERVER, '226 done');
  const { files, odd } = await seen(capture);
  assert.deepEqual(files, [INFECTED]);
  assert.ok(odd.includes('expected-elsewhere'));
});

test('FTP-004, FTP-005: places that cannot be read are noted, and the transfer is a gap, never clean', async () => {
  for (const command of [
    'PORT 10,1,0,5,300,1',
    'PORT 10,1,0,5,8',
    'PORT 10,1,0,5,8,0,0',
    'PORT 0x0a,1,0,5,8,0',
    'EPRT |1|10.1.0.5|99999|',
    'EPRT |2|10.1.0.5|2048|',
    'EPRT 1|10.1.0.5|2048|',
  ]) {
    const { capture, say } = begun();
    say(CLIENT, command);
    say(SERVER, '200 ok');
    retrieve(say);
    capture.take(data(SERVER_HOST, CLIENT_HOST, 2048).send(CLIENT, EICAR).close());
    say(SERVER, '226 done');
    const { files, odd } = await seen(capture);
    assert.ok(odd.includes('ftp-bad-address'), command);
    assert.deepEqual(files, [['bad.com', 'unscannable', 'gap']], command);
  }
});

test('FTP-006: control lines cut byte by byte, and several in one segment', async () => {
  const { capture, say, talk } = begun();
  for (const letter of 'PASV\r\n') talk.send(CLIENT, letter);
  for (const letter of `227 ok (${SERVER_HOST.replaceAll('.', ',')},8,0)\r\n`) talk.send(SERVER, letter);
  talk.send(CLIENT, 'RETR bad.com\r\nNOOP\r\n');
  capture.take(talk);
  say(SERVER, '150 here');
  capture.take(data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, EICAR).close());
  say(SERVER, '226 done');
  assert.deepEqual((await seen(capture)).files, [INFECTED]);
});

test('FTP-007: a page that makes a browser speak FTP opens nothing', async () => {
  const capture = new FtpRecording();
  const talk = data(CLIENT_HOST, SERVER_HOST, 21);
  talk.send(CLIENT, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nPORT 10,1,0,5,8,0\r\n');
  talk.send(SERVER, '500 what\r\n500 what\r\n200 ok\r\n');
  capture.take(talk);
  capture.take(data(SERVER_HOST, CLIENT_HOST, 2048).send(CLIENT, EICAR).close());
  const { files, flows } = await seen(capture);
  assert.deepEqual(files, []);
  assert.ok(flows.every(({ state }) => state === 'opaque'));
});

test('FTP-008: whoever takes the pinhole first does not hide the transfer', async () => {
  const { capture, say } = begun();
  passive(say, 2048);
  retrieve(say);
  capture.take(data(THIEF, SERVER_HOST, 2048).send(SERVER, 'harmless').close());
  capture.take(data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, EICAR).close());
  say(SERVER, '226 done');
  const { files, odd } = await seen(capture);
  assert.ok(
    files.some(([, verdict]) => verdict === 'infected'),
    JSON.stringify(files),
  );
  assert.ok(odd.includes('expected-from-elsewhere'));
});

test('FTP-009: a place is expected for 30 s, by its host once, and a thousand of them are no trouble', async () => {
  const late = begun();
  passive(late.say, 2048);
  retrieve(late.say);
  late.capture.wait(31);
  late.capture.take(data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, EICAR).close());
  late.say(SERVER, '226 done');
  assert.deepEqual((await seen(late.capture)).files, [['bad.com', 'unscannable', 'gap']]);

  const twice = begun();
  passive(twice.say, 2048);
  retrieve(twice.say);
  for (const text of [EICAR, 'second'])
    twice.capture.take(data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, text).close());
  twice.say(SERVER, '226 done');
  const { files, flows } = await seen(twice.capture);
  assert.deepEqual(files, [INFECTED]);
  assert.ok(flows.some(({ state, reason }) => state === 'opaque' && reason === 'unknown-protocol'));

  const many = begun();
  for (let port = 3000; port < 4000; port++) passive(many.say, port);
  retrieve(many.say);
  many.capture.take(data(CLIENT_HOST, SERVER_HOST, 3999).send(SERVER, EICAR).close());
  many.say(SERVER, '226 done');
  assert.deepEqual((await seen(many.capture)).files, [INFECTED]);
});

test('FTP-015: data before 150, 226 before the data ends, two transfers by one PORT, the default port', async () => {
  const early = begun();
  passive(early.say, 2048);
  early.say(CLIENT, 'RETR bad.com');
  const before = data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, EICAR);
  early.capture.take(before);
  early.say(SERVER, '150 here');
  early.say(SERVER, '226 done');
  early.capture.take(before.close());
  assert.deepEqual((await seen(early.capture)).files, [INFECTED]);

  const again = begun();
  again.say(CLIENT, `PORT ${CLIENT_HOST.replaceAll('.', ',')},8,0`);
  again.say(SERVER, '200 ok');
  for (const name of ['first.com', 'second.com']) {
    again.say(CLIENT, `RETR ${name}`);
    again.say(SERVER, '150 here');
    again.capture.take(data(SERVER_HOST, CLIENT_HOST, 2048).send(CLIENT, EICAR).close());
    again.say(SERVER, '226 done');
  }
  assert.deepEqual((await seen(again.capture)).files, [
    ['first.com', 'infected', 'complete'],
    ['second.com', 'infected', 'complete'],
  ]);

  const unasked = begun();
  retrieve(unasked.say);
  unasked.capture.take(data(SERVER_HOST, CLIENT_HOST, unasked.talk.client.port, 20).send(CLIENT, EICAR).close());
  unasked.say(SERVER, '226 done');
  assert.deepEqual((await seen(unasked.capture)).files, [INFECTED]);
});

test('FTP-016: listings and long replies are no files', async () => {
  const { capture, say } = begun();
  for (const [index, verb] of ['LIST', 'NLST', 'MLSD'].entries()) {
    passive(say, 2100 + index);
    say(CLIENT, verb);
    say(SERVER, '150 here');
    capture.take(
      data(CLIENT_HOST, SERVER_HOST, 2100 + index)
        .send(SERVER, '-rw-r--r-- 1 a a 3 Jan 1 x\r\n')
        .close(),
    );
    say(SERVER, '226 done');
  }
  say(CLIENT, 'STAT');
  say(SERVER, `211-status\r\n ${EICAR}\r\n211 end`);
  const { files, flows } = await seen(capture);
  assert.deepEqual(files, []);
  assert.ok(flows.every(({ state }) => state === 'decoded'));
});

test('FTP-017: a command of 1 MB, a reply without an end, Telnet signals: noted, and what follows is read', async () => {
  const { capture, say, talk } = begun();
  talk.send(CLIENT, `RETR ${'x'.repeat(1_000_000)}\r\n`);
  capture.take(talk);
  say(SERVER, '500 too long');
  talk.send(CLIENT, Buffer.from('\xff\xf4\xff\xf2ABOR\r\n', 'latin1'));
  capture.take(talk);
  say(SERVER, '226 nothing to abort');
  passive(say, 2048);
  retrieve(say);
  capture.take(data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, EICAR).close());
  say(SERVER, '226 done');
  const { files, odd } = await seen(capture);
  assert.deepEqual(files, [INFECTED]);
  assert.ok(odd.includes('ftp-line-too-long'));

  const endless = begun();
  passive(endless.say, 2048);
  retrieve(endless.say);
  endless.capture.take(data(CLIENT_HOST, SERVER_HOST, 2048).send(SERVER, EICAR).close());
  endless.say(SERVER, `226-done\r\n${' more\r\n'.repeat(2_000)}`);
  assert.deepEqual(
    (await seen(endless.capture)).files.map(([name, verdict]) => [name, verdict]),
    [['bad.com', 'infected']],
  );
});
