/** FTP over several connections: a file in stretches, text as it is stored, announced connections between other hosts, all by one and two workers. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CLIENT, SERVER } from '../core/flow.js';
import { CLIENT_HOST, control, data, FtpRecording, passive, SERVER_HOST } from '../testing/ftp-recording.js';
import { pcapFile } from '../testing/packets.js';
import { type FileRow, rows, scanned, scratch } from '../testing/program.js';

const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const work = scratch();

async function files(name: string, capture: FtpRecording): Promise<FileRow[]> {
  const path = join(work, `${name}.pcap`);
  writeFileSync(path, pcapFile(capture.frames));
  const one = await scanned(work, ['--jobs', '1', path]);
  const two = await scanned(work, ['--jobs', '2', path]);
  assert.deepEqual(two, one);
  return rows(one.files);
}

test('a transfer that was cut and resumed on another connection is one file more, and the virus in it is found', async () => {
  const capture = new FtpRecording();
  const first = control(capture);
  first.say(CLIENT, 'TYPE I');
  first.say(SERVER, '200 ok');
  passive(first.say, 2000);
  first.say(CLIENT, 'RETR bad.com');
  first.say(SERVER, '150 here');
  capture.take(data(CLIENT_HOST, SERVER_HOST, 2000).send(SERVER, EICAR.slice(0, 30)).finish(CLIENT).close());
  first.say(SERVER, '426 cut');
  const second = control(capture);
  second.say(CLIENT, 'TYPE I');
  second.say(SERVER, '200 ok');
  passive(second.say, 2001);
  second.say(CLIENT, 'REST 30');
  second.say(SERVER, '350 from there');
  second.say(CLIENT, 'RETR bad.com');
  second.say(SERVER, '150 here');
  capture.take(data(CLIENT_HOST, SERVER_HOST, 2001).send(SERVER, EICAR.slice(30)).close());
  second.say(SERVER, '226 done');
  const found = await files('resumed', capture);
  assert.deepEqual(
    found.map((row) => [row.name, row.size, row.verdict, row.state]),
    [
      ['bad.com', 30, 'unscannable', 'truncated'],
      ['bad.com', EICAR.length - 30, 'unscannable', 'complete'],
      ['bad.com', EICAR.length, 'infected', 'complete'],
    ],
  );
});

test('a file that is appended to is judged whole', async () => {
  const capture = new FtpRecording();
  const { say } = control(capture);
  say(CLIENT, 'TYPE I');
  say(SERVER, '200 ok');
  for (const [index, [verb, part]] of (
    [
      ['STOR', EICAR.slice(0, 20)],
      ['APPE', EICAR.slice(20)],
    ] as const
  ).entries()) {
    passive(say, 2100 + index);
    say(CLIENT, `${verb} up.bin`);
    say(SERVER, '150 go on');
    capture.take(
      data(CLIENT_HOST, SERVER_HOST, 2100 + index)
        .send(CLIENT, part)
        .close(),
    );
    say(SERVER, '226 done');
  }
  const found = await files('appended', capture);
  assert.ok(found.some((row) => row.size === EICAR.length && row.verdict === 'infected' && row.transfer === 'upload'));
  assert.ok(found.every((row) => row.size !== EICAR.length - 20 || row.verdict === 'unscannable'));
});

test('text is scanned as it was on the wire and as a Unix host stores it', async () => {
  const capture = new FtpRecording();
  const { say } = control(capture);
  passive(say, 2200);
  say(CLIENT, 'STOR note.txt');
  say(SERVER, '150 go on');
  capture.take(data(CLIENT_HOST, SERVER_HOST, 2200).send(CLIENT, 'one\r\ntwo\r\n').close());
  say(SERVER, '226 done');
  assert.deepEqual(
    (await files('text', capture)).map((row) => [row.name, row.size, row.parent === null]),
    [
      ['note.txt', 10, true],
      ['note.txt', 8, false],
    ],
  );
});

test('a data connection between other hosts belongs to its control connection, whoever has that', async () => {
  for (let host = 0; host < 4; host++) {
    const capture = new FtpRecording();
    const { say } = control(capture);
    say(CLIENT, 'TYPE I');
    say(SERVER, '200 ok');
    const elsewhere = `192.168.7.${host}`;
    passive(say, 2300, elsewhere);
    say(CLIENT, 'RETR far.com');
    say(SERVER, '150 here');
    capture.take(data(CLIENT_HOST, elsewhere, 2300).send(SERVER, EICAR).close());
    say(SERVER, '226 done');
    const found = await files(`elsewhere-${host}`, capture);
    assert.deepEqual(
      found.map((row) => [row.name, row.verdict, row.service]),
      [['far.com', 'infected', 'FTP']],
    );
  }
});

test('a transfer whose data connection was not recorded is a gap, an empty one is an empty file', async () => {
  const capture = new FtpRecording();
  const { say } = control(capture);
  say(CLIENT, 'TYPE I');
  say(SERVER, '200 ok');
  for (const [index, name] of ['lost.bin', 'empty.bin'].entries()) {
    passive(say, 2400 + index);
    say(CLIENT, `RETR ${name}`);
    say(SERVER, '150 here');
    if (name === 'empty.bin') capture.take(data(CLIENT_HOST, SERVER_HOST, 2400 + index).close());
    say(SERVER, '226 done');
  }
  assert.deepEqual(
    (await files('empty', capture)).map((row) => [row.name, row.size, row.state, row.verdict]),
    [
      ['lost.bin', 0, 'gap', 'unscannable'],
      ['empty.bin', 0, 'complete', 'clean'],
    ],
  );
});
