/** The lines of expectation sessions have the form of FortiOS's own: numbers and addresses differ, words do not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printExpectations } from './print.js';
import { flowTrace, type WadPinhole, wadOpened } from './wad-debug.js';

const HOLE: WadPinhole = {
  session: 40_738_626,
  client: { address: '10.230.4.86', port: 60_919 },
  dialled: { address: '10.230.4.72', port: 21 },
  from: '10.230.4.86',
  at: { address: '10.230.4.72', port: 50_756 },
  target: { address: '10.220.3.202', port: 50_756 },
  passive: true,
};

/** As FortiOS printed them for this very connection. */
const WAD_LINES = [
  'removed command PASV from cmd queue.',
  '2021-07-26 21:42:05.094380 [p:508][s:40738626] wad_ftp_exec_state(3954): received event REPLY in state NORMAL',
  '2021-07-26 21:42:05.094380 [p:508][s:40738626] wad_ftp_pasv_reply_handler(1180): offer_ip=10.220.3.202 offer_port=50756',
  '2021-07-26 21:42:05.094380 [p:508][s:40738626] wad_exp_tcp_in_find(190): proto=6 vd=0 ->10.220.3.202:50756 exp_tcp_in=(nil)',
  'Control session tuple: 10.230.4.86:60919 -> 10.230.4.72:21 vf 0 vrf 0',
  'Expect session tuple: 10.230.4.86:0 -> 10.230.4.72:50756(10.220.3.202:50756) vf 0 vrf 0',
  '                     dir 0  act 2  hook 0 state 0 ops 0  skip 0',
  'redirect: TCP 10.230.4.86:0 -> 10.230.4.72:50756 DNAT 10.220.3.202:50756',
  '2021-07-26 21:42:05.094380 [p:508][s:40738626] wad_ftp_exec_state(3980): transitioned from state NORMAL to state NORMAL',
  '2021-07-26 21:42:05.094380 [p:508][s:40738626] __wad_ftp_session_proc_reply(706): forwarded reply to client: ftp cmd=PASV, reply code=227',
];

test('a pinhole that opens is told of in the lines of the WAD debug, in their order', () => {
  const lines = wadOpened(HOLE, '2021-07-26 21:42:05.094380', 508).split('\n');
  assert.deepEqual(
    lines.filter((line) => WAD_LINES.includes(line)),
    WAD_LINES,
  );
});

test('a data connection that finds its pinhole has the flow trace of one', () => {
  const by = { address: '10.230.4.86', port: 60_921 };
  const hole = { ...HOLE, session: 0x026d9f42 };
  const front = '2021-07-26 21:42:05 id=20085 trace_id=138192';
  assert.equal(
    flowTrace(hole, by, '2021-07-26 21:42:05', 138_192, 'port3'),
    `${front} func=print_pkt_detail line=5723 msg="vd-root:0 received a packet(proto=6, 10.230.4.86:60921->10.230.4.72:50756) from port3. flag [S], seq 0, ack 0, win 0"
${front} func=resolve_ip_tuple_fast line=5819 msg="Find an EXP session, id-026d9f42."
${front} func=__ip_session_run_tuple line=3503 msg="DNAT 10.230.4.72:50756->10.220.3.202:50756"
`,
  );
});

test('expectations are listed with who may come, where, and where to', () => {
  const { session, from, at, target } = HOLE;
  const printed = printExpectations([{ session, from, at, target, age: 2, expire: 28, policyId: 3 }]);
  assert.match(printed, /^session info: proto=6 proto_state=00 duration=2 expire=28 /);
  assert.match(printed, /^hook=pre dir=org act=dnat 10\.230\.4\.86:0->10\.230\.4\.72:50756\(10\.220\.3\.202:50756\)$/m);
  assert.match(printed, /^misc=0 policy_id=3 /m);
  assert.match(printed, /total session 1\n$/);
});
