// `inspectd explain` as a user runs it: on mail, on archives, on captures.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MIME_ANOMALIES } from '../content/mime/anomalies.js';
import { mail } from '../testing/ambiguous-mail.js';
import { zipOf } from '../testing/archive-bytes.js';
import { inspectd } from '../testing/program.js';
import { inWords } from './words.js';

const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const folder = mkdtempSync(join(tmpdir(), 'inspectd-explain-'));
after(() => rmSync(folder, { recursive: true }));

function stored(name: string, bytes: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return path;
}

const attached = (body: string): string =>
  mail(
    [
      'Content-Type: application/octet-stream',
      'Content-Disposition: attachment; filename="a\u202e.exe"',
      'Content-Transfer-Encoding: base64',
    ],
    body,
  );

test('an odd message is told reading by reading, in words', async () => {
  const path = stored('odd.eml', attached([...Buffer.from(EICAR).toString('base64')].join('#')));
  const { status, out, said } = await inspectd(['explain', path]);
  assert.deepEqual(said, []);
  assert.equal(status, 1);
  assert.match(out, /^.*odd\.eml\n {2}From: a@x\.test\n/);
  assert.match(out, /- base64 has characters in it that are none: some readers skip them.* \(mime-base64-junk\)\n/);
  assert.match(out, /It was looked at in \d+ other ways as well: something bad in \d+\.\n/);
  assert.match(out, /\[base64, all else skipped\] .*: infected\n/);
  assert.match(out, /\[by mailparser\] .*: infected\n/);
  assert.match(out, /Policy blocks or strips it\.\n/);
});

test('what is odd and clean passes, and says why it is odd; every reading is shown when asked for', async () => {
  const path = stored(
    'clean.eml',
    attached(Buffer.from('hello world, and more of it').toString('base64')).replace('--foo--\r\n', ''),
  );
  const { status, out } = await inspectd(['explain', path]);
  assert.equal(status, 0);
  assert.match(out, /a message, \d+ bytes: clean, but odd\n {4}- a multipart is not closed \(mime-missing-close\)\n/);
  assert.match(out, /: nothing bad in any\.\n {2}Policy lets it pass\.\n/);
  assert.doesNotMatch(out, /\[/);
  assert.match((await inspectd(['explain', '--readings', path])).out, /\[base64, whole lines only\] .*: clean\n/);
});

test('names from the wire cannot steer a terminal', async () => {
  const { out } = await inspectd(['explain', stored('name.eml', attached(Buffer.from('x').toString('base64')))]);
  assert.doesNotMatch(out, /[\u202e\u001b]/);
});

test('an archive is told member by member', async () => {
  const inner = zipOf([{ name: 'eicar.com', data: Buffer.from(EICAR) }]);
  const path = stored('two.zip', zipOf([{ name: 'inner.zip', data: inner }]));
  const { status, out } = await inspectd(['explain', path]);
  assert.equal(status, 1);
  assert.match(
    out,
    /"two\.zip", zip, \d+ bytes: infected\n {4}"inner\.zip", zip, \d+ bytes: infected\n {6}"eicar\.com", .*, 68 bytes: infected\n {8}- infected by EICAR_TEST_FILE/,
  );
});

test('what cannot be read is said, and ends with 2', async () => {
  const { status, said } = await inspectd(['explain', join(folder, 'none.eml')]);
  assert.equal(status, 2);
  assert.match(said.join('\n'), /none\.eml: no such file or directory/);
});

test('every oddity of mail has words of its own', () => {
  const said = MIME_ANOMALIES.map((code) => inWords({ kind: 'malformed', code }));
  assert.equal(new Set(said).size, MIME_ANOMALIES.length);
});
