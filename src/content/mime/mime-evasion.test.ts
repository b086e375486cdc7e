/**
 * How well ambiguous mail is caught: each row is one way of writing an infected attachment so that readers differ. Either the payload is
 * among the extracted bytes, or the message is noted as malformed or unscannable; what is neither would pass as clean. A million parts
 * (MIM-112) stand in mime-extractor.test.ts. Not judged here, because other formats must be opened for them: S/MIME signed data (118),
 * TNEF (120), uuencode in base64 (132), BinHex, xxencode, scripts and charsets (134-139).
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { Arena } from '../../core/arena.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { ambiguousMail, mail } from '../../testing/ambiguous-mail.js';
import { type RecordedChild, RecordingContainer } from '../../testing/recording-container.js';
import { createMimeExtractor } from './mime-extractor.js';

const extractor = createMimeExtractor({ arena: new Arena(16), limits: DEFAULT_LIMITS });

// Never whole in a source file.
const PAYLOAD = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR', '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const LINES = Buffer.from(PAYLOAD).toString('base64').replace(/.{60}/g, '$&\r\n');
const ROWS = ambiguousMail(Buffer.from(PAYLOAD));
const CTE = 'Content-Transfer-Encoding';

function inspect(text: string): { readonly extracted: boolean; readonly findings: number } {
  const source = Buffer.from(text, 'latin1');
  const container = new RecordingContainer({ extractor });
  const stage = extractor.begin(container);
  stage.write(source, 0, source.length);
  stage.finish(true);
  const payload = Buffer.from(PAYLOAD);
  let findings = container.findings.length;
  const visit = (files: readonly RecordedChild[]): boolean =>
    files
      .map((file) => {
        findings += file.findings.length;
        return visit(file.children) || file.bytes.includes(payload);
      })
      .some((found) => found);
  return { extracted: visit(container.children), findings };
}

for (const [title, messages] of Object.entries(ROWS)) {
  test(title, () => {
    for (const [index, text] of messages.entries()) {
      const { extracted, findings } = inspect(text);
      assert.ok(extracted || findings > 0, `variant ${index} would pass as clean`);
    }
  });
}

test('canonical writing is extracted and nothing is said of it', () => {
  for (const title of ['MIM-001', 'MIM-025', 'MIM-030', 'MIM-032', 'MIM-116', 'MIM-117', 'MIM-131']) {
    const [, messages] = Object.entries(ROWS).find(([row]) => row.startsWith(title))!;
    for (const text of messages) assert.deepEqual(inspect(text), { extracted: true, findings: 0 }, title);
  }
});

// Names: whatever name a reader might take must be among those that the file filter is given.
const NAMED: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'NAM-001 name and filename disagree': [
    ['Content-Type: image/png; name=a.png', 'Content-Disposition: attachment; filename=a.exe'],
    ['Content-Disposition: attachment; filename=a.exe', 'Content-Type: image/png; name=a.png'],
    ['Content-Type: image/png; name=a.exe', 'Content-Disposition: attachment; filename=a.png'],
    ['Content-Disposition: attachment; filename=a.png', 'Content-Type: image/png; name=a.exe'],
  ],
  'NAM-004 continuations in any order': [
    ['Content-Disposition: attachment; filename*0=a.; filename*1=exe'],
    ['Content-Disposition: attachment; filename*1=a.; filename*2=exe'],
    ['Content-Disposition: attachment; filename*1=exe; filename*0=a.'],
  ],
  'NAM-005 percent escapes': [["Content-Disposition: attachment; filename*=UTF-8''a.%65%78%65"]],
  'NAM-008 all of the field as an encoded word': [
    ['Content-Disposition: =?utf-8?B?YXR0YWNobWVudDsgZmlsZW5hbWU9ImEuZXhlIg==?='],
  ],
  'NAM-010 comments': [
    ['Content-Disposition: attachment; filename=a.e()xe'],
    ['Content-Disposition: attachment; filename=a.exe(.gif)'],
    ['Content-Disposition: attachment; filena()me=a.exe'],
  ],
};

for (const [title, variants] of Object.entries(NAMED)) {
  test(title, () => {
    for (const headers of variants) {
      const source = Buffer.from(mail([...headers, `${CTE}: base64`], LINES), 'latin1');
      const container = new RecordingContainer();
      const stage = extractor.begin(container);
      stage.write(source, 0, source.length);
      stage.finish(true);
      const { meta } = container.children[1]!;
      assert.ok([meta.name, ...(meta.otherNames ?? [])].includes('a.exe'), headers.join(' '));
      assert.equal(meta.attachment, true);
    }
  });
}

test('NAM-004 split over two fields, NAM-013 NUL: noted', () => {
  const disposition = 'Content-Disposition: attachment;';
  assert.ok(inspect(mail([`${disposition} filename*0=a.`, `${disposition} filename*1=exe`], 'x')).findings > 0);
  assert.ok(inspect(mail([`${disposition} filename="a.exe\0.txt"`], 'x')).findings > 0);
});
