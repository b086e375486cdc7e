// The vendor's timeline of a session whose client leaves a dynamic address (dyn-addr-session-check): its outputs are what is expected, but for
// numbers, addresses and what helps whom.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EMS, serverOf, UID } from '../../testing/peers/access-proxy.js';
import { type RunningDaemon, runDaemon } from '../../testing/peers/daemon.js';
import { freePort, scratch } from '../../testing/peers/peers.js';

const OTHERS = ['192.168.30.47', '192.168.30.35', '192.168.30.126'];
const MEMBERS = (addresses: readonly string[]): string =>
  `CMDB name: EMS_ZTNA_APP_SERVERS
TAG name: APP_SERVERS
EMS_ZTNA_APP_SERVERS: ID(115)
${addresses.map((address) => `ADDR(${address})\n`).join('')}Total IP dynamic range blocks: 0.
Total IP dynamic addresses: ${addresses.length}.
`;
/** As the vendor prints it: allowed, dirty, blocked. */
const LISTED = (duration: string, state: string, rule: string, why: string): string =>
  `session info: proto=6 proto_state=01 ${duration} timeout=3600 refresh_dir=both flags=00000000 socktype=0 sockport=0 av_idx=0 use=3
origin-shaper=
reply-shaper=
per_ip_shaper=
class_id=0 ha_id=0 policy_dir=0 tunnel=/ vlan_cos=0/255
state=${state}
statistic(bytes/packets/allow_err): org=73/1/1 reply=261/1/1 tuples=2
tx speed(Bps/kbps): 0/0 rx speed(Bps/kbps): 0/0
orgin->sink: org pre->post, reply pre->post dev=9->3/3->9 gwy=192.168.170.1/0.0.0.0
hook=post dir=org act=noop 192.168.30.108:54225->192.168.12.99:22(0.0.0.0:0)
hook=pre dir=reply act=noop 192.168.12.99:22->192.168.30.108:54225
misc=0 ${rule} auth_info=0 chk_client_info=0 vd=0
serial=000fb1fd tos=ff/ff app_list=0 app=0 url_cat=0
rpdb_link_id=80000000 ngfwid=n/a
npu_state=0x000100
no_ofld_reason: ${why}

total session 1
`;
const ALLOWED = LISTED(
  'duration=96 expire=3545',
  'log may_dirty f00',
  'policy_id=3 pol_uuid_idx=15849',
  'npu-flag-off',
);
const DIRTY = LISTED(
  'duration=1144 expire=3586',
  'dirty may_dirty acct-ext',
  'policy_id=3 pol_uuid_idx=15849',
  'npu-flag-off',
);
const BLOCKED = LISTED(
  'duration=1155 expire=28',
  'block may_dirty authed acct-ext',
  'policy_id=0 pol_uuid_idx=65',
  'block-by-policy npu-flag-off',
);

function form(text: string): string {
  return text
    .replace(/\d+\.\d+\.\d+\.\d+(:\d+)?/g, 'A')
    .replace(/\b(duration|expire|org|reply|dev|gwy|serial)=(?!pre)[^ ,\n]*/g, '$1=*')
    .replace(/pol_uuid_idx=(?!65 )\d+/, 'pol_uuid_idx=*')
    .replace(/speed\(Bps\/kbps\): \d+\/\d+/g, 'speed=*')
    .replace(/ID\(\d+\)/, 'ID(*)');
}

interface Running {
  readonly daemon: RunningDaemon;
  readonly client: Socket;
  /** What the server got. */
  readonly got: () => string;
  list(): Promise<string>;
}

const BY_ADDRESS = ['set srcaddr "EMS_ZTNA_APP_SERVERS"'];
const BY_TAG = ['set srcaddr "all"', 'set ztna-status enable', 'set ztna-ems-tag "EMS1_ZTNA_APP_SERVERS"'];

async function running(
  context: TestContext,
  check: 'enable' | 'disable',
  source: readonly string[] = BY_ADDRESS,
): Promise<Running> {
  let got = '';
  const server = await serverOf(context, (socket) => {
    socket.on('data', (chunk) => {
      got += chunk.toString();
      socket.write(chunk);
    });
  });
  const directory = scratch(context, 'dynamic');
  const port = await freePort();
  const text = `config system settings
    set dyn-addr-session-check ${check}
end
config system global
    set block-session-timer 30
end
config inspectd settings
    set state-directory "${join(directory, 'state')}"
    set log-file "${join(directory, 'utm.log')}"
    set workers 1
    set drain-timeout 1
end
config inspectd listener
    edit "socks"
        set type socks5
        set listen 127.0.0.1:${port}
    next
end
config firewall address
    edit "EMS_ZTNA_APP_SERVERS"
        set type dynamic
        set sub-type ems-tag
        set obj-tag "APP_SERVERS"
        set tag-type "zero_trust"
    next
end
config firewall policy
    edit 3
        set srcintf "any"
        set dstintf "any"
${source.map((line) => `        ${line}\n`).join('')}        set dstaddr "all"
        set action accept
        set schedule "always"
        set service "ALL"
        set logtraffic all
    next
end
`;
  const daemon = await runDaemon(context, directory, text, [port]);
  for (const [at, ip] of [...OTHERS.slice(0, 2), '127.0.0.1', ...OTHERS.slice(2)].entries())
    await daemon.ask(...record(at), 'ems', EMS, 'tags', 'APP_SERVERS', 'ip', ip);
  const client = connect(port, '127.0.0.1');
  context.after(() => client.destroy());
  client.on('error', () => {});
  client.write(Buffer.from([5, 1, 0]));
  await once(client, 'data');
  client.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, server >> 8, server & 0xff]));
  await once(client, 'data');
  client.write('hello');
  await once(client, 'data');
  return { daemon, client, got: () => got, list: () => daemon.ask('diagnose', 'sys', 'session', 'list') };
}

