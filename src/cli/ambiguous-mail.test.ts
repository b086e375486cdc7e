/**
 * The rows MIM-* of our list of evasions through the program: as .eml files, sent by SMTP and fetched by POP3. Each mail is infected by name,
 * whatever way it is written in, but for those in which nothing can be read; those are refused.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CLIENT, SERVER } from '../core/flow.js';
import { ambiguousMail, hiddenMail } from '../testing/ambiguous-mail.js';
import { zipOf } from '../testing/archive-bytes.js';
import { Conversation, pcapFile } from '../testing/packets.js';
import { type FileRow, rows, scanned, scratch } from '../testing/program.js';
import { dotStuffed, play, said, type Turn } from '../testing/sessions.js';

const EICAR = Buffer.from(['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join(''));
const ZIP = zipOf([{ name: 'eicar.com', data: EICAR }]);
const work = scratch();

/** Of these the list asks that they be refused, not that the file be found. */
const REFUSED = /^MIM-(067|113|114|119)/;

interface Case {
  readonly title: string;
  readonly bytes: Buffer;
}

const CASES: readonly Case[] = [EICAR, ZIP].flatMap((payload, at) => [
  ...Object.entries(ambiguousMail(payload)).flatMap(([row, variants]) =>
    variants.map((text, index) => ({ title: `${row} ${at}.${index}`, bytes: Buffer.from(text, 'latin1') })),
  ),
  ...Object.entries(hiddenMail(payload)).map(([title, text]) => ({
    title: `${title} ${at}`,
    bytes: Buffer.from(text, 'latin1'),
  })),
]);

/** What is wrong with the verdicts of the messages, which are in the order of the cases. */
function wrong(text: string): string[] {
  const roots = rows<FileRow>(text).filter(({ parent }) => parent === null);
  assert.equal(roots.length, CASES.length);
  return roots
    .map(({ verdict, reason }, at) => ({ title: CASES[at]!.title, verdict, reason }))
    .filter(({ title, verdict }) => (REFUSED.test(title) ? verdict === 'clean' : verdict !== 'infected'))
    .map(({ title, verdict, reason }) => `${title}: ${verdict} ${reason ?? ''}`);
}

/** A message as it goes over the wire: dots stuffed, the last line ended. */
function onTheWire({ bytes }: Case): Buffer {
  const ended = bytes.subarray(-2).toString('latin1') === '\r\n' ? bytes : Buffer.concat([bytes, Buffer.from('\r\n')]);
  return Buffer.concat([dotStuffed(ended), Buffer.from('.\r\n')]);
}

/** Each case in a connection of its own. */
function captureOf(port: number, session: (one: Case) => Turn[]): string {
  const path = join(work, `${port}.pcap`);
  const packets = CASES.flatMap((one, at) => {
    const conversation = new Conversation({
      client: { address: '10.1.100.44', port: 20_000 + at },
      server: { address: '172.16.200.55', port },
      start: 1_700_000_000_000_000_000n + BigInt(at) * 1_000_000_000n,
    });
    play(session(one), conversation);
    return conversation.packets;
  });
  writeFileSync(path, pcapFile(packets));
  return path;
}

test('as .eml files', async () => {
  const folder = join(work, 'eml');
  mkdirSync(folder);
  for (const [at, { bytes }] of CASES.entries())
    writeFileSync(join(folder, `${String(at).padStart(4, '0')}.eml`), bytes);
  assert.deepEqual(wrong((await scanned(work, [folder])).files), []);
});

test('sent by SMTP', async () => {
  const path = captureOf(25, (one) => [
    said(SERVER, '220 ready'),
    said(CLIENT, 'EHLO me'),
    said(SERVER, '250 hello'),
    said(CLIENT, 'MAIL FROM:<a@x.test>'),
    said(SERVER, '250 ok'),
    said(CLIENT, 'RCPT TO:<b@x.test>'),
    said(SERVER, '250 ok'),
    said(CLIENT, 'DATA'),
    said(SERVER, '354 go on'),
    { side: CLIENT, bytes: onTheWire(one) },
    said(SERVER, '250 queued'),
    said(CLIENT, 'QUIT'),
    said(SERVER, '221 bye'),
  ]);
  assert.deepEqual(wrong((await scanned(work, [path])).files), []);
});

test('fetched by POP3', async () => {
  const path = captureOf(110, (one) => [
    said(SERVER, '+OK ready'),
    said(CLIENT, 'USER a'),
    said(SERVER, '+OK'),
    said(CLIENT, 'PASS b'),
    said(SERVER, '+OK'),
    said(CLIENT, 'RETR 1'),
    { side: SERVER, bytes: Buffer.concat([Buffer.from('+OK\r\n'), onTheWire(one)]) },
    said(CLIENT, 'QUIT'),
    said(SERVER, '+OK bye'),
  ]);
  assert.deepEqual(wrong((await scanned(work, [path])).files), []);
});
