import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FTP_EVENTS } from './ftp/events.js';
import { IMAP_EVENTS } from './imap/events.js';
import { PROTOCOLS } from './index.js';
import { POP3_EVENTS } from './pop3/events.js';
import { SMB_EVENTS } from './smb/events.js';
import { SMTP_EVENTS } from './smtp/events.js';

const EVENTS: Readonly<Record<string, object>> = {
  ftp: FTP_EVENTS,
  imap: IMAP_EVENTS,
  pop3: POP3_EVENTS,
  smb: SMB_EVENTS,
  smtp: SMTP_EVENTS,
};

/** The codes that the sources of a protocol name, apart from the list itself. */
function codesIn(protocol: string): string[] {
  const folder = new URL(`../../protocols/${protocol}/`, import.meta.url);
  const sources = readdirSync(folder, { encoding: 'utf8', recursive: true }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('events.ts'),
  );
  const text = sources.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('');
  return [...text.matchAll(new RegExp(`'(${protocol}\\d?-[a-z0-9-]+)'`, 'g'))].map((found) => found[1] ?? '');
}

for (const { name } of PROTOCOLS) {
  test(`${name}: the codes that the decoder notes are those that are explained`, () => {
    assert.deepEqual([...new Set(codesIn(name))].sort(), Object.keys(EVENTS[name] ?? {}).sort());
  });
}
