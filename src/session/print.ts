/** Sessions as FortiOS prints them: `diagnose sys session list`, its expectations, `get system session list`. */
import { type Endpoint, endpointText } from '../core/session.js';
import type { SessionRow } from './session-table.js';

/** A connection that is awaited, and for how long yet (seconds). */
export interface ExpectationRow {
  readonly session: number;
  /** Who may come, from any port. */
  readonly from: string;
  /** Where it is awaited, and where it is led. */
  readonly at: Endpoint;
  readonly target: Endpoint;
  readonly age: number;
  readonly expire: number;
  readonly policyId: number;
}

/** `now`: of the clock that the table has. */
export function printSessions(rows: readonly SessionRow[], now: number): string {
  return `${rows.map((row) => printSession(row, now)).join('')}total session ${rows.length}\n`;
}

function printSession(row: SessionRow, now: number): string {
  const { client, dialled, server, timeout } = row;
  const duration = seconds(now - row.started);
  const expire = Math.max(0, timeout - seconds(now - row.active));
  const blocked = row.states.has('block');
  // The words stand in FortiOS's order, whatever came first.
  const words = ['log', 'local', 'redir', 'dirty', 'block', 'may_dirty', 'authed', 'acct-ext'] as const;
  const states = words.filter((word) => row.states.has(word));
  const translated = endpointText(dialled) !== endpointText(server);
  return block([
    `session info: proto=6 proto_state=11 duration=${duration} expire=${expire} timeout=${timeout} refresh_dir=both flags=00000000 socktype=4 sockport=0 av_idx=0 use=3`,
    ...SHAPERS,
    `class_id=0 ha_id=0 policy_dir=0 tunnel=/ ${row.parent === undefined ? '' : 'helper=ftp '}vlan_cos=0/255`,
    `state=${states.join(' ')}`,
    `statistic(bytes/packets/allow_err): org=${row.sent}/${packets(row.sent)}/1 reply=${row.received}/${packets(row.received)}/1 tuples=2`,
    `tx speed(Bps/kbps): ${rate(row.sent, duration)} rx speed(Bps/kbps): ${rate(row.received, duration)}`,
    'orgin->sink: org pre->post, reply pre->post dev=0->0/0->0 gwy=0.0.0.0/0.0.0.0',
    `hook=${translated ? 'pre' : 'post'} dir=org act=${translated ? 'dnat' : 'noop'} ${endpointText(client)}->${endpointText(dialled)}(${translated ? endpointText(server) : '0.0.0.0:0'})`,
    `hook=${translated ? 'post' : 'pre'} dir=reply act=${translated ? 'snat' : 'noop'} ${endpointText(server)}->${endpointText(client)}${translated ? `(${endpointText(dialled)})` : ''}`,
    `misc=0 policy_id=${blocked ? 0 : row.policyId} pol_uuid_idx=0 auth_info=0 chk_client_info=0 vd=0`,
    `serial=${hex(row.id)} tos=ff/ff app_list=0 app=0 url_cat=0`,
    ...NO_OFFLOAD(blocked),
  ]);
}

/** `diagnose sys session list expectation`. */
export function printExpectations(rows: readonly ExpectationRow[]): string {
  const blocks = rows.map(({ session, from, at, target, age, expire, policyId }) =>
    block([
      `session info: proto=6 proto_state=00 duration=${age} expire=${expire} timeout=3600 refresh_dir=both flags=00000000 socktype=0 sockport=0 av_idx=0 use=3`,
      ...SHAPERS,
      'class_id=0 ha_id=0 policy_dir=0 tunnel=/ helper=ftp vlan_cos=0/255',
      'state=new complex',
      'statistic(bytes/packets/allow_err): org=0/0/0 reply=0/0/0 tuples=2',
      'tx speed(Bps/kbps): 0/0 rx speed(Bps/kbps): 0/0',
      'orgin->sink: org pre->post, reply pre->post dev=0->0/0->0 gwy=0.0.0.0/0.0.0.0',
      `hook=pre dir=org act=dnat ${endpointText({ address: from, port: 0 })}->${endpointText(at)}(${endpointText(target)})`,
      `hook=pre dir=org act=noop 0.0.0.0:0->0.0.0.0:0(0.0.0.0:0)`,
      `misc=0 policy_id=${policyId} pol_uuid_idx=0 auth_info=0 chk_client_info=0 vd=0`,
      `serial=${hex(session)} tos=ff/ff app_list=0 app=0 url_cat=0`,
      ...NO_OFFLOAD(false),
    ]),
  );
  return `${blocks.join('')}total session ${rows.length}\n`;
}

/** `get system session list`: a line each. */
export function printSessionLines(rows: readonly SessionRow[], now: number): string {
  const lines = rows.map(({ client, dialled, server, timeout, active }) => {
    const expire = Math.max(0, timeout - seconds(now - active));
    const translated = endpointText(dialled) === endpointText(server) ? '-' : endpointText(server);
    return `tcp ${expire} ${endpointText(client)} - ${endpointText(dialled)} ${translated}`;
  });
  return ['PROTO   EXPIRE SOURCE           SOURCE-NAT       DESTINATION      DESTINATION-NAT', ...lines, ''].join('\n');
}

const SHAPERS = ['origin-shaper=', 'reply-shaper=', 'per_ip_shaper='];
const NO_OFFLOAD = (blocked: boolean): string[] => [
  'rpdb_link_id=80000000 ngfwid=n/a',
  'npu_state=0x000100',
  `no_ofld_reason: ${blocked ? 'block-by-policy ' : 'redir-to-av '}npu-flag-off`,
];

function block(lines: readonly string[]): string {
  return `${lines.join('\n')}\n\n`;
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}

/** A proxy sees streams; packets are counted as full segments of Ethernet. */
function packets(bytes: number): number {
  return Math.ceil(bytes / 1460);
}

function rate(bytes: number, duration: number): string {
  const perSecond = duration > 0 ? Math.round(bytes / duration) : 0;
  return `${perSecond}/${Math.round((perSecond * 8) / 1000)}`;
}

/** A serial is the log's sessionid in hex. */
function hex(id: number): string {
  return id.toString(16).padStart(8, '0');
}
