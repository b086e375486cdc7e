import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRecord } from './format.js';
import { field, type LogRecord } from './record.js';

const RECORD: LogRecord = {
  level: 'warning',
  eventTime: 1_545_938_448_123_456_789n,
  fields: [
    ...field('date', '2018-12-27'),
    ...field('time', '11:20:48'),
    ...field('eventtime', 1_545_938_448_123_456_789n),
    ...field('tz', '-0800'),
    ...field('logid', '0211008192'),
    ...field('type', 'utm'),
    ...field('subtype', 'virus'),
    ...field('eventtype', 'infected'),
    ...field('level', 'warning'),
    ...field('msg', 'File is infected.'),
    ...field('action', 'blocked'),
    ...field('srcip', '10.1.100.11'),
    ...field('srcport', 44_356),
    ...field('direction', 'outgoing'),
    ...field('filename', 'a "b" [c] d=e\\f|g,h'),
    ...field('ref', 'http://www.fortinet.com/ve?vn=EICAR_TEST_FILE'),
  ],
};
const device = { name: 'FGT-A', id: 'FGT5HD3915800610' };

test('default quotes strings alone and escapes quotes and backslashes', () => {
  assert.equal(
    formatRecord(RECORD, 'default'),
    'date=2018-12-27 time=11:20:48 eventtime=1545938448123456789 tz="-0800" logid="0211008192" type="utm" subtype="virus"' +
      ' eventtype="infected" level="warning" msg="File is infected." action="blocked" srcip=10.1.100.11 srcport=44356' +
      ' direction="outgoing" filename="a \\"b\\" [c] d=e\\\\f|g,h" ref="http://www.fortinet.com/ve?vn=EICAR_TEST_FILE"',
  );
});

test('the device is named behind the time, and only when it is given', () => {
  assert.match(
    formatRecord(RECORD, 'default', { device }),
    /^date=2018-12-27 time=11:20:48 devname="FGT-A" devid="FGT5HD3915800610" eventtime=/,
  );
});

test('csv joins the same pairs by commas', () => {
  assert.match(
    formatRecord(RECORD, 'csv'),
    /^date=2018-12-27,time=11:20:48,eventtime=\d+,tz="-0800",logid="0211008192",/,
  );
});

test('cef names the fields as the vendor maps them and escapes = and backslash', () => {
  assert.equal(
    formatRecord(RECORD, 'cef', { device }),
    'Dec 27 11:20:48 FGT-A CEF:0|Fortinet|Fortigate|v7.0.4|08192|utm:virus infected blocked|4|' +
      'deviceExternalId=FGT5HD3915800610 FTNTFGTeventtime=1545938448123456789 FTNTFGTtz=-0800 FTNTFGTlogid=0211008192' +
      ' cat=utm:virus FTNTFGTsubtype=virus FTNTFGTeventtype=infected FTNTFGTlevel=warning msg=File is infected. act=blocked' +
      ' src=10.1.100.11 spt=44356 deviceDirection=1 fname=a "b" [c] d\\=e\\\\f|g,h' +
      ' FTNTFGTref=http://www.fortinet.com/ve?vn\\=EICAR_TEST_FILE',
  );
});

test('rfc5424 carries its priority, UTC, and structured data with ] escaped', () => {
  const line = formatRecord(RECORD, 'rfc5424');
  assert.match(
    line,
    /^<188>1 2018-12-27T19:20:48\.123Z inspectd FortiGate - 0211008192 \[FTNTFGT@12356 date="2018-12-27" /,
  );
  assert.match(line, / filename="a \\"b\\" \[c\\\] d=e\\\\f\|g,h" ref="[^"]*"\]$/);
  assert.match(formatRecord(RECORD, 'rfc5424', { facility: 'local0', host: 'a b' }), /^<132>1 \S+ a-b FortiGate /);
});

test('json is one object with numbers as numbers and all of eventtime', () => {
  const read: unknown = JSON.parse(formatRecord(RECORD, 'json'));
  assert.ok(typeof read === 'object' && read !== null);
  const { srcport, eventtime, filename } = Object.fromEntries(Object.entries(read));
  assert.deepEqual([srcport, eventtime, filename], [44_356, '1545938448123456789', 'a "b" [c] d=e\\f|g,h']);
});
