// Records that are no file's: traffic, events, TLS. Their order is held against the vendor's lines (FortiOS 7.0).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionInfo } from '../core/session.js';
import { eventRecord } from './event.js';
import { formatRecord } from './format.js';
import { parseLine } from './parse-line.js';
import { fieldValue, type LogRecord } from './record.js';
import { type SslEvent, sslRecord } from './ssl.js';
import { UTC } from './time-zone.js';
import { TRAFFIC_ACTIONS, type Traffic, trafficRecord } from './traffic.js';

const SESSION: SessionInfo = {
  id: 2550,
  client: { address: '10.10.10.25', port: 60_660 },
  server: { address: '192.168.20.6', port: 25 },
  service: 'SMTP',
  tls: undefined,
  vdom: 'root',
  policy: { id: 4, type: 'proxy-policy', uuid: 'ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27', name: 'mail' },
  srcIntf: { name: 'port1', role: 'wan' },
  dstIntf: { name: 'root', role: 'undefined' },
  srcUuid: '5445be2e-5d7b-51ea-e2c3-ae6b7855c52f',
  dstUuid: '5445be2e-5d7b-51ea-e2c3-ae6b7855c52f',
  srcCountry: 'Reserved',
  dstCountry: 'Reserved',
  user: {},
};
const TRAFFIC: Traffic = {
  session: SESSION,
  action: 'close',
  dialled: { address: '203.0.113.1', port: 2525 },
  duration: 138,
  sent: 100,
  received: 200,
  serverSent: 210,
  serverReceived: 90,
  utmAction: 'block',
  virusRecords: 1,
  filterRecords: 2,
  sslRecords: 3,
};
const CONTEXT = { eventTime: 1_634_581_336_644_493_852n, zone: UTC };

/** Denied, and accepted, as `execute log display` shows them. */
const DENIED =
  'date=2021-10-18 time=11:31:45 eventtime=1634581905530844852 tz="-0700" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.10.10.25 srcport=60668 srcintf="port1" srcintfrole="wan" dstip=192.168.20.6 dstport=3389 dstintf="root" dstintfrole="undefined" srcuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" dstuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" srccountry="Reserved" dstcountry="Reserved" sessionid=3083 proto=6 action="deny" policyid=4 policytype="proxy-policy" poluuid="ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27" policyname="TCP-forward-WIN2K16" service="RDP" trandisp="noop" duration=0 sentbyte=0 rcvdbyte=0 sentpkt=0 rcvdpkt=0 appcat="unscanned" utmaction="block" countztna=1 msg="Denied: failed to match a proxy-policy" utmref=65349-5754';
const ACCEPTED_END = ['duration', 'wanin', 'rcvdbyte', 'wanout', 'lanin', 'sentbyte', 'lanout', 'appcat'];

const names = (record: LogRecord): string[] => record.fields.map(({ name }) => name);
const text = (record: LogRecord): string => formatRecord(record, 'default');

/** Those of `order` that `fields` has, in the order of `fields`. */
const common = (fields: readonly string[], order: readonly string[]): string[] =>
  fields.filter((name) => order.includes(name));

test("the record of a denied session has the vendor's fields in the vendor's order", () => {
  const record = trafficRecord({ ...TRAFFIC, action: 'deny', dialled: SESSION.server, message: 'x' }, CONTEXT);
  // What was counted stands behind each other there, and among others here: that order is of sessions that were accepted.
  const counts = ['sentbyte', 'rcvdbyte', 'sentpkt', 'rcvdpkt'];
  const seed = (parseLine(DENIED)?.fields ?? []).map(({ name }) => name).filter((name) => !counts.includes(name));
  const ours = names(record);
  assert.deepEqual(common(ours, seed), common(seed, ours));
  assert.deepEqual(
    seed.filter((name) => !ours.includes(name)),
    ['countztna', 'utmref'],
  );
  assert.equal(record.level, 'warning');
});

test('the record of a session that ended says what it carried, and where it was led', () => {
  const record = trafficRecord(TRAFFIC, CONTEXT);
  assert.deepEqual(common(names(record), ACCEPTED_END), ACCEPTED_END);
  const line = text(record);
  assert.match(line, / logid="0000000013" type="traffic" subtype="forward" level="notice" /);
  assert.match(line, / dstip=203\.0\.113\.1 dstport=2525 /);
  assert.match(line, / service="SMTP" trandisp="dnat" tranip=192\.168\.20\.6 tranport=25 duration=138 /);
  assert.match(line, / wanin=210 rcvdbyte=200 wanout=90 lanin=100 sentbyte=100 lanout=200 /);
  assert.match(line, / utmaction="block" countav=1 countff=2 countssl=3$/);
});

test('what was not found is not counted, what is not known has the port for a name, a start has its own number', () => {
  const quiet = { ...TRAFFIC, utmAction: undefined, virusRecords: 0, filterRecords: 0, sslRecords: 0 };
  const line = text(trafficRecord({ ...quiet, session: { ...SESSION, service: undefined } }, CONTEXT));
  assert.doesNotMatch(line, / count|utmaction/);
  assert.match(line, / service="tcp\/2525" /);
  for (const action of TRAFFIC_ACTIONS) {
    const record = trafficRecord({ ...quiet, action }, CONTEXT);
    assert.equal(fieldValue(record, 'logid'), action === 'start' ? '0000000015' : '0000000013');
    assert.equal(fieldValue(record, 'action'), action);
  }
});

test('an event names its session where it has one, and nothing that it quotes ends its line', () => {
  const alone = text(eventRecord('started', 'up', CONTEXT));
  assert.match(
    alone,
    / logid="0100099001" type="event" subtype="system" level="information" vd="root" logdesc="Inspection daemon started" msg="up"$/,
  );
  const odd = text(eventRecord('anomaly', 'a"b\nc', CONTEXT, SESSION));
  assert.match(
    odd,
    / level="warning" .* sessionid=2550 policyid=4 srcip=10\.10\.10\.25 srcport=60660 dstip=192\.168\.20\.6 dstport=25 msg=/,
  );
  assert.equal(odd.split('\n').length, 1);
  assert.equal(parseLine(odd)?.fields.at(-1)?.name, 'msg');
});

test("a TLS record has the vendor's number, level and words for what was done", () => {
  const event: SslEvent = { name: 'resigned-untrusted', profile: 'deep', detail: 'untrusted' };
  const line = text(
    sslRecord(
      event,
      { ...SESSION, tls: { version: 'TLS 1.3', cipher: 'x', sni: 'mail.example', decrypted: true } },
      CONTEXT,
    ),
  );
  assert.match(line, / logid="1700062302" type="utm" subtype="ssl" eventtype="ssl-anomaly" level="notice" /);
  assert.match(line, / action="resign-as-untrusted" .* tlsver="tls1.3" sni="mail.example" /);
  assert.match(line, / msg="Server certificate is re-signed as untrusted, certificate-status: untrusted/);
});
