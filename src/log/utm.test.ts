import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { type FileInfo, type FileMeta, UNSCANNABLE_REASONS } from '../core/file.js';
import type { SessionInfo } from '../core/session.js';
import { ACTIONS, type Fate, type Outcome } from '../policy/outcome.js';
import { formatRecord } from './format.js';
import { parsedValue, parseLine } from './parse-line.js';
import { type FieldName, fieldValue } from './record.js';
import { DEFAULT_THREAT_WEIGHT, type ThreatWeight } from './threat-weight.js';
import { UTC } from './time-zone.js';
import { toRecord } from './utm.js';

const SESSION: SessionInfo = {
  id: 3,
  client: { address: '10.0.0.1', port: 50_122 },
  server: { address: '2001:db8::25', port: 25 },
  service: 'SMTP',
  tls: undefined,
  vdom: 'root',
  policy: { id: 0, type: 'policy' },
  srcIntf: { name: 'unknown-0', role: 'undefined' },
  dstIntf: { name: 'unknown-0', role: 'undefined' },
  srcCountry: 'Reserved',
  dstCountry: undefined,
  user: {},
};

function fileInfo(meta: Partial<FileMeta>, more: Partial<FileInfo> = {}): FileInfo {
  return {
    id: 1,
    meta: { name: undefined, direction: 'upload', ...meta },
    parent: undefined,
    depth: 0,
    types: ['unknown'],
    size: 5,
    sha256: 'ab'.repeat(32),
    state: 'complete',
    encrypted: false,
    ...more,
  };
}

const MESSAGE = fileInfo(
  { declaredType: 'message/rfc822', mail: { sender: 'a@x', recipients: ['b@y', 'c@y'] } },
  { headers: { from: 'a@x', to: 'b@y', cc: 'c@y', subject: 'hello' } },
);
const PART = fileInfo({ name: 'a.zip' }, { parent: MESSAGE, depth: 1, attachment: true });
const FILE = fileInfo({ name: 'dir\\a.zip', path: '\\\\10.0.0.2\\share' });

function recordOf(outcome: Outcome, session: Partial<SessionInfo> = {}, threatWeight?: ThreatWeight) {
  const context = { eventTime: 1_700_000_000_123_456_789n, zone: UTC };
  return toRecord(
    outcome,
    { ...SESSION, ...session },
    threatWeight === undefined ? context : { ...context, threatWeight },
  );
}

const inMail = { file: PART, root: MESSAGE, profile: 'av', action: 'blocked' } as const;
const onShare = { file: FILE, root: FILE, profile: 'av', action: 'blocked' } as const;
const infected = { kind: 'infected', virus: 'EICAR_TEST_FILE', virusId: 2172, dtype: 'av-engine' } as const;

function names(outcome: Outcome): FieldName[] {
  return recordOf(outcome).fields.map(({ name }) => name);
}

test('an infection that passes gets the next id, level notice and its own text', () => {
  const record = recordOf({ ...infected, ...inMail, action: 'monitored' });
  assert.equal(record.level, 'notice');
  assert.equal(fieldValue(record, 'logid'), '0211008195');
  assert.equal(fieldValue(record, 'msg'), 'MIME header infected and passed.');
  assert.equal(fieldValue(recordOf({ ...infected, ...onShare, action: 'monitored' }), 'logid'), '0211008193');
});

