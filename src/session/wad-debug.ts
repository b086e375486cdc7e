/**
 * What `diagnose wad debug enable category ftp` and `diagnose debug flow` print of expectation sessions, in the shape of FortiOS's WAD lines.
 * The numbers in brackets behind a function's name are FortiOS's source lines; ours have none, and keep its numbers so that scripts that
 * look for them find them. A proxy sees no packets: their numbers are 0, as are addresses in memory.
 */
import { type Endpoint, endpointText } from '../core/session.js';
import type { SessionEntry } from './session-table.js';

/** An interface that is not known. */
export const NO_INTF = 'unknown-0';
const NOWHERE = '0x0';

/** A hole and its control session. */
export interface WadPinhole {
  readonly session: number;
  readonly client: Endpoint;
  readonly dialled: Endpoint;
  readonly from: string;
  readonly at: Endpoint;
  readonly target: Endpoint;
  readonly passive: boolean;
}

/** `stamp`: `2021-07-26 21:42:05.094380`. */
export function wadOpened(hole: WadPinhole, stamp: string, process: number): string {
  const { session, client, dialled, from, at, target, passive } = hole;
  const line = (text: string): string => `${stamp} [p:${process}][s:${session}] ${text}`;
  const command = passive ? 'PASV' : 'PORT';
  const expected = `${endpointText({ address: from, port: 0 })} -> ${endpointText(at)}`;
  return `${[
    `removed command ${command} from cmd queue.`,
    line('wad_ftp_exec_state(3954): received event REPLY in state NORMAL'),
    line(
      `wad_ftp_${passive ? 'pasv_reply' : 'port_cmd'}_handler(1180): offer_ip=${target.address} offer_port=${target.port}`,
    ),
    line(`wad_ftp_tp_ses_exp_free(168): fts=${NOWHERE}, exp=(nil)`),
    line(`wad_exp_tcp_in_find(190): proto=6 vd=0 ->${endpointText(target)} exp_tcp_in=(nil)`),
    line(`wad_exp_tcp_in_open(228): bound to proto=6 dest=${endpointText(at)} vd=0 fd=0 local=0 tin(${NOWHERE})`),
    `Control session tuple: ${endpointText(client)} -> ${endpointText(dialled)} vf 0 vrf 0`,
    `Expect session tuple: ${expected}(${endpointText(target)}) vf 0 vrf 0`,
    '                     dir 0  act 2  hook 0 state 0 ops 0  skip 0',
    '',
    `redirect: TCP ${expected} DNAT ${endpointText(target)}`,
    line('wad_ftp_exec_state(3980): transitioned from state NORMAL to state NORMAL'),
    line(
      `__wad_ftp_session_proc_reply(706): forwarded reply to client: ftp cmd=${command}, reply code=${passive ? 227 : 200}`,
    ),
  ].join('\n')}\n`;
}

export function wadRefused(session: number, what: string, stamp: string, process: number): string {
  return `${stamp} [p:${process}][s:${session}] wad_exp_tcp_in_refuse: ${what}\n`;
}

/** The flow trace of a data connection that found its hole. `trace`: a running number. */
export function flowTrace(hole: WadPinhole, by: Endpoint, stamp: string, trace: number, intf: string): string {
  const { session, at, target } = hole;
  return traced(stamp, trace, [
    received(by, at, intf),
    ['resolve_ip_tuple_fast', 5819, `Find an EXP session, id-${serial(session)}.`],
    ['__ip_session_run_tuple', 3503, `DNAT ${endpointText(at)}->${endpointText(target)}`],
  ]);
}

/** The flow trace of a session that was let in. */
export function sessionTrace(session: SessionEntry, stamp: string, trace: number): string {
  const { id, client, dialled, server, policyId, intf: [from, to] = [NO_INTF, NO_INTF] } = session;
  const translated = endpointText(dialled) !== endpointText(server);
  return traced(stamp, trace, [
    received(client, dialled, from),
    ['init_ip_session_common', 5894, `allocate a new session-${serial(id)}`],
    ...(translated
      ? ([
          ['fw_pre_route_handler', 184, `VIP-${endpointText(server)}, outdev-${from}`],
          ['__ip_session_run_tuple', 3503, `DNAT ${endpointText(dialled)}->${endpointText(server)}`],
        ] as const)
      : []),
    ['vf_ip_route_input_common', 2621, `find a route: flag=04000000 gw-${server.address} via ${to}`],
    ['fw_forward_handler', 819, `Allowed by Policy-${policyId}: AV`],
    ['av_receive', 314, 'send to application layer'],
  ]);
}

type Traced = readonly [func: string, line: number, msg: string];

function received(from: Endpoint, to: Endpoint, intf: string): Traced {
  const packet = `proto=6, ${endpointText(from)}->${endpointText(to)}`;
  return [
    'print_pkt_detail',
    5723,
    `vd-root:0 received a packet(${packet}) from ${intf}. flag [S], seq 0, ack 0, win 0`,
  ];
}

function traced(stamp: string, trace: number, lines: readonly Traced[]): string {
  return lines
    .map(([func, line, msg]) => `${stamp} id=20085 trace_id=${trace} func=${func} line=${line} msg="${msg}"\n`)
    .join('');
}

/** Its number as FortiOS prints serials. */
function serial(session: number): string {
  return session.toString(16).padStart(8, '0');
}
