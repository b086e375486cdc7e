// The records of access proxies against the vendor's lines (FortiOS 7.0), byte for byte.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionInfo } from '../core/session.js';
import { formatRecord } from './format.js';
import { timeZone } from './time-zone.js';
import { accessAccepted, accessDenied, deviceTags, ztnaRecord } from './ztna.js';

const ZTNA =
  'date=2021-10-18 time=11:31:45 eventtime=1634581905530840484 tz="-0700" logid="2101060510" type="utm" subtype="ztna" eventtype="ztna-policy-match" level="warning" vd="root" msg="Connection is blocked due to unable to match a proxy-policy" policyid=4 sessionid=3083 srcip=10.10.10.25 dstip=192.168.20.6 srcport=60668 dstport=3389 srcintf="port1" srcintfrole="wan" dstintf="root" dstintfrole="undefined" proto=6 action="blocked" service="HTTPS" gatewayid=1 vip="WIN2K16-P1-RDP" accessproxy="WIN2K16-P1-RDP" clientdeviceid="F4F3263AEBE54777A6509A8FCCDF9284" clientdevicetags="MAC_FCTEMS0000109188_Low/FCTEMS0000109188_all_registered_clients/MAC_FCTEMS0000109188_all_registered_clients/FCTEMS0000109188_Low"';
const DENIED =
  'date=2021-10-18 time=11:31:45 eventtime=1634581905530844852 tz="-0700" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.10.10.25 srcport=60668 srcintf="port1" srcintfrole="wan" dstip=192.168.20.6 dstport=3389 dstintf="root" dstintfrole="undefined" srcuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" dstuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" srccountry="Reserved" dstcountry="Reserved" sessionid=3083 proto=6 action="deny" policyid=4 policytype="proxy-policy" poluuid="ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27" policyname="TCP-forward-WIN2K16" service="RDP" trandisp="noop" duration=0 sentbyte=0 rcvdbyte=0 sentpkt=0 rcvdpkt=0 appcat="unscanned" utmaction="block" countztna=1 msg="Denied: failed to match a proxy-policy" utmref=65349-5754';
const ACCEPTED =
  'date=2021-10-18 time=12:46:01 eventtime=1634586361077487880 tz="-0700" logid="0000000024" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.10.10.25 srcport=55140 srcintf="port1" srcintfrole="wan" dstcountry="Reserved" srccountry="Reserved" dstip=192.168.20.6 dstport=3389 dstintf="root" dstintfrole="undefined" sessionid=12542 srcuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" service="RDP" proto=6 action="accept" policyid=4 policytype="proxy-policy" poluuid="ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27" policyname="TCP-forward-WIN2K16" duration=138 wanin=140349 rcvdbyte=140349 wanout=47118 lanin=48799 sentbyte=48799 lanout=142521 appcat="unscanned"';

const UUID = '5445be2e-5d7b-51ea-e2c3-ae6b7855c52f';
const session = (id: number, port: number): SessionInfo => ({
  id,
  client: { address: '10.10.10.25', port },
  server: { address: '192.168.20.6', port: 3389 },
  service: 'RDP',
  tls: undefined,
  vdom: 'root',
  policy: {
    id: 4,
    type: 'proxy-policy',
    uuid: 'ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27',
    name: 'TCP-forward-WIN2K16',
  },
  srcIntf: { name: 'port1', role: 'wan' },
  dstIntf: { name: 'root', role: 'undefined' },
  srcUuid: UUID,
  dstUuid: UUID,
  srcCountry: 'Reserved',
  dstCountry: 'Reserved',
  user: {},
});
/** The vendor's date is that of the writing, a little after the event. */
const at = (eventTime: bigint) => ({ eventTime, zone: timeZone('-0700') });

const EMS = 'FCTEMS0000109188';
const TAGS = deviceTags([
  [`${EMS}_all_registered_clients`, `MAC_${EMS}_all_registered_clients`],
  [`${EMS}_Low`, `MAC_${EMS}_Low`],
]);

test('why a session was ended, and its traffic, are the vendor’s lines', () => {
  const info = session(3083, 60_668);
  const access = {
    gatewayId: 1,
    vip: 'WIN2K16-P1-RDP',
    accessProxy: 'WIN2K16-P1-RDP',
    deviceId: 'F4F3263AEBE54777A6509A8FCCDF9284',
    deviceTags: TAGS,
  };
  const why = ztnaRecord('no-match', info, info.server, access, at(1_634_581_905_530_840_484n));
  assert.equal(formatRecord(why, 'default'), ZTNA);
  const message = 'Denied: failed to match a proxy-policy';
  const traffic = accessDenied(info, info.server, message, '65349-5754', at(1_634_581_905_530_844_852n));
  assert.equal(formatRecord(traffic, 'default'), DENIED);
});

test('the traffic of a session that was let in is the vendor’s line', () => {
  const traffic = accessAccepted(
    session(12_542, 55_140),
    {
      duration: 138,
      sent: 48_799,
      received: 142_521,
      serverSent: 140_349,
      serverReceived: 47_118,
      utmAction: undefined,
      virusRecords: 0,
      filterRecords: 0,
      sslRecords: 0,
    },
    at(1_634_586_361_077_487_880n),
  );
  assert.equal(formatRecord(traffic, 'default'), ACCEPTED);
});

test('an endpoint without tags has none in its record', () => {
  assert.deepEqual(deviceTags([]), []);
});