test('a session of which little is known leaves fields out and writes unknown interfaces bare', () => {
  const line = formatRecord(recordOf({ ...infected, ...inMail }), 'default');
  assert.match(line, / policyid=0 policytype="policy" msg="/);
  assert.match(line, / srccountry="Reserved" srcintf="unknown-0" srcintfrole="undefined" dstintf="unknown-0" /);
  assert.match(line, / srcip=10\.0\.0\.1 dstip=2001:db8::25 /);
});

test('mail fields come with mail alone, all recipients of the envelope in one', () => {
  const line = formatRecord(recordOf({ ...infected, ...inMail }), 'default');
  assert.match(
    line,
    / from="a@x" to="b@y" sender="a@x" recipient="b@y,c@y" cc="c@y" subject="hello" attachment="yes" analyticscksum="abab/,
  );
  const share = names({ ...infected, ...onShare });
  for (const name of ['from', 'recipient', 'subject', 'attachment'] as const) assert.ok(!share.includes(name), name);
});

test('each reason of a scan error has an id, in pairs of stopped and passed', () => {
  const ids = (['blocked', 'passthrough'] as const).map((action) =>
    Object.fromEntries(
      [...UNSCANNABLE_REASONS, 'malformed' as const].map((reason) => [
        reason,
        fieldValue(recordOf({ kind: 'scanerror', reason, detail: '', ...inMail, action }), 'logid')?.slice(4),
      ]),
    ),
  );
  assert.deepEqual(ids[0], {
    encrypted: '008962',
    corrupted: '008964',
    partiallycorrupted: '008975',
    multipart: '008966',
    nested: '008968',
    mailbomb: '008970',
    timeout: '008979',
    unhandled: '008972',
    oversize: '008970',
    'uncompressed-oversize': '008960',
    fragmented: '008966',
    gap: '008975',
    truncated: '008975',
    overlap: '008964',
    malformed: '008964',
    'engine-error': '008974',
    limit: '008982',
  });
  assert.deepEqual(
    [ids[1]?.['encrypted'], ids[1]?.['partiallycorrupted'], ids[1]?.['engine-error']],
    ['008963', '008976', '008974'],
  );
});

test("an infected file says whether it was put into quarantine, in FortiOS's words", () => {
  const said = (fate?: Fate) => {
    const context = { eventTime: 0n, zone: UTC, ...(fate === undefined ? {} : { fate }) };
    return fieldValue(toRecord({ ...infected, ...inMail }, SESSION, context), 'quarskip');
  };
  assert.deepEqual(
    [said(), said('not-asked'), said('kept'), said('too-large'), said('not-kept')],
    [
      'Quarantine-disabled',
      'Quarantine-disabled',
      'No-skip',
      'No-quarantine-for-oversized-files.',
      'File-was-not-quarantined.',
    ],
  );
});

test('a scan error has no virus, no quarantine, and the detail of causes that FortiOS has no id for', () => {
  const gap = recordOf({ kind: 'scanerror', reason: 'gap', detail: '1448 bytes', ...inMail });
  assert.equal(fieldValue(gap, 'msg'), 'A part of the file was not seen. (1448 bytes)');
  assert.equal(fieldValue(gap, 'quarskip'), 'No-quarantine-for-av-error');
  assert.equal(fieldValue(gap, 'crlevel'), 'high');
  assert.equal(fieldValue(gap, 'virus'), undefined);
  const corrupted = recordOf({
    kind: 'scanerror',
    reason: 'corrupted',
    detail: 'crc',
    ...inMail,
    action: 'passthrough',
  });
  assert.equal(fieldValue(corrupted, 'msg'), 'Corrupted archive.');
  assert.equal(corrupted.level, 'notice');
  assert.equal(recordOf({ kind: 'scanerror', reason: 'engine-error', detail: '', ...inMail }).level, 'error');
});

test('oversize, filename, mimefragmented and executable records carry the fields of their ids', () => {
  const oversize = recordOf({ kind: 'oversize', ...inMail, action: 'passthrough' });
  assert.equal(fieldValue(oversize, 'logid'), '0213008705');
  const left = names({ kind: 'oversize', ...inMail });
  for (const name of [
    'virus',
    'dtype',
    'ref',
    'quarskip',
    'analyticscksum',
    'attachment',
    'cc',
    'subject',
    'crscore',
  ] as const)
    assert.ok(!left.includes(name), name);
  assert.ok(left.includes('from') && left.includes('recipient') && left.includes('filename'));
  assert.equal(fieldValue(recordOf({ kind: 'filename', ...inMail }), 'logid'), '0212008448');
  assert.equal(fieldValue(recordOf({ kind: 'filename', ...inMail }), 'crscore'), '5');
  assert.equal(fieldValue(recordOf({ kind: 'mimefragmented', ...inMail }), 'logid'), '0261008450');
  assert.ok(!names({ kind: 'mimefragmented', ...inMail }).includes('analyticscksum'));
  const executable = recordOf({ kind: 'filetype-executable', ...inMail, action: 'monitored' });
  assert.equal(fieldValue(executable, 'logid'), '0203008201');
  assert.equal(fieldValue(executable, 'crlevel'), 'medium');
});

test('threat weight decides score and level, and leaves the fields out where it is disabled', () => {
  const level = { ...DEFAULT_THREAT_WEIGHT.level, infected: 'low' as const, scanerror: 'disable' as const };
  const weight = { ...DEFAULT_THREAT_WEIGHT, level };
  const low = recordOf({ ...infected, ...inMail }, {}, weight);
  assert.deepEqual([fieldValue(low, 'crscore'), fieldValue(low, 'crlevel')], ['5', 'low']);
  const none = recordOf({ kind: 'scanerror', reason: 'gap', detail: '', ...inMail }, {}, weight);
  assert.equal(fieldValue(none, 'craction'), undefined);
});

test('the file filter names the member that matched, and SMB is CIFS there', () => {
  const match = { name: 'setup.exe', fileType: 'exe' };
  const filter = { kind: 'file-filter', rule: 'r1', fileType: 'zip', match } as const;
  const mailLine = formatRecord(recordOf({ ...filter, ...inMail, action: 'attachment-removed' }), 'default');
  assert.match(
    mailLine,
    / service="SMTP" profile="av" direction="outgoing" action="attachment-removed" filtername="r1" filename="a.zip" filesize=5 filetype="zip" matchfilename="setup.exe" matchfiletype="exe" from="a@x" /,
  );
  const shareLine = formatRecord(recordOf({ ...filter, ...onShare }, { service: 'SMB' }), 'default');
  assert.match(
    shareLine,
    / service="CIFS" .* sharename="\\\\\\\\10\.0\.0\.2\\\\share" pathname="dir" filename="a\.zip" /,
  );
  const logged = recordOf({ ...filter, ...inMail, action: 'monitored' });
  assert.deepEqual([fieldValue(logged, 'logid'), fieldValue(logged, 'action')], ['1900064001', 'passthrough']);
});

test('a value is cut at the length of its field, never within a character', () => {
  const named = (name: string) => {
    const file = fileInfo({ name }, { parent: MESSAGE });
    return fieldValue(recordOf({ ...infected, ...inMail, file }), 'filename') ?? '';
  };
  assert.equal(named('a'.repeat(256)).length, 256);
  assert.equal(named('a'.repeat(257)).length, 256);
  assert.equal(named(`${'a'.repeat(254)}é`), `${'a'.repeat(254)}é`);
  assert.equal(named(`${'a'.repeat(255)}é`), 'a'.repeat(255));
  assert.equal(Buffer.byteLength(named('😀'.repeat(100))), 256);
});

test('no value can break the line or forge a field', () => {
  for (const evil of ['a\r\ndate=2000-01-01', 'a" level="notice', 'a\\', 'a\u2028b', 'a\u0000b', '\ud800']) {
    const file = fileInfo({ name: evil }, { parent: MESSAGE });
    const line = formatRecord(recordOf({ ...infected, ...inMail, file }), 'default');
    assert.doesNotMatch(line, /[\u0000-\u001f\u2028]/);
    const parsed = parseLine(line);
    assert.ok(parsed !== undefined);
    assert.equal(parsed.fields.filter(({ name }) => name === 'level' || name === 'date').length, 2);
    assert.equal(parsedValue(parsed, 'level'), 'warning');
  }
});

test('every action is written as FortiOS spells it', () => {
  for (const action of ACTIONS)
    assert.equal(fieldValue(recordOf({ ...infected, ...inMail, action }), 'action'), action);
});
