// The vendor's two examples of posture checks (FortiOS 7.0): their configurations as they stand, their outputs and log lines as what is expected,
// but for times, addresses and numbers of sessions and ports.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EMS, type RunningAccess, serverOf, startAccess, UID } from '../../testing/peers/access-proxy.js';
import type { LogFields } from '../../testing/peers/daemon.js';

const TAG_RULE = readFileSync('samples/seeds/ztna-posture-tag.conf', 'latin1');
const LOGIC_RULE = readFileSync('samples/seeds/ztna-posture-logic.conf', 'latin1');
const RULE_UUID = 'ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27';
/** The samples' rule has a UUID, which their configurations leave out. */
const withUuid = (rule: string): string => rule.replace('edit 4', `edit 4 set uuid ${RULE_UUID}`);

const CACHE = (serial: string, tags: readonly string[]): string =>
  `ZTNA Cache V2:
Entry #1:
 - UID: F4F3263AEBE54777A6509A8FCCDF9284
 - Domain:
 - User: keithli
 - Owner:
 - Certificate SN: ${serial}
 - EMS SN: FCTEMS0000109188
 - online: true
 - Tags (${tags.length}):
${tags.map((tag, at) => ` -- Tag (#${at}): ${tag}\n`).join('')}lls_idx_mask = 0x00000001,
`;

const LISTED = `session info: proto=6 proto_state=01 duration=191 expire=3599 timeout=3600 flags=00000000 socktype=0 sockport=1012 av_idx=0 use=3
origin-shaper=
reply-shaper=
per_ip_shaper=
class_id=0 ha_id=0 policy_dir=0 tunnel=/ vlan_cos=0/0
state=log local may_dirty f24
statistic(bytes/packets/allow_err): org=58031/376/1 reply=66864/351/1 tuples=2
tx speed(Bps/kbps): 303/2 rx speed(Bps/kbps): 349/2
orgin->sink: org pre->in, reply out->post dev=3->7/7->3 gwy=192.168.2.86/0.0.0.0
hook=pre dir=org act=noop 10.10.10.25:60668->192.168.2.86:443(0.0.0.0:0)
hook=post dir=reply act=noop 192.168.2.86:443->10.10.10.25:60668(0.0.0.0:0)
pos/(before,after) 0/(0,0), 0/(0,0)
misc=7 policy_id=4 pol_uuid_idx=14853 auth_info=0 chk_client_info=0 vd=0
serial=00000c0b tos=00/00 app_list=0 app=0 url_cat=0
sdwan_mbr_seq=0 sdwan_service_id=0
rpdb_link_id=00000000 rpdb_svc_id=0 ngfwid=n/a
npu_state=00000000

total session 1
`;

const ALLOWED =
  'date=2021-10-18 time=11:22:16 eventtime=1634581336644493852 tz="-0700" logid="0000000024" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.10.10.25 srcport=60660 srcintf="port1" srcintfrole="wan" dstcountry="Reserved" srccountry="Reserved" dstip=192.168.20.6 dstport=3389 dstintf="root" dstintfrole="undefined" sessionid=2550 srcuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" service="RDP" proto=6 action="accept" policyid=4 policytype="proxy-policy" poluuid="ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27" policyname="TCP-forward-WIN2K16" duration=0 wanin=1578 rcvdbyte=1578 wanout=1107 lanin=2788 sentbyte=2788 lanout=3750 appcat="unscanned"';
const TRAFFIC_DENIED =
  'date=2021-10-18 time=11:31:45 eventtime=1634581905530844852 tz="-0700" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.10.10.25 srcport=60668 srcintf="port1" srcintfrole="wan" dstip=192.168.20.6 dstport=3389 dstintf="root" dstintfrole="undefined" srcuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" dstuuid="5445be2e-5d7b-51ea-e2c3-ae6b7855c52f" srccountry="Reserved" dstcountry="Reserved" sessionid=3083 proto=6 action="deny" policyid=4 policytype="proxy-policy" poluuid="ce8f82d0-8fb3-51eb-0a17-5e6a6a51ff27" policyname="TCP-forward-WIN2K16" service="RDP" trandisp="noop" duration=0 sentbyte=0 rcvdbyte=0 sentpkt=0 rcvdpkt=0 appcat="unscanned" utmaction="block" countztna=1 msg="Denied: failed to match a proxy-policy" utmref=65349-5754';
const ZTNA_DENIED =
  'date=2021-10-18 time=11:31:45 eventtime=1634581905530840484 tz="-0700" logid="2101060510" type="utm" subtype="ztna" eventtype="ztna-policy-match" level="warning" vd="root" msg="Connection is blocked due to unable to match a proxy-policy" policyid=4 sessionid=3083 srcip=10.10.10.25 dstip=192.168.20.6 srcport=60668 dstport=3389 srcintf="port1" srcintfrole="wan" dstintf="root" dstintfrole="undefined" proto=6 action="blocked" service="HTTPS" gatewayid=1 vip="WIN2K16-P1-RDP" accessproxy="WIN2K16-P1-RDP" clientdeviceid="F4F3263AEBE54777A6509A8FCCDF9284" clientdevicetags="MAC_FCTEMS0000109188_Low/FCTEMS0000109188_all_registered_clients/MAC_FCTEMS0000109188_all_registered_clients/FCTEMS0000109188_Low"';
/** Of the second example: the client comes again. */
const ZTNA_AGAIN = ZTNA_DENIED.replace('policyid=4', 'policyid=0')
  .replace('dstip=192.168.20.6', 'dstip=192.168.2.86')
  .replace('dstport=3389', 'dstport=443');

/** Without what no two sessions have in common. */
function form(line: string): string {
  return (
    line
      .replace(
        /\b(date|time|eventtime|srcip|srcport|dstip|dstport|sessionid|duration|wanin|rcvdbyte|wanout|lanin|sentbyte|lanout|utmref)=\S+/g,
        '$1=*',
      )
      .replace(/\btz="[^"]*"/, 'tz=*')
      // The test's server is at no port of its own, so that it has no name.
      .replace(/service="(RDP|tcp\/\d+)"/, 'service=*')
  );
}

function listForm(text: string): string {
  return text
    .replace(/\d+\.\d+\.\d+\.\d+(:\d+)?/g, 'A')
    .replace(/A->A\(A\)/g, 'A->A(A)')
    .replace(/(duration|expire|org|reply|dev|gwy|serial|pol_uuid_idx)=[^ ,\n]*/g, '$1=*')
    .replace(/speed\(Bps\/kbps\): \d+\/\d+/g, 'speed=*')
    .replace(/org pre->in, reply=\*/g, 'org pre->in, reply=*');
}

function lineOf(fields: LogFields, daemonLog: string): string {
  const wanted = `sessionid=${fields.get('sessionid')} `;
  const logid = `logid="${fields.get('logid')}"`;
  return daemonLog.split('\n').find((line) => line.includes(wanted) && line.includes(logid)) ?? '';
}

async function session(access: RunningAccess): Promise<Socket> {
  const socket = await access.connect();
  socket.on('error', () => {});
  socket.resume();
  socket.write('x'.repeat(100));
  await once(socket, 'data');
  return socket;
}

/** What `execute log display` has for a session, in its order. */
async function logged(
  access: RunningAccess,
  logid: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const fields = await access.daemon.record({ logid, ...more });
  return lineOf(fields, readFileSync(`${access.directory}/utm.log`, 'latin1'));
}

async function sessions(access: RunningAccess): Promise<string> {
  return access.daemon.ask('diagnose', 'sys', 'session', 'list');
}

async function settled(access: RunningAccess, wanted: string): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const text = await sessions(access);
    if (text.includes(wanted)) return text;
    await sleep(25);
  }
  return assert.fail(`not in the table: ${wanted}`);
}

/** Also of one that is reset. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

const echo = (socket: Socket): void => {
  socket.pipe(socket);
};

test('example 1: a tag is removed, and the session that needed it is gone before another byte passes', async (context) => {
  const server = await serverOf(context, echo);
  const access = await startAccess(context, { rules: withUuid(TAG_RULE), server });
  const { serial } = access.identity;
  const tags = ['AV-enabled', 'all_registered_clients', 'Low'];
  await access.endpoint(UID, { ems: EMS, user: 'keithli', cert: serial, ip: '10.10.10.25', tags: tags.join(',') });
  assert.equal(await access.daemon.ask('diagnose', 'test', 'application', 'fcnacd', '7'), CACHE(serial, tags));

  const first = await session(access);
  first.end();
  await closed(first);
  const allowed = await logged(access, '0000000024');
  assert.equal(form(allowed).replace(/ user="keithli"/, ''), form(ALLOWED));

  const active = await session(access);
  const list = await settled(access, 'total session 1');
  assert.equal(listForm(list), listForm(LISTED));

  const gone = closed(active);
  await access.endpoint(UID, { tags: tags.slice(1).join(',') });
  await gone;
  assert.equal(await access.daemon.ask('diagnose', 'test', 'application', 'fcnacd', '7'), CACHE(serial, tags.slice(1)));
  await settled(access, 'total session 0');

  const ztna = await logged(access, '2101060510');
  assert.equal(form(ztna), form(ZTNA_DENIED));
  const traffic = await logged(access, '0000000013');
  assert.equal(form(traffic), form(TRAFFIC_DENIED));
  const serialOf = /serial=([0-9a-f]{8})/.exec(list)?.[1] ?? '';
  for (const line of [ztna, traffic]) assert.match(line, new RegExp(`sessionid=${Number.parseInt(serialOf, 16)} `));
  const all = readFileSync(`${access.directory}/utm.log`, 'latin1');
  assert.ok(all.indexOf(ztna) < all.indexOf(traffic), 'why comes first');
});

test('example 2: the logic of tags becomes "all", and the session that had one of them is gone; its client is not let in again', async (context) => {
  const server = await serverOf(context, echo);
  const setup = { rules: withUuid(LOGIC_RULE), server };
  const access = await startAccess(context, setup);
  const { serial } = access.identity;
  const tags = ['all_registered_clients', 'Low'];
  await access.endpoint(UID, { ems: EMS, user: 'keithli', cert: serial, ip: '10.10.10.25', tags: tags.join(',') });
  assert.equal(await access.daemon.ask('diagnose', 'test', 'application', 'fcnacd', '7'), CACHE(serial, tags));
  const active = await session(access);
  assert.equal(listForm(await settled(access, 'total session 1')), listForm(LISTED));

  const gone = closed(active);
  await access.reload({
    ...setup,
    rules: setup.rules.replace('ztna-tags-match-logic or', 'ztna-tags-match-logic and'),
  });
  await gone;
  await settled(access, 'total session 0');
  assert.equal(form(await logged(access, '2101060510')), form(ZTNA_DENIED));
  await assert.rejects(access.connect(), /403 Forbidden \(code 065\)/);
  assert.equal(form(await logged(access, '2101060510', { policyid: '0' })), form(ZTNA_AGAIN));
});
