/**
 * What `diagnose wad debug enable category ftp` and `diagnose debug flow` print of expectation sessions, in the shape of FortiOS's WAD lines.
 * The numbers in brackets behind a function's name are FortiOS's source lines; ours have none, and keep its numbers so that scripts that
 * look for them find them.
 */
import { type Endpoint, endpointText } from '../core/session.js';

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
    line(`wad_exp_tcp_in_find(190): proto=6 vd=0 ->${endpointText(target)} exp_tcp_in=(nil)`),
    line(`wad_exp_tcp_in_open(228): bound to proto=6 dest=${endpointText(at)} vd=0 local=0`),
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
  const line = (func: string, number: number, msg: string): string =>
    `${stamp} id=20085 trace_id=${trace} func=${func} line=${number} msg="${msg}"`;
  return `${[
    line(
      'print_pkt_detail',
      5723,
      `vd-root:0 received a packet(proto=6, ${endpointText(by)}->${endpointText(at)}) from ${intf}. flag [S]`,
    ),
    line('resolve_ip_tuple_fast', 5819, `Find an EXP session, id-${session.toString(16).padStart(8, '0')}.`),
    line('__ip_session_run_tuple', 3503, `DNAT ${endpointText(at)}->${endpointText(target)}`),
  ].join('\n')}\n`;
}
