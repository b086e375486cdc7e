// Held against what the vendor's knowledge base shows of `diagnose sys session list` and of WAD's debug lines (FortiOS 7.0).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printExpectations, printSessionLines, printSessions } from './print.js';
import { type SessionKind, SessionTable } from './session-table.js';
import { flowTrace, wadOpened, wadRefused } from './wad-debug.js';

/** A session that is not led elsewhere. */
const SEED = `session info: proto=6 proto_state=01 duration=96 expire=3545 timeout=0 refresh_dir=both flags=00000000 socktype=0 sockport=0 av_idx=0 use=3
origin-shaper=
reply-shaper=
per_ip_shaper=
class_id=0 ha_id=0 policy_dir=0 tunnel=/ helper=dns-udp vlan_cos=0/255
state=log may_dirty f00
statistic(bytes/packets/allow_err): org=73/1/1 reply=261/1/1 tuples=2
tx speed(Bps/kbps): 0/0 rx speed(Bps/kbps): 0/0
orgin->sink: org pre->post, reply pre->post dev=9->3/3->9 gwy=192.168.170.1/0.0.0.0
hook=post dir=org act=noop 192.168.30.108:54225->192.168.12.99:22(0.0.0.0:0)
hook=pre dir=reply act=noop 192.168.12.99:22->192.168.30.108:54225
misc=0 policy_id=3 pol_uuid_idx=15849 auth_info=0 chk_client_info=0 vd=0
serial=000fb1fd tos=ff/ff app_list=0 app=0 url_cat=0
rpdb_link_id=80000000 ngfwid=n/a
npu_state=0x000100
no_ofld_reason: npu-flag-off
total session 1`;

const SEED_LINE = 'tcp 3556 192.168.30.108:54225 - 192.168.12.99:22 -';

/** What is said, without what it is said of. */
function form(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .replace(/ helper=\S+/, '')
        .replace(/^state=.*/, 'state=')
        .replace(/^no_ofld_reason:.*/, 'no_ofld_reason:')
        .replace(/\d+\.\d+\.\d+\.\d+(:\d+)?/g, 'A')
        .replace(/=[0-9a-fx]{6,}/g, '=H')
        .replace(/\d+/g, 'N'),
    );
}

function sessions(kind: SessionKind = 'inspected', led = false, state?: 'dirty' | 'blocked') {
  let now = 0;
  const table = new SessionTable(() => now, 0xfb1fd);
  table.add({
    id: table.takeIds(1),
    client: { address: '192.168.30.108', port: 54_225 },
    dialled: { address: '192.168.12.99', port: 22 },
    server: led ? { address: '10.0.0.5', port: 2222 } : { address: '192.168.12.99', port: 22 },
    policyId: 3,
    timeout: 3600,
    kind,
  });
  now = 41_000;
  table.count(0xfb1fd, 7300, 261);
  now = 95_000;
  if (state === 'dirty') table.dirty(0xfb1fd, true);
  if (state === 'blocked') table.block(0xfb1fd, 30);
  now = 96_999;
  return { rows: [...table.select()], now };
}

test("a session is printed in the form of the vendor's", () => {
  const { rows, now } = sessions();
  const text = printSessions(rows, now);
  assert.deepEqual(form(text), form(SEED));
  assert.match(text, /duration=96 expire=3545 timeout=3600 /);
  assert.match(text, /org=7300\/5\/1 reply=261\/1\/1/);
  assert.match(text, /serial=000fb1fd /);
  assert.match(text, /tx speed\(Bps\/kbps\): 76\/1 rx speed\(Bps\/kbps\): 3\/0/);
  assert.match(text, /\ntotal session 1\n$/);
  assert.equal(printSessions([], now), 'total session 0\n');
});

test('a session that is led elsewhere shows both translations', () => {
  const { rows, now } = sessions('inspected', true);
  const text = printSessions(rows, now);
  assert.match(text, /hook=pre dir=org act=dnat 192\.168\.30\.108:54225->192\.168\.12\.99:22\(10\.0\.0\.5:2222\)\n/);
  assert.match(text, /hook=post dir=reply act=snat 10\.0\.0\.5:2222->192\.168\.30\.108:54225\(192\.168\.12\.99:22\)\n/);
});

/** The states of the vendor's timeline, one after the other, in full but for its numbers. */
const TIMELINE = [
  [undefined, 'state=log may_dirty f00', 'policy_id=3', 'no_ofld_reason: npu-flag-off', 3545],
  ['dirty', 'state=dirty may_dirty acct-ext', 'policy_id=3', 'no_ofld_reason: npu-flag-off', 3545],
  [
    'blocked',
    'state=block may_dirty authed acct-ext',
    'policy_id=0 pol_uuid_idx=65',
    'no_ofld_reason: block-by-policy npu-flag-off',
    28,
  ],
] as const;
for (const [state, ...lines] of TIMELINE)
  test(`a session that policy ${state === undefined ? 'allows' : `has made ${state}`} shows the words of the vendor's listing`, () => {
    const { rows, now } = sessions('forwarded', false, state);
    const text = printSessions(rows, now);
    assert.deepEqual(form(text), form(SEED));
    assert.match(text, / proto_state=01 .* socktype=0 /);
    for (const line of lines.slice(0, 3)) assert.ok(text.includes(String(line)), `${line} in ${text}`);
    assert.match(text, new RegExp(`expire=${lines[3]} timeout=3600 `));
  });