const record = (at: number): string[] => ['diagnose', 'endpoint', 'record', 'update', `${UID.slice(1)}${at}`];
const LEAVES = [...record(2), 'tags', ''];

async function shows(list: () => Promise<string>, words: string): Promise<string> {
  for (let tries = 0; tries < 600; tries++) {
    const text = await list();
    if (text.includes(words)) return text;
    await sleep(25);
  }
  return assert.fail(`never shown: ${words}, but ${await list()}`);
}

test('dyn-addr-session-check: a session becomes dirty, and is blocked when its next byte comes, which does not pass', async (context) => {
  const { daemon, client, got, list } = await running(context, 'enable');
  const members = ['192.168.30.47', '192.168.30.35', '127.0.0.1', '192.168.30.126'];
  const dynamic = (): Promise<string> => daemon.ask('diagnose', 'firewall', 'dynamic', 'list', 'EMS_ZTNA_APP_SERVERS');
  assert.equal(form(await dynamic()), form(MEMBERS(members)));
  assert.equal(form(await shows(list, 'state=log')), form(ALLOWED));
  await daemon.ask(...LEAVES);
  assert.equal(form(await dynamic()), form(MEMBERS(OTHERS)));
  assert.equal(form(await shows(list, 'state=dirty')), form(DIRTY));
  const over = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.write('never');
  await over;
  const blocked = await shows(list, 'state=block');
  assert.equal(form(blocked), form(BLOCKED));
  const expire = Number(/expire=(\d+)/.exec(blocked)?.[1]);
  assert.ok(expire > 15 && expire <= 30, `of the block-session-timer: ${expire}`);
  assert.equal(got(), 'hello');
  const line = await daemon.ask('get', 'system', 'session', 'list');
  assert.match(line, /\ntcp \d+ 127\.0\.0\.1:\d+ - 127\.0\.0\.1:\d+ -\n$/);
  await daemon.record({ type: 'traffic', action: 'deny', policyid: '3', msg: 'block-by-policy' });
});

test('dyn-addr-session-check: a session that nothing comes for is blocked all the same, after about ten seconds', async (context) => {
  const { daemon, client, list } = await running(context, 'enable');
  const over = new Promise<void>((resolve) => client.once('close', () => resolve()));
  await daemon.ask(...LEAVES);
  await shows(list, 'state=dirty');
  await over;
  await shows(list, 'state=block');
});

test('dyn-addr-session-check: a policy that asks for the tag itself is asked again like one with an address', async (context) => {
  const { daemon, client, got, list } = await running(context, 'enable', BY_TAG);
  await daemon.ask(...LEAVES);
  await shows(list, 'state=dirty');
  const over = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.write('never');
  await over;
  await shows(list, 'state=block');
  assert.equal(got(), 'hello');
});

test('dyn-addr-session-check: who came back before anything was to pass goes on', async (context) => {
  const { daemon, client, got, list } = await running(context, 'enable');
  await daemon.ask(...LEAVES);
  await shows(list, 'state=dirty');
  await daemon.ask(...record(2), 'tags', 'APP_SERVERS');
  client.write(' again');
  await once(client, 'data');
  assert.equal(got(), 'hello again');
  await shows(list, 'state=log may_dirty f00');
});

test('without dyn-addr-session-check sessions live on, and new ones are denied', async (context) => {
  const { daemon, client, got, list } = await running(context, 'disable');
  await daemon.ask(...LEAVES);
  client.write(' again');
  await once(client, 'data');
  assert.equal(got(), 'hello again');
  assert.match(await list(), /state=log may_dirty f00\n/);
  const other = connect(daemon.ports[0] ?? 0, '127.0.0.1');
  other.on('error', () => {});
  other.resume();
  other.write(Buffer.from([5, 1, 0]));
  await once(other, 'data');
  other.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, 0, 9]));
  await new Promise<void>((resolve) => other.once('close', () => resolve()));
  await daemon.record({ type: 'traffic', action: 'deny', policyid: '0' });
});
