import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../core/errors.js';
import { contentOf } from '../../testing/unpack-recorder.js';
import { fileTypeSignatures, matches, parseSignatures } from './signature-table.js';

describe('file-types.tsv', () => {
  it('is read whole, and once', () => {
    assert.ok(fileTypeSignatures().length > 80);
    assert.equal(fileTypeSignatures(), fileTypeSignatures());
  });

  it('takes bytes, any byte, ranges and texts at several places', () => {
    const [signature] = parseSignatures('# note\n\nx\t1:"a b"??[10-12]ff 8:00\tan x\n', 'f');
    const fits = (hex: string): boolean => {
      const bytes = Buffer.from(hex, 'hex');
      return matches(signature!, bytes, contentOf(bytes));
    };
    assert.ok(fits('ee612062ee11ffee00'));
    assert.ok(!fits('ee612062ee13ffee00'));
    assert.ok(!fits('ee612062ee0fffee00'));
    assert.ok(!fits('ee612062ee11ffee'));
    assert.equal(signature!.reach, 9);
  });

  it('refuses a row that is not so, with its line', () => {
    const rows = [
      'x\t0:00',
      'x\t0:00\t ',
      'X\t0:00\tx',
      'x\t:00\tx',
      'x\t-1:00\tx',
      'x\t0:\tx',
      'x\t0:0\tx',
      'x\t0:0G\tx',
      'x\t0:[05-04]\tx',
      'x\t0:"a\tx',
      'x\t0:00  1:00\tx',
      'x\t0:00\tx\ty',
      'x\t00:00\tx',
    ];
    for (const row of rows)
      assert.throws(
        () => parseSignatures(`# fine\n${row}\n`, 'table.tsv'),
        (error) => error instanceof ConfigError && error.message.startsWith('table.tsv:2: '),
        row,
      );
  });
});
