/**
 * Ambiguous mail through the whole inspection: whatever way an infected file is written in, the virus is found by its name, but for the
 * rows where nothing can be read. Everyday mail that is merely odd comes out clean.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Arena } from '../../../core/arena.js';
import type { Finding, Inspected } from '../../../core/file.js';
import { DEFAULT_LIMITS, type Limits } from '../../../core/limits.js';
import { createScanners } from '../../../scan/scanners.js';
import { loadSignatures } from '../../../scan/signatures.js';
import { ambiguousMail, hiddenMail, mail } from '../../../testing/ambiguous-mail.js';
import { zipOf } from '../../../testing/archive-bytes.js';
import { createUnpackers } from '../../archive/unpackers.js';
import { Inspection } from '../../inspection.js';
import { identify } from '../../types/identify.js';
import { createMimeExtractor } from '../mime-extractor.js';
import { Readings } from './readings.js';

const SIGNATURES = fileURLToPath(new URL('../../../../../signatures/eicar.literals', import.meta.url));
// Never whole in a source file.
const EICAR = Buffer.from(['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR', '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join(''));
const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

function inspectionWith(changes: Partial<Limits> = {}): Inspection {
  const limits = { ...DEFAULT_LIMITS, slot: 1 << 20, slots: 16 << 20, ...changes };
  const arena = new Arena(1024);
  const unpackers = createUnpackers({ limits });
  const readings = new Readings({ limits });
  closers.push(
    () => unpackers.close(),
    () => readings.close(),
  );
  return new Inspection({
    arena,
    limits,
    extractors: [createMimeExtractor({ arena, limits })],
    unpackers: unpackers.unpackers,
    scanners: createScanners(loadSignatures([SIGNATURES])),
    identify,
    readings,
  });
}
const inspection = inspectionWith();

/** What was found in a message and in all that came out of it, in short and each once. */
async function found(text: string, using = inspection): Promise<string[]> {
  const bytes = Buffer.from(text, 'latin1');
  const root = await new Promise<Inspected>((resolve) => {
    const file = using.open({ name: 'm.eml', direction: 'download', declaredType: 'message/rfc822' }, resolve);
    file.write(bytes, 0, bytes.length);
    file.end();
  });
  const said = new Set<string>();
  const visit = (file: Inspected): void => {
    for (const finding of file.findings) said.add(inShort(finding));
    file.children.forEach(visit);
  };
  visit(root);
  return [...said];
}

function inShort(finding: Finding): string {
  if (finding.kind === 'infected') return 'infected';
  return finding.kind === 'unscannable' ? `${finding.reason} ${finding.detail}` : `${finding.kind} ${finding.code}`;
}

/** Rows in which the file cannot be read, and what is said instead. */
const UNREADABLE: Readonly<Record<string, RegExp>> = {
  'MIM-067': /^limit mime-headers$/,
  'MIM-113': /^limit mime-depth$/,
  'MIM-114': /^fragmented /,
  'MIM-119': /^encrypted /,
};

const PAYLOADS = [
  ['a plain file', EICAR],
  ['a zip', zipOf([{ name: 'eicar.com', data: EICAR }])],
] as const;

for (const [kind, payload] of PAYLOADS)
  for (const [row, variants] of Object.entries(ambiguousMail(payload)))
    test(`${row}, ${kind}`, async () => {
      for (const [index, text] of variants.entries()) {
        const said = await found(text);
        if (said.includes('infected')) continue;
        const reason = UNREADABLE[row.slice(0, 7)];
        assert.ok(reason !== undefined && said.some((one) => reason.test(one)), `variant ${index}: ${said.join(', ')}`);
      }
    });

for (const [kind, payload] of PAYLOADS)
  for (const [title, text] of Object.entries(hiddenMail(payload)))
    test(`${title}, ${kind}`, async () => {
      assert.ok((await found(text)).includes('infected'));
    });

const TEXT = ['Content-Type: text/plain'];
const ODD: Readonly<Record<string, string>> = {
  'no close delimiter': mail(TEXT, 'hello').replace('--foo--\r\n', ''),
  'an equals sign in quoted-printable': mail(
    [...TEXT, 'Content-Transfer-Encoding: quoted-printable'],
    'see http://x.test/?a=b and more',
  ),
  'a list footer behind the end': `${mail(TEXT, 'hello')}\r\n_______________\r\nlist mailing list\r\nhttp://x.test/list\r\n${'and more of it\r\n'.repeat(30)}`,
  'an unknown encoding': mail([...TEXT, 'Content-Transfer-Encoding: 8bits'], 'hello'),
  'base64 in lines of 75': mail(
    [...TEXT, 'Content-Transfer-Encoding: base64'],
    Buffer.from('hello world '.repeat(40)).toString('base64').replace(/.{75}/g, '$&\r\n'),
  ),
  'CRLF and LF': mail(TEXT, 'hello').replace('MIME-Version: 1.0\r\n', 'MIME-Version: 1.0\n'),
  'a picture attached in base64 without its padding': mail(
    ['Content-Type: image/png', 'Content-Transfer-Encoding: base64'],
    Buffer.from(`\x89PNG\r\n\x1a\n${'\0\x01\x02pixels'.repeat(99)}x`, 'latin1')
      .toString('base64')
      .replace(/=+$/, ''),
  ),
};
for (const [title, text] of Object.entries(ODD))
  test(`odd and harmless: ${title}`, async () => {
    const said = await found(text);
    assert.ok(
      said.every((one) => one.startsWith('oddity ')),
      said.join(', '),
    );
  });

test('what is too large to be read in every way is named, early or late', async () => {
  const small = inspectionWith({ readingBytes: 20_000, readingKept: 20_000 });
  const large = mail(TEXT, 'hello\r\n'.repeat(10_000)).replace('--foo--\r\n', '');
  assert.deepEqual((await found(large, small)).sort(), ['limit readingBytes', 'malformed mime-missing-close']);
  assert.deepEqual(await found(large), ['oddity mime-missing-close']);
});

test('too many lines of dashes are a limit, and the message stays malformed', async () => {
  const dashes = mail(TEXT, '--x\r\n'.repeat(DEFAULT_LIMITS.readingRegions + 1)).replace('--foo--\r\n', '');
  const said = await found(dashes);
  assert.ok(
    said.some((one) => one.startsWith('limit more regions')),
    said.join(', '),
  );
  assert.ok(said.includes('malformed mime-missing-close'));
});
