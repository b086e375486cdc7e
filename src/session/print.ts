/** Sessions as FortiOS prints them: `diagnose sys session list`, its expectations, `get system session list`. */
import { type Endpoint, endpointText } from '../core/session.js';
import { type SessionRow, STATE_WORDS } from './session-table.js';

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
  if (row.kind === 'access-proxy') return printAccess(row, now);
  const { client, dialled, server, timeout } = row;
  const duration = seconds(now - row.started);
  const blocked = row.states.has('block');
  const forwarded = row.kind === 'forwarded';
  const translated = endpointText(dialled) !== endpointText(server);
  return block([
    `session info: proto=6 proto_state=${forwarded ? '01' : '11'} duration=${duration} expire=${expireOf(row, now)} timeout=${timeout} refresh_dir=both flags=00000000 socktype=${forwarded ? 0 : 4} sockport=0 av_idx=0 use=3`,
    ...SHAPERS,
    `class_id=0 ha_id=0 policy_dir=0 tunnel=/ ${row.parent === undefined ? '' : 'helper=ftp '}vlan_cos=0/255`,
    ...counted(row, duration),
    'orgin->sink: org pre->post, reply pre->post dev=0->0/0->0 gwy=0.0.0.0/0.0.0.0',
    `hook=${translated ? 'pre' : 'post'} dir=org act=${translated ? 'dnat' : 'noop'} ${endpointText(client)}->${endpointText(dialled)}(${translated ? endpointText(server) : '0.0.0.0:0'})`,
    `hook=${translated ? 'post' : 'pre'} dir=reply act=${translated ? 'snat' : 'noop'} ${endpointText(server)}->${endpointText(client)}${translated ? `(${endpointText(dialled)})` : ''}`,
    `misc=0 policy_id=${blocked ? 0 : row.policyId} pol_uuid_idx=${blocked ? IMPLICIT_INDEX : 0} auth_info=0 chk_client_info=0 vd=0`,
    `serial=${hex(row.id)} tos=ff/ff app_list=0 app=0 url_cat=0`,
    ...noOffload(blocked ? 'block-by-policy ' : forwarded ? '' : 'redir-to-av '),
  ]);
}

/** The client's side of a session of an access proxy, which ends at the VIP. */
function printAccess(row: SessionRow, now: number): string {
  const { client, dialled, timeout } = row;
  const duration = seconds(now - row.started);
  return block([
    `session info: proto=6 proto_state=01 duration=${duration} expire=${expireOf(row, now)} timeout=${timeout} flags=00000000 socktype=0 sockport=1012 av_idx=0 use=3`,
    ...SHAPERS,
    'class_id=0 ha_id=0 policy_dir=0 tunnel=/ vlan_cos=0/0',
    ...counted(row, duration),
    `orgin->sink: org pre->in, reply out->post dev=0->0/0->0 gwy=${dialled.address}/0.0.0.0`,
    `hook=pre dir=org act=noop ${endpointText(client)}->${endpointText(dialled)}(0.0.0.0:0)`,
    `hook=post dir=reply act=noop ${endpointText(dialled)}->${endpointText(client)}(0.0.0.0:0)`,
    'pos/(before,after) 0/(0,0), 0/(0,0)',
    `misc=7 policy_id=${row.policyId} pol_uuid_idx=0 auth_info=0 chk_client_info=0 vd=0`,
    `serial=${hex(row.id)} tos=00/00 app_list=0 app=0 url_cat=0`,
    'sdwan_mbr_seq=0 sdwan_service_id=0',
    'rpdb_link_id=00000000 rpdb_svc_id=0 ngfwid=n/a',
    'npu_state=00000000',
  ]);
}

/** FortiOS's number for rule 0 in the vendor's listing. */
const IMPLICIT_INDEX = 65;

function expireOf({ timeout, active, expires }: SessionRow, now: number): number {
  return Math.max(0, expires === undefined ? timeout - seconds(now - active) : seconds(expires - now));
}

/** Its words stand in FortiOS's order, whatever came first. */
function counted({ states, sent, received }: SessionRow, duration: number): string[] {
  return [
    `state=${STATE_WORDS.filter((word) => states.has(word)).join(' ')}`,
    `statistic(bytes/packets/allow_err): org=${sent}/${packets(sent)}/1 reply=${received}/${packets(received)}/1 tuples=2`,
    `tx speed(Bps/kbps): ${rate(sent, duration)} rx speed(Bps/kbps): ${rate(received, duration)}`,
  ];
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
      ...noOffload('redir-to-av '),
    ]),
  );
  return `${blocks.join('')}total session ${rows.length}\n`;
}

/** `get system session list`: a line each. */
export function printSessionLines(rows: readonly SessionRow[], now: number): string {
  const lines = rows.map((row) => {
    const { client, dialled, server, kind } = row;
    const expire = expireOf(row, now);
    const translated =
      kind === 'access-proxy' || endpointText(dialled) === endpointText(server) ? '-' : endpointText(server);
    return `tcp ${expire} ${endpointText(client)} - ${endpointText(dialled)} ${translated}`;
  });
  return ['PROTO   EXPIRE SOURCE           SOURCE-NAT       DESTINATION      DESTINATION-NAT', ...lines, ''].join('\n');
}

const SHAPERS = ['origin-shaper=', 'reply-shaper=', 'per_ip_shaper='];
const noOffload = (why: string): string[] => [
  'rpdb_link_id=80000000 ngfwid=n/a',
  'npu_state=0x000100',
  `no_ofld_reason: ${why}npu-flag-off`,
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
