/** The debug lines of expectation sessions as a running daemon prints them: the kinds of lines that FortiOS prints of such a session, in their form. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { ended } from '../testing/peers/peers.js';
import { collect, FtpTalk, playedFtp, portOf } from '../testing/peers/played-ftp.js';
import { MAIN } from '../testing/program.js';

/** FortiOS's lines of the WAD debug about a passive data connection, but for that of its IPS, which there is not here. */
const WAD = `removed command PASV from cmd queue.
2021-07-26 21:42:05.094380 [p:508][s:40738626] wad_ftp_exec_state(3954): received event REPLY in state NORMAL
2021-07-26 21:42:05.094442 [p:508][s:40738626] wad_ftp_pasv_reply_handler(1180): offer_ip=10.220.3.202 offer_port=50756
2021-07-26 21:42:05.094643 [p:508][s:40738626] wad_ftp_tp_ses_exp_free(168): fts=0x7f52db54a9c8, exp=(nil)
2021-07-26 21:42:05.094663 [p:508][s:40738626] wad_exp_tcp_in_find(190): proto=6 vd=0 ->10.220.3.202:50756 exp_tcp_in=(nil)
2021-07-26 21:42:05.094862 [p:508][s:40738626] wad_exp_tcp_in_open(228): bound to proto=6 dest=10.220.3.202:50756 vd=0 fd=83 local=0 tin(0x7f52dca666d0)
Control session tuple: 10.230.4.86:60919 -> 10.230.4.72:21 vf 0 vrf 0
Expect session tuple: 10.230.4.86:0 -> 10.230.4.72:50756(10.220.3.202:50756) vf 0 vrf 0
                     dir 0  act 2  hook 0 state 0 ops 0  skip 0

redirect: TCP 10.230.4.86:0 -> 10.230.4.72:50756 DNAT 10.220.3.202:50756
2021-07-26 21:42:05.095216 [p:508][s:40738626] wad_ftp_exec_state(3980): transitioned from state NORMAL to state NORMAL
2021-07-26 21:42:05.095224 [p:508][s:40738626] __wad_ftp_session_proc_reply(706): forwarded reply to client: ftp cmd=PASV, reply code=227`;

/** The flow trace of the control connection, but for its way to the IPS, and of the data connection. */
const FLOW = `2021-07-26 21:41:53 id=20085 trace_id=138132 func=print_pkt_detail line=5723 msg="vd-root:0 received a packet(proto=6, 10.230.4.86:60919->10.230.4.72:21) from port3. flag [S], seq 1747348908, ack 0, win 64240"
2021-07-26 21:41:53 id=20085 trace_id=138132 func=init_ip_session_common line=5894 msg="allocate a new session-026d9f42"
2021-07-26 21:41:53 id=20085 trace_id=138132 func=fw_pre_route_handler line=184 msg="VIP-10.220.3.202:21, outdev-port3"
2021-07-26 21:41:53 id=20085 trace_id=138132 func=__ip_session_run_tuple line=3503 msg="DNAT 10.230.4.72:21->10.220.3.202:21"
2021-07-26 21:41:53 id=20085 trace_id=138132 func=vf_ip_route_input_common line=2621 msg="find a route: flag=04000000 gw-10.220.3.202 via port2"
2021-07-26 21:41:53 id=20085 trace_id=138132 func=fw_forward_handler line=819 msg="Allowed by Policy-3: AV"
2021-07-26 21:41:53 id=20085 trace_id=138132 func=av_receive line=314 msg="send to application layer"
2021-07-26 21:42:05 id=20085 trace_id=138192 func=print_pkt_detail line=5723 msg="vd-root:0 received a packet(proto=6, 10.230.4.86:60921->10.230.4.72:50756) from port3. flag [S], seq 3571380554, ack 0, win 64240"
2021-07-26 21:42:05 id=20085 trace_id=138192 func=resolve_ip_tuple_fast line=5819 msg="Find an EXP session, id-026d9f42."
2021-07-26 21:42:05 id=20085 trace_id=138192 func=__ip_session_run_tuple line=3503 msg="DNAT 10.230.4.72:50756->10.220.3.202:50756"`;

