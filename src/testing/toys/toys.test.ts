import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { parseCaseFile } from '../case-file.js';
import { everySplit } from '../split.js';
import { TOY_FTP } from './ftp.js';
import { TOY_IMAP } from './imap.js';
import { CLOSE, message, TOY_SMB2, WRITE } from './smb2.js';

const TOYS = [TOY_IMAP, TOY_FTP, TOY_SMB2];

/** The live and the passive trace of a session, the same however it is cut. */
function traces(front: string, session: string): { live: string; passive: string } {
  const text = `---\n${front}\n---\n\`\`\`session\n${session}\n\`\`\`\n`;
  const found = everySplit(parseCaseFile(text, TOYS).session);
  return { live: found.get('live') ?? '', passive: found.get('passive') ?? '' };
}

/** A message as script text. */
function said(side: 'C' | 'S', ...parts: Buffer[]): string {
  const hex = [...Buffer.concat(parts)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  return `${side}: ${hex}\\`;
}

test('IMAP: a fetched literal is held from its brace on and released after its verdict', () => {
  const { live, passive } = traces(
    'protocol: toy-imap',
    'C: a FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {10}\nS: 0123456789)\nS: a OK\nC: b LOGOUT\nS: b OK',
  );
  assert.match(live, /held 1 for file 1: 18-34, released/);
  assert.equal(live, passive);
});

test('IMAP: a blocked literal is replaced within its length', () => {
  const { live } = traces(
    'protocol: toy-imap\nverdicts: block "no"',
    'C: a FETCH 1 BODY[]\nS: * 1 FETCH (BODY[] {10}\nS: 0123456789)\nS: a OK',
  );
  assert.match(live, /held 1 for file 1: 18-34, replaced by "\{10\}\\r\\nno {8}"/);
});

test('IMAP: a partial fetch is answered from the whole message, which the proxy fetched itself', () => {
  const session =
    'C: a FETCH 1 BODY[]<2.3>\nS: * 1 FETCH (BODY[] {10}\nS: 0123456789)\nS: PROXY OK\nC: b NOOP\nS: b OK';
  const { live } = traces('protocol: toy-imap\nmodes: live', session);
  assert.match(
    live,
    /toward the server\n {2}send "PROXY FETCH 1 BODY.PEEK\[\]\\r\\n"\n {2}pass 23-31\n {2}fin\n {2}drop 0-23/,
  );
  assert.match(live, /send "\* 1 FETCH \(BODY\[\]<2> \{3\}\\r\\n234\)\\r\\na OK done\\r\\n"/);
  const blocked = traces('protocol: toy-imap\nmodes: live\nverdicts: block "none"', session).live;
  assert.match(blocked, /\{3\}\\r\\nne \)\\r\\n/);
});

test('IMAP: APPEND waits for the go-ahead, and its literal for the verdict', () => {
  const { live } = traces(
    'protocol: toy-imap\nverdicts: block "no"',
    'C: a APPEND x {5}\nS: + go\nC: EVIL!\nS: a OK\nC: b LOGOUT',
  );
  assert.match(live, /pass 0-16\n {2}held 1 for file 1: 16-21, replaced by "no {3}"\n {2}pass 21-33/);
});

test('IMAP: STARTTLS changes the layer of both directions behind the OK', () => {
  const { live, passive } = traces('protocol: toy-imap', 'C: a STARTTLS\nS: a OK go\nC: b NOOP\nS: b OK');
  assert.match(live, /pass 0-12\n {2}layer tls\n {2}pass 12-20/);
  assert.equal(live, passive);
});

test('IMAP: clear text behind STARTTLS ends the flow', () => {
  const { live } = traces('protocol: toy-imap\nmodes: live', 'C: a STARTTLS\nC: b NOOP\nS: a OK go');
  assert.match(live, /plaintext-before-tls of the client at 12/);
});

const DOWNLOAD = [
  'C: PASV',
  'S: 227 Entering Passive Mode (10,0,0,1,4,1)',
  'C: RETR x',
  '-- pipelined',
  'S: 150 here',
  '1S: content\\',
  '-- fin 1S',
  '-- fin 1C',
  '-- verdicts',
  'S: 226 done',
  '-- in-order',
  'C: QUIT',
].join('\n');

test('FTP: the 227 line names our pinhole, and the data connection is decoded with its parent', () => {
  const { live, passive } = traces('protocol: toy-ftp', DOWNLOAD);
  assert.match(live, /replaced by "227 Entering Passive Mode \(192,0,2,99,156,65\)\\r\\n"/);
  assert.match(passive, /held 1: 0-42, released/);
  assert.match(live, /flow 1\nfiles\n {2}1 download "x" 7 bytes/);
});

test('FTP: a refused STOR resets the data connection and turns the closing reply into 550', () => {
  const { live } = traces(
    'protocol: toy-ftp\nmodes: live\nverdicts: block "no"',
    'C: PASV\nS: 227 ok (10,0,0,1,4,1)\nC: STOR x\nS: 150 go\n1C: evil\\\n-- fin 1C\n-- verdicts\nS: 426 cut',
  );
  assert.match(live, /replaced by "550 no\\r\\n"/);
  assert.match(live, /held 1 for file 1: 0-4, never settled\nreset blocked/);
});

test('SMB2: other messages overtake the CLOSE of a written file that waits for its verdict', () => {
  const session = [
    '-- pipelined',
    said('C', message(WRITE, 1, 7, 'abc'), message(WRITE, 2, 7, 'def'), message(CLOSE, 3, 7), message(0x51, 4, 0)),
    said('S', message(WRITE, 1, 7), message(WRITE, 2, 7), message(0x51, 4, 0)),
    '-- verdicts',
    said('S', message(CLOSE, 3, 7)),
  ].join('\n');
  const { live } = traces('protocol: toy-smb2\nmodes: live\nverdict-timing: matters', session);
  assert.match(live, /files\n {2}1 upload "fid 7" 6 bytes/);
  assert.match(live, /pass 0-22\n {2}pass 30-38\n {2}aside 1 for file 1: 22-30, released/);
});

test('SMB2: own requests shift the message ids of later ones and shift back the answers', () => {
  const session = [
    said('C', message(WRITE, 1, 7, 'abc'), message(CLOSE, 2, 7)),
    said('S', message(WRITE, 1, 7), message(0x44, 3, 7)),
    said('C', message(0x51, 3, 0)),
    said('S', message(0x51, 4, 0)),
  ].join('\n');
  const { live } = traces('protocol: toy-smb2\nmodes: live\nverdicts: block "no"', session);
  assert.match(live, /aside 1 for file 1: 11-19, replaced by ""/);
  assert.match(live, /send "\\u0000\\u0000\\u0000\\u0004D\\u0000\\u0003\\u0007"/);
  assert.match(live, /send "\\u0000\\u0000\\u0000\\u0004Q\\u0000\\u0003\\u0000"/);
});
