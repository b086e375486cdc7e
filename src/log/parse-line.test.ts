import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatRecord } from './format.js';
import { parsedValue, parseLine } from './parse-line.js';
import { type FieldName, field, type LogRecord } from './record.js';

test('reads ordinals, priorities, several spaces, bare and empty values', () => {
  const line = parseLine('4: date=2022-01-13   utmref=65500-742 dstintf=unknown-0 srcip= srcname="" alert="2" ');
  assert.ok(line !== undefined);
  assert.equal(line.ordinal, 4);
  assert.deepEqual(
    line.fields.map(({ name, value, quoted }) => [name, value, quoted]),
    [
      ['date', '2022-01-13', false],
      ['utmref', '65500-742', false],
      ['dstintf', 'unknown-0', false],
      ['srcip', '', false],
      ['srcname', '', true],
      ['alert', '2', true],
    ],
  );
  assert.equal(parseLine('<188>date=2020-04-23 level="warning"')?.priority, 188);
});

test('takes off the escapes that FortiOS writes and no others', () => {
  const line = parseLine('recipient="\\"testpc3\\"" sharename="\\\\\\\\172.16.100.80\\\\Swap-1day" other="a\\nb="');
  assert.ok(line !== undefined);
  assert.equal(parsedValue(line, 'recipient'), '"testpc3"');
  assert.equal(parsedValue(line, 'sharename'), '\\\\172.16.100.80\\Swap-1day');
  assert.equal(parsedValue(line, 'other'), 'a\\nb=');
});

test('what is no record is not read as one', () => {
  for (const line of ['hello', 'a=1 word', 'a="open', 'a="open\\"', 'a="x"y', '=1', 'a=1 ="2"'])
    assert.equal(parseLine(line), undefined, line);
  assert.deepEqual(parseLine('')?.fields, []);
});

test("reads every one of the vendor's sample lines to its last field", () => {
  for (const line of readFileSync('samples/seeds/utm-lines.txt', 'utf8').trimEnd().split('\n')) {
    const parsed = parseLine(line);
    assert.ok(parsed !== undefined);
    const rendered = parsed.fields.map(({ name, value, quoted }) =>
      quoted ? `${name}="${value.replace(/["\\]/g, '\\$&')}"` : `${name}=${value}`,
    );
    assert.equal(rendered.join(' '), line);
  }
});

test('what is written is read back, whatever the values', () => {
  const strings: FieldName[] = ['filename', 'subject', 'from', 'virus', 'user'];
  const pair = fc.tuple(fc.constantFrom(...strings), fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }));
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 8 }), fc.nat(), (pairs, port) => {
      const fields = [...pairs.flatMap(([name, value]) => field(name, value)), ...field('srcport', port % 65_536)];
      const record: LogRecord = { level: 'notice', eventTime: 0n, fields };
      const line = formatRecord(record, 'default');
      assert.ok(!/[\r\n]/.test(line));
      assert.deepEqual(
        parseLine(line)?.fields,
        fields.map(({ name, value, type }) => ({ name, value, quoted: type === 'string' })),
      );
    }),
    { numRuns: 300 },
  );
});
