// The request of TCP forwarding: FortiClient's own, and what is not quite one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseForwardRequest } from './request.js';

/** As FortiClient's log has it. */
const FORTICLIENT = [
  'GET /tcp?address=win.rdp.fortitest.net&port=3389&tls=1 HTTP/1.1',
  'Host: 172.31.200.244:9833',
  'User-Agent: Forticlient',
  'Accept: */*',
  'Upgrade: tcp-forwarding/1.0',
  'Connection: Upgrade',
  'Cookie:',
  'Authorization: Basic',
  '\r\n',
].join('\r\n');

test("FortiClient's request is understood", () => {
  assert.deepEqual(parseForwardRequest(FORTICLIENT), {
    asked: { host: 'win.rdp.fortitest.net', port: 3389 },
    encrypted: true,
    host: '172.31.200.244',
    authorization: 'Basic',
  });
});

const asked = (address: string, port = '3389'): unknown => {
  const query = `address=${address}&port=${port}`;
  const request = parseForwardRequest(FORTICLIENT.replace('address=win.rdp.fortitest.net&port=3389', query));
  return 'asked' in request ? request.asked.host : request.why;
};

test('addresses and names are taken as they are written, in one way only', () => {
  assert.equal(asked('192.168.20.6'), '192.168.20.6');
  assert.equal(asked('WIN.Example.com'), 'win.example.com');
  assert.equal(asked('fd00::1'), 'fd00::1');
  assert.equal(asked('[fd00::1]'), 'fd00::1');
  assert.equal(asked('%5Bfd00::1%5D'), 'fd00::1');
  for (const each of [
    '',
    '3232240646',
    '0300.168.20.6',
    '0xc0a81406',
    '10.0.0',
    'a..b',
    '-a',
    'a/b',
    '%00',
    '%',
    'a%20b',
    'a@b',
    '10.0.0.1:22',
  ])
    assert.equal(asked(each), 'malformed query', each);
  for (const port of ['0', '65536', '+1', '1e3', '%2022', '022', ''])
    assert.equal(asked('10.0.0.1', port), 'malformed query', port);
});

test('whatever is changed in a request, it is read as one that says the same, or refused', () => {
  fc.assert(
    fc.property(fc.nat(FORTICLIENT.length - 1), fc.nat(2), fc.integer({ min: 0, max: 255 }), (at, cut, code) => {
      const text = FORTICLIENT.slice(0, at) + String.fromCharCode(code) + FORTICLIENT.slice(at + cut);
      const request = parseForwardRequest(text);
      if ('status' in request) return;
      assert.ok(request.asked.port >= 1 && request.asked.port <= 65_535);
      assert.match(request.asked.host, /^[a-z0-9._:-]+$/);
    }),
    { numRuns: 3_000, seed: 7 },
  );
});
