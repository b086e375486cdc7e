/** The rows ARC-* and BMB-* of our list of evasions through the program: as files, and attached to mail that SMTP and POP3 carry. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostileArchives } from '../testing/hostile-archives.js';
import { Conversation, pcapFile } from '../testing/packets.js';
import { type FileRow, rows, scanned, scratch } from '../testing/program.js';
import { type Mail, play, pop3Session, smtpSession, type Turn } from '../testing/sessions.js';

const work = scratch();
const ARCHIVES = hostileArchives();

/** Titles of those whose file has another verdict than its row asks for. */
function wrong(text: string): string[] {
  const byName = new Map(rows<FileRow>(text).map((row) => [row.name, row]));
  return ARCHIVES.flatMap(({ title, name, verdict: expected }) => {
    const row = byName.get(name);
    const verdict = row?.verdict ?? 'missing';
    const right = expected === 'refused' ? ['unscannable', 'malformed'].includes(verdict) : verdict === expected;
    return right ? [] : [`${title}: ${verdict} ${row?.reason ?? ''}`];
  });
}

function captureOf(port: number, session: (mails: readonly Mail[]) => Turn[]): string {
  const path = join(work, `${port}.pcap`);
  const packets = ARCHIVES.flatMap(({ name, bytes }, at) => {
    const conversation = new Conversation({
      client: { address: '10.1.100.44', port: 20_000 + at },
      server: { address: '172.16.200.55', port },
      start: 1_700_000_000_000_000_000n + BigInt(at) * 10_000_000_000n,
    });
    const attachments = [{ name, bytes }];
    const mail = { from: 'a@x.test', to: ['b@x.test'], subject: name, text: 'attached', attachments };
    play(session([mail]), conversation);
    return conversation.packets;
  });
  writeFileSync(path, pcapFile(packets));
  return path;
}

test('as files', async () => {
  const folder = join(work, 'files');
  mkdirSync(folder);
  for (const { name, bytes } of ARCHIVES) writeFileSync(join(folder, name), bytes);
  assert.deepEqual(wrong((await scanned(work, [folder])).files), []);
});

test('sent by SMTP', async () => {
  assert.deepEqual(wrong((await scanned(work, [captureOf(25, smtpSession)])).files), []);
});

test('fetched by POP3', async () => {
  const path = captureOf(110, (mails) => pop3Session(mails, 'a'));
  assert.deepEqual(wrong((await scanned(work, [path])).files), []);
});