/** What is the same in every such session: no times, numbers, addresses and interfaces. */
function form(text: string): string[] {
  const lines = text.trimEnd().split('\n');
  return lines.map((line) =>
    line
      .replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?/, (_, fraction?: string) =>
        fraction === undefined ? 'SECOND' : 'STAMP',
      )
      .replace(/\d+\.\d+\.\d+\.\d+/g, 'ADDRESS')
      .replace(/ADDRESS:[1-9]\d*/g, 'ADDRESS:PORT')
      .replace(/offer_port=\d+/, 'offer_port=PORT')
      .replace(/\[p:\d+\]\[s:\d+\]/, '[p:N][s:N]')
      .replace(/0x[0-9a-f]+/g, 'POINTER')
      .replace(/fd=\d+/, 'fd=N')
      .replace(/trace_id=\d+/, 'trace_id=N')
      .replace(/(session|id)-[0-9a-f]{8}/, '$1-SERIAL')
      .replace(/Policy-\d+/, 'Policy-N')
      .replace(/(from|via) [\w-]+/, '$1 PORT')
      .replace(/outdev-[\w-]+/, 'outdev-PORT')
      .replace(/seq \d+, ack \d+, win \d+/, 'seq N, ack N, win N'),
  );
}

interface Following {
  readonly child: ChildProcess;
  text(): string;
}

/** `inspectd diagnose …` as it runs on. */
function follow(context: TestContext, daemon: RunningDaemon, ...words: string[]): Following {
  const child = spawn(process.execPath, [MAIN, ...words, '-c', daemon.configuration], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  context.after(() => ended(child).then(() => undefined));
  return { child, text: () => text };
}

/** Does `again` until it shows. */
async function until(
  shows: () => boolean,
  what: string,
  again: () => Promise<unknown> = async () => {},
): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (shows()) return;
    await again();
    await sleep(50);
  }
  assert.fail(`waited in vain for ${what}`);
}

test('a running daemon prints what FortiOS prints of a control session and its data connection', async (context) => {
  const server = await playedFtp(context);
  server.files.set('a.txt', Buffer.from('nothing bad'));
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: server.port }] });
  const [port = 0] = daemon.ports;
  const wad = follow(context, daemon, 'diagnose', 'wad', 'debug', 'enable', 'category', 'ftp');
  const flow = follow(context, daemon, 'diagnose', 'debug', 'flow');
  const both = follow(context, daemon, 'diagnose', 'debug', 'enable');
  // Who follows sees what comes from then on.
  await until(
    () => [flow, both].every((each) => each.text().includes('allocate a new session')),
    'the flow trace',
    async () => (await FtpTalk.open(context, port)).raw.destroy(),
  );
  const early = flow.text().length;
  const client = await FtpTalk.signedIn(context, port);
  await until(
    () => wad.text().includes('reply code=227'),
    'the WAD debug',
    async () => portOf(await client.say('PASV')),
  );
  const seen = wad.text().length;
  const place = portOf(await client.say('PASV'));
  await until(() => wad.text().length > seen && /reply code=227\n$/.test(wad.text()), 'a second expectation');
  const fromOther = collect(client.dial(place, true, '127.0.0.2').stream);
  assert.equal((await fromOther).how, 'cut');
  const came = collect(client.dial(place).stream);
  await client.say('RETR a.txt');
  assert.match(await client.reply('RETR'), /^226/);
  assert.equal((await came).bytes.toString(), 'nothing bad');
  await collect(client.dial(place).stream);
  await until(() => wad.text().includes('one had come already'), 'the second connection');
  await until(() => flow.text().includes('Find an EXP session'), 'the data connection');

  const fresh = wad.text().slice(seen);
  const refusals = form(fresh).filter((line) => line.includes('wad_exp_tcp_in_refuse'));
  assert.deepEqual(refusals, [
    'STAMP [p:N][s:N] wad_exp_tcp_in_refuse: ADDRESS came in place of ADDRESS',
    'STAMP [p:N][s:N] wad_exp_tcp_in_refuse: ADDRESS came where one had come already',
  ]);
  assert.deepEqual(
    form(fresh).filter((line) => !line.includes('wad_exp_tcp_in_refuse')),
    form(WAD),
  );
  assert.deepEqual(form(flow.text().slice(early)), form(FLOW));
  for (const line of [...form(WAD), ...form(FLOW)]) assert.ok(form(both.text()).includes(line), line);
  // The log has those that were refused.
  await daemon.record({ logdesc: 'Expectation session refused' });
});
