import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { EICAR, inspecting, told } from '../testing/inspecting.js';
import { createScanners, selfTest } from './scanners.js';
import { BUILT_IN_SIGNATURES, loadSignatures } from './signatures.js';

const directory = mkdtempSync(join(tmpdir(), 'signatures-test-'));
after(() => rmSync(directory, { recursive: true }));

const OURS = BUILT_IN_SIGNATURES;

function file(name: string, text: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test('reads literals in hex and as text, with comments and empty lines between', () => {
  const path = file(
    'a.literals',
    '# comment\n\nhex:00FF0a1b Name.A 12 trojan\n  text:"say \\"hi\\" \\u00e9"  Name.B\r\ntext:"four" Name.C 0\n',
  );
  assert.deepEqual(loadSignatures([path]).literals, [
    { virus: 'Name.A', virusId: 12, category: 'trojan', bytes: Buffer.from([0x00, 0xff, 0x0a, 0x1b]) },
    { virus: 'Name.B', virusId: 0, category: 'virus', bytes: Buffer.from('say "hi" é') },
    { virus: 'Name.C', virusId: 0, category: 'virus', bytes: Buffer.from('four') },
  ]);
});

test('reads lists of SHA-256, SHA-1 and MD5, told apart by their length', () => {
  const digest = (name: string): string => createHash(name).update('x').digest('hex');
  const path = file('a.hashes', `${digest('sha256').toUpperCase()}  A  1\n${digest('sha1')} B 2\n${digest('md5')} C\n`);
  const { hashes } = loadSignatures([path]);
  assert.deepEqual(hashes.sha256.get(digest('sha256')), { virus: 'A', virusId: 1 });
  assert.deepEqual(hashes.sha1.get(digest('sha1')), { virus: 'B', virusId: 2 });
  assert.deepEqual(hashes.md5.get(digest('md5')), { virus: 'C', virusId: 0 });
});

test('of a directory takes its signature files in order of their names and leaves others alone', () => {
  const rules = file('z.yar', 'rule a { condition: false }');
  file('notes.md', 'not a signature');
  const signatures = loadSignatures([directory]);
  assert.deepEqual(signatures.rules, [rules]);
  assert.equal(signatures.literals.length, 3);
});

test('a signature that cannot be understood is an error with its file and line', () => {
  const wrong: readonly [string, string, RegExp][] = [
    ['b.literals', 'EICAR 1', /a literal begins with hex:… or text:"…"/],
    ['b.literals', 'hex:123 A', /"hex:" takes pairs of hex digits/],
    ['b.literals', 'hex:12xx3456 A', /"hex:" takes pairs of hex digits/],
    ['b.literals', 'text:"abcd A', /a literal begins/],
    ['b.literals', 'text:"ab\\xcd" A', /is not a string as JSON has it/],
    ['b.literals', 'text:"abc" A', /a literal has 4 to 4096 bytes, not 3/],
    ['b.literals', `hex:${'00'.repeat(4097)} A`, /not 4097/],
    ['b.literals', 'text:"abcd"', /the name of the virus is missing/],
    ['b.literals', 'text:"abcd" A"B', /is no name/],
    ['b.literals', 'text:"abcd" A x', /"x" is no id/],
    ['b.literals', 'text:"abcd" A 4294967296', /is no id/],
    ['b.literals', 'text:"abcd" A 1 Virus', /"Virus" is no category/],
    ['b.literals', 'text:"abcd" A 1 virus more', /nothing may follow the category, but "more" does/],
    ['b.hashes', '1234 A 1', /"1234" is no SHA-256, SHA-1 or MD5/],
    ['b.hashes', `${'g'.repeat(64)} A 1`, /is no SHA-256/],
    ['b.hashes', '0'.repeat(32), /the name of the virus is missing/],
    ['b.hashes', `${'0'.repeat(32)} A 1 more`, /nothing may follow the id/],
  ];
  for (const [name, line, message] of wrong) {
    const path = file(name, `# first\n${line}\n`);
    assert.throws(
      () => loadSignatures([path]),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'INSPECTD_CONFIG');
        assert.ok(error.message.startsWith(`${path}:2: `), error.message);
        assert.match(error.message, message);
        return true;
      },
      line,
    );
    rmSync(path);
  }
});

test('one byte more than the longest and less than the shortest literal is refused, these are taken', () => {
  const path = file('c.literals', `hex:${'00'.repeat(4096)} Long\nhex:00010203 Short\n`);
  assert.equal(loadSignatures([path]).literals.length, 2);
  rmSync(path);
});

test('a file that is not there or not text is an error that names it', () => {
  const none = join(directory, 'none.literals');
  assert.throws(() => loadSignatures([none]), { code: 'INSPECTD_CONFIG', message: /none\.literals: cannot be read/ });
  const binary = file('d.hashes', Buffer.from([0xff, 0xfe, 0x00]));
  assert.throws(() => loadSignatures([binary]), { message: `${binary}: not UTF-8 text` });
  rmSync(binary);
});

test('our own signatures find EICAR as FortiOS names it, and are not themselves found', () => {
  const scanners = createScanners(loadSignatures([OURS]));
  selfTest(scanners);
  const inspect = (bytes: Buffer): readonly string[] => {
    let findings: readonly string[] = [];
    const root = inspecting({ scanners }).open({ name: undefined, direction: 'download' }, (inspected) => {
      findings = told(inspected).findings;
      for (const finding of inspected.findings)
        assert.deepEqual(finding, {
          kind: 'infected',
          virus: 'EICAR_TEST_FILE',
          virusId: 2172,
          dtype: 'av-engine',
          by: 'literals',
        });
    });
    root.write(bytes, 0, bytes.length);
    root.end();
    return findings;
  };
  assert.deepEqual(inspect(EICAR), ['infected EICAR_TEST_FILE']);
  for (const name of readdirSync(OURS)) assert.deepEqual(inspect(readFileSync(join(OURS, name))), [], name);
});

test('the self-test fails when nothing would be found', () => {
  assert.throws(() => selfTest([]), { code: 'INSPECTD_INTERNAL', message: /no scanner finds the EICAR test file/ });
});

test('a file on a list of hashes is found, by its SHA-256 as by its MD5, in memory and in the spool', () => {
  for (const size of [10, 70_000]) {
    const bytes = Buffer.alloc(size, 'x');
    const line = (name: string): string => `${createHash(name).update(bytes).digest('hex')} Listed.${name} 5\n`;
    const path = file('e.hashes', line('sha256') + line('md5') + line('sha1'));
    const scanners = createScanners(loadSignatures([path]));
    let found: readonly string[] = [];
    const root = inspecting({ scanners }).open({ name: undefined, direction: 'download' }, (inspected) => {
      found = told(inspected).findings;
      const [first] = inspected.findings;
      assert.ok(first?.kind === 'infected');
      assert.equal(first.dtype, 'File Hash');
      assert.equal(first.virusId, 5);
    });
    root.write(bytes, 0, size);
    root.end();
    assert.deepEqual(found, ['infected Listed.sha256', 'infected Listed.sha1', 'infected Listed.md5']);
  }
});
