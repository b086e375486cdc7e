import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { described, report } from '../testing/hostile-ems.js';
import { EmsReplyError, parseEndpoint, parseEnvelope, parseSerial, parseTagReport } from './reply.js';

const SERIAL = 'FCTEMS0000109188';

test('an endpoint is taken field by field, what is empty is not known', () => {
  const endpoint = parseEndpoint(
    described({ user: '', certificate_sn: 'ab12', ip: ['FE80::1'], more: 'ignored' }),
    SERIAL,
  );
  assert.deepEqual(endpoint, {
    uid: `${'0'.repeat(31)}A`,
    emsSerial: SERIAL,
    certificateSerial: 'AB12',
    revoked: false,
    online: true,
    domain: undefined,
    user: undefined,
    owner: undefined,
    addresses: ['fe80::1'],
    macs: [],
    tags: ['Low'],
    quarantined: false,
  });
});

test('what is no endpoint is refused, with the name of the field and not its content', () => {
  for (const [more, said] of [
    [{ uid: 'f4f3263aebe54777a6509a8fccdf9284' }, /UID must be/],
    [{ uid: 7 }, /UID must be/],
    [{ certificate_sn: 'XYZ' }, /"certificate_sn" is no serial/],
    [{ certificate_sn: 'A'.repeat(41) }, /"certificate_sn" is no serial/],
    [{ revoked: 0 }, /"revoked" must be/],
    [{ quarantined: undefined }, /"quarantined" must be/],
    [{ user: ['x'] }, /"user" is no text/],
    [{ user: 'x'.repeat(256) }, /"user" is no text/],
    [{ ip: '10.0.0.1' }, /"ip" is no list/],
    [{ ip: ['10.0.0.256'] }, /"ip" has a wrong entry/],
    [{ ip: Array.from({ length: 65 }, () => '10.0.0.1') }, /"ip" is no list/],
    [{ mac: ['08-5b-0e-ea-7f-d4'] }, /"mac" has a wrong entry/],
    [{ tags: [''] }, /"tags" has a wrong entry/],
    [{ tags: ['a/b'] }, /"tags" has a wrong entry/],
    [{ tags: ['a\nb'] }, /"tags" has a wrong entry/],
    [{ tags: Array.from({ length: 257 }, () => 'x') }, /"tags" is no list/],
  ] as const)
    assert.throws(
      () => parseEndpoint(described(more), SERIAL),
      (error: unknown) => error instanceof EmsReplyError && said.test(error.message),
      JSON.stringify(more).slice(0, 80),
    );
});

test('control characters of a name become spaces: they are printed', () => {
  assert.equal(parseEndpoint(described({ user: 'a\nb\u2028c' }), SERIAL).user, 'a b c');
});

test('a serial number is one, whether it stands alone or in an object', () => {
  assert.equal(parseSerial({ serial_number: SERIAL }), SERIAL);
  assert.equal(parseSerial(SERIAL), SERIAL);
  for (const bad of [undefined, null, 7, '', 'a b', 'x'.repeat(33), { serial_number: '../../etc' }])
    assert.throws(() => parseSerial(bad), EmsReplyError);
});

test('whatever comes is a record or refused, never anything else', () => {
  const some = fc.oneof(fc.anything(), fc.jsonValue(), fc.constantFrom(described(), report({}), null));
  const replies = fc.oneof(
    some,
    fc.record(
      { boot: some, revision: some, full: some, more: some, endpoints: some, removed: some },
      { requiredKeys: [] },
    ),
    fc.record({ uid: some, ip: some, tags: some }).map((more) => report({ endpoints: [described(more)] })),
  );
  const tried = (parse: () => unknown): void => {
    try {
      parse();
    } catch (error) {
      assert.ok(error instanceof EmsReplyError, String(error));
    }
  };
  fc.assert(fc.property(replies, (value) => tried(() => parseTagReport(value, SERIAL, 10))));
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => tried(() => parseEnvelope(text))));
});
