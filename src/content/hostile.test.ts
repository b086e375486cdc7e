/** Bombs and near misses (rows BMB-009 to BMB-015, ARC-045) through the whole inspection: each ends within its budget, and what could not be seen is named. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { Arena } from '../core/arena.js';
import type { Inspected } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { createScanners } from '../scan/scanners.js';
import { loadSignatures } from '../scan/signatures.js';
import { mail } from '../testing/ambiguous-mail.js';
import { zipOf } from '../testing/archive-bytes.js';
import { createUnpackers } from './archive/unpackers.js';
import { Inspection } from './inspection.js';
import { createMimeExtractor } from './mime/mime-extractor.js';
import { Readings } from './mime/readings/readings.js';
import { identify } from './types/identify.js';

const SIGNATURES = fileURLToPath(new URL('../../../signatures/eicar.literals', import.meta.url));
// Never whole in a source file.
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR', '-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
const limits = { ...DEFAULT_LIMITS, unpackedBytes: 64 << 20 };
const arena = new Arena(2048);
const unpackers = createUnpackers({ limits });
const readings = new Readings({ limits });
after(() => {
  unpackers.close();
  readings.close();
});
const inspection = new Inspection({
  arena,
  limits,
  extractors: [createMimeExtractor({ arena, limits })],
  unpackers: unpackers.unpackers,
  scanners: createScanners(loadSignatures([SIGNATURES])),
  identify,
  readings,
});

interface Seen {
  readonly said: ReadonlySet<string>;
  readonly files: number;
  /** Of all files, the root aside. */
  readonly bytes: number;
}

async function inspected(content: string | Buffer, declaredType?: string): Promise<Seen> {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const root = await new Promise<Inspected>((resolve) => {
    const meta = { name: 'hostile', direction: 'download' as const };
    const file = inspection.open(declaredType === undefined ? meta : { ...meta, declaredType }, resolve);
    file.write(bytes, 0, bytes.length);
    file.end();
  });
  const said = new Set<string>();
  let files = -1;
  let size = -root.info.size;
  const visit = (file: Inspected): void => {
    files++;
    size += file.info.size;
    for (const finding of file.findings) said.add(finding.kind === 'unscannable' ? finding.reason : finding.kind);
    file.children.forEach(visit);
  };
  visit(root);
  return { said, files, bytes: size };
}
const message = (text: string): Promise<Seen> => inspected(text, 'message/rfc822');
const base64 = (data: string | Buffer): string =>
  Buffer.from(data as string, 'latin1')
    .toString('base64')
    .replace(/.{76}/g, '$&\r\n');

test('BMB-009 base64 in base64, so often: found while it is followed, named where it is not', async () => {
  const layers = (count: number): string => {
    let text = EICAR;
    for (let layer = 0; layer < count; layer++) text = base64(text);
    return mail(['Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64'], text);
  };
  assert.ok((await message(layers(6))).said.has('infected'));
  const deep = await message(layers(20));
  assert.ok(deep.said.has('nested'), [...deep.said].join());
});

test('BMB-009 quoted-printable of nothing but escapes, and millions of bytes in a line', async () => {
  const headers = ['Content-Type: application/octet-stream', 'Content-Transfer-Encoding: quoted-printable'];
  const escapes = await message(mail(headers, '=41'.repeat(1_000_000)));
  assert.ok(escapes.bytes < 8_000_000);
  const line = await message(
    mail(['Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64'], `${'A'.repeat(4_000_000)}`),
  );
  assert.equal(line.said.has('infected'), false);
  assert.ok(line.bytes < 8_000_000);
});

test('BMB-010 PDF of a hundred thousand streams, XML that expands itself, a picture of four billion points', async () => {
  const stream = `<</Type/ObjStm/Filter/FlateDecode>>\nstream\n${deflateSync('1 0 <<>>').toString('latin1')}\nendstream\n`;
  const pdf = await inspected(`%PDF-1.7\n${stream.repeat(100_000)}`);
  assert.equal(pdf.files, 1);
  const laughs = `<!DOCTYPE x [<!ENTITY a "ha">${Array.from({ length: 30 }, (_, n) => `<!ENTITY ${String.fromCharCode(98 + (n % 24))}${n} "&a;&a;">`).join('')}]><x>&a;</x>`;
  const docx = await inspected(
    zipOf([
      { name: '[Content_Types].xml', data: '<Types/>' },
      { name: 'word/document.xml', data: laughs },
    ]),
  );
  assert.deepEqual([...docx.said], []);
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452ffffffffffffffff0806000000', 'hex');
  assert.deepEqual([...(await inspected(png)).said], []);
});

test('BMB-011 near misses by the hundred thousand: addresses, begin lines, delimiters', async () => {
  const text = ['Content-Type: text/plain'];
  const body = (line: string): Promise<Seen> => message(mail(text, `${line}\r\n`.repeat(100_000)));
  for (const line of ['http://x.test/a?b=c', 'begin 644', '--fo', '--', '=ybegin', 'data:;base64'])
    assert.equal((await body(line)).said.has('infected'), false, line);
  // What is behind all of them is seen.
  const behind = mail(text, `${'begin 644\r\n'.repeat(50_000)}${EICAR}`);
  assert.ok((await message(behind)).said.has('infected'));
});

test('BMB-014, BMB-015 what would be read in too many ways is not, and is named', async () => {
  const headers = ['Content-Type: application/octet-stream', 'Content-Transfer-Encoding: base64'];
  const lines = `${'QUJDREVGR0hJSktM#\r\n'.repeat(1_000_000)}`;
  const large = await message(mail(headers, lines));
  assert.ok(large.said.has('limit') && large.said.has('malformed'), [...large.said].join());
  const regions = await message(
    mail(['Content-Type: text/plain'], '--x\r\n'.repeat(10_000)).replace('--foo--\r\n', ''),
  );
  assert.ok(regions.said.has('limit'), [...regions.said].join());
  // Many at once wait for their turn.
  const many = await Promise.all(
    Array.from({ length: 40 }, () => message(mail(headers, 'QUJDREVGR0hJSktM#\r\n'.repeat(200)))),
  );
  assert.ok(many.every(({ said }) => [...said].join() === 'oddity'));
});

test('ARC-045 EICAR with blanks and with junk behind it', async () => {
  for (const behind of [' '.repeat(60), '\r\n\t\x1a', ' '.repeat(5_000), 'junk'.repeat(100)])
    assert.ok((await inspected(EICAR + behind)).said.has('infected'), JSON.stringify(behind.slice(0, 10)));
});