test('a line a session, as the vendor prints it', () => {
  const { rows, now } = sessions();
  const [heading, line] = printSessionLines(rows, now).split('\n');
  assert.match(heading ?? '', /^PROTO +EXPIRE +SOURCE /);
  assert.equal(line, SEED_LINE.replace('3556', '3545'));
  const led = sessions('inspected', true);
  assert.match(printSessionLines(led.rows, led.now), / 192\.168\.12\.99:22 10\.0\.0\.5:2222\n$/);
});

/** `diagnose wad debug enable category ftp`, without lines of addresses in the vendor's memory. */
const SEED_WAD = `removed command PASV from cmd queue.
2021-07-26 21:42:05.094380 [p:508][s:40738626] wad_ftp_exec_state(3954): received event REPLY in state NORMAL
2021-07-26 21:42:05.094442 [p:508][s:40738626] wad_ftp_pasv_reply_handler(1180): offer_ip=10.220.3.202 offer_port=50756
2021-07-26 21:42:05.094663 [p:508][s:40738626] wad_exp_tcp_in_find(190): proto=6 vd=0 ->10.220.3.202:50756 exp_tcp_in=(nil)
Control session tuple: 10.230.4.86:60919 -> 10.230.4.72:21 vf 0 vrf 0
Expect session tuple: 10.230.4.86:0 -> 10.230.4.72:50756(10.220.3.202:50756) vf 0 vrf 0
                     dir 0  act 2  hook 0 state 0 ops 0  skip 0

redirect: TCP 10.230.4.86:0 -> 10.230.4.72:50756 DNAT 10.220.3.202:50756
2021-07-26 21:42:05.095216 [p:508][s:40738626] wad_ftp_exec_state(3980): transitioned from state NORMAL to state NORMAL
2021-07-26 21:42:05.095224 [p:508][s:40738626] __wad_ftp_session_proc_reply(706): forwarded reply to client: ftp cmd=PASV, reply code=227`;
const SEED_FLOW = [
  '2021-07-26 21:42:05 id=20085 trace_id=138192 func=print_pkt_detail line=5723 msg="vd-root:0 received a packet(proto=6, 10.230.4.86:60921->10.230.4.72:50756) from port3. flag [S], seq 0, ack 0, win 0"',
  '2021-07-26 21:42:05 id=20085 trace_id=138192 func=resolve_ip_tuple_fast line=5819 msg="Find an EXP session, id-026d9f42."',
  '2021-07-26 21:42:05 id=20085 trace_id=138192 func=__ip_session_run_tuple line=3503 msg="DNAT 10.230.4.72:50756->10.220.3.202:50756"',
];
const HOLE = {
  session: 40_738_626,
  client: { address: '10.230.4.86', port: 60_919 },
  dialled: { address: '10.230.4.72', port: 21 },
  from: '10.230.4.86',
  at: { address: '10.230.4.72', port: 50_756 },
  target: { address: '10.220.3.202', port: 50_756 },
  passive: true,
};

test("the debug lines of an expectation session are the vendor's, with its numbers", () => {
  const printed = wadOpened(HOLE, 'STAMP', 508).split('\n');
  const seed = SEED_WAD.replace(/^\d{4}-\d\d-\d\d [\d:.]+/gm, 'STAMP').split('\n');
  for (const line of seed) assert.ok(printed.includes(line), line);
  assert.match(
    wadOpened({ ...HOLE, passive: false }, 'STAMP', 508),
    /wad_ftp_port_cmd_handler.*\n(.*\n)*.*ftp cmd=PORT, reply code=200/,
  );
  assert.match(wadRefused(1, 'foreign', 'STAMP', 508), /^STAMP \[p:508\]\[s:1\] .*foreign\n$/);
});

test("the flow trace of a data connection is the vendor's", () => {
  const stamp = '2021-07-26 21:42:05';
  const by = { address: '10.230.4.86', port: 60_921 };
  const printed = flowTrace({ ...HOLE, session: 0x26d_9f42 }, by, stamp, 138_192, 'port3').trimEnd();
  assert.deepEqual(printed.split('\n'), SEED_FLOW);
});

test('an expectation is printed as a session that nobody has come for yet', () => {
  const row = { ...HOLE, age: 3, expire: 27, policyId: 3 };
  const text = printExpectations([row]);
  assert.deepEqual(
    form(text).map((line) => line.replace(/^(hook=).*/, '$1')),
    form(SEED).map((line) => line.replace(/^(hook=).*/, '$1')),
  );
  assert.match(text, /duration=3 expire=27 /);
  assert.match(text, /state=new complex\n/);
  assert.match(text, /act=dnat 10\.230\.4\.86:0->10\.230\.4\.72:50756\(10\.220\.3\.202:50756\)\n/);
  assert.equal(printExpectations([]), 'total session 0\n');
});
