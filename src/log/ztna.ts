/**
 * The records of an access proxy: utm/ztna (2101060510: no policy matched; 2101060511: one that denies), and the traffic of its sessions,
 * accepted (0000000024) and denied (0000000013). Fields and order are those of the vendor's samples (FortiOS 7.0), which are not those of
 * other traffic.
 */
import { type Endpoint, type SessionInfo, serviceName } from '../core/session.js';
import { header, type RecordContext } from './header.js';
import { type Field, field, type LogRecord } from './record.js';
import { trafficHead } from './traffic.js';

/** What the access proxy knows of a session beside its ends. */
export interface AccessRecordFacts {
  readonly gatewayId: number | undefined;
  readonly vip: string;
  readonly accessProxy: string;
  /** The UID in the client's certificate. */
  readonly deviceId: string | undefined;
  /** As policies call them, by address and by MAC. */
  readonly deviceTags: readonly string[];
}

/** `deny`: a policy with that action matched; `no-match`: none did, and rule 0 denies. */
export type AccessDenial = 'no-match' | 'deny';

const DENIALS = {
  'no-match': ['2101060510', 'Connection is blocked due to unable to match a proxy-policy'],
  deny: ['2101060511', 'Connection is blocked because proxy-policy action is deny.'],
} as const;

/** `target`: the real server of a session that lived, the VIP for one that never began. */
export function ztnaRecord(
  denial: AccessDenial,
  session: SessionInfo,
  target: Endpoint,
  access: AccessRecordFacts,
  context: RecordContext,
): LogRecord {
  const [logid, msg] = DENIALS[denial];
  return {
    level: 'warning',
    eventTime: context.eventTime,
    fields: [
      ...header(
        { logid, type: 'utm', subtype: 'ztna', eventtype: 'ztna-policy-match', level: 'warning', vd: session.vdom },
        context,
      ),
      ...field('msg', msg),
      ...field('policyid', session.policy.id),
      ...field('sessionid', session.id),
      ...field('srcip', session.client.address),
      ...field('dstip', target.address),
      ...field('srcport', session.client.port),
      ...field('dstport', target.port),
      ...interfaces(session),
      ...field('proto', 6),
      ...field('action', 'blocked'),
      // The outer one.
      ...field('service', 'HTTPS'),
      ...field('user', session.user.user),
      ...field('gatewayid', access.gatewayId),
      ...field('vip', access.vip),
      ...field('accessproxy', access.accessProxy),
      ...field('clientdeviceid', access.deviceId),
      ...field('clientdevicetags', access.deviceTags.join('/')),
    ],
  };
}

/** Every tag by address and by MAC, in the order of the vendor's sample, whose rule nobody has published. */
export function deviceTags(pairs: readonly (readonly [byAddress: string, byMac: string])[]): string[] {
  const [first, ...rest] = [...pairs].reverse().flat();
  return first === undefined ? [] : [...rest, first];
}

/** `reference`: of the utm record that says why, where there is one. */
export function accessDenied(
  session: SessionInfo,
  target: Endpoint,
  message: string,
  reference: string | undefined,
  context: RecordContext,
): LogRecord {
  return {
    level: 'notice',
    eventTime: context.eventTime,
    fields: [
      ...trafficHead(session, target, { logid: '0000000013', level: 'notice' }, context),
      ...field('action', 'deny'),
      ...policy(session),
      ...field('user', session.user.user),
      ...field('service', service(session, target)),
      ...field('trandisp', 'noop'),
      ...field('duration', 0),
      ...field('sentbyte', 0),
      ...field('rcvdbyte', 0),
      ...field('sentpkt', 0),
      ...field('rcvdpkt', 0),
      ...field('appcat', 'unscanned'),
      ...(reference === undefined ? [] : [...field('utmaction', 'block'), ...field('countztna', 1)]),
      ...field('msg', message),
      ...field('utmref', reference),
    ],
  };
}

export interface AccessTraffic {
  /** Seconds. */
  readonly duration: number;
  /** Bytes from the client and to it, from the server and to it. */
  readonly sent: number;
  readonly received: number;
  readonly serverSent: number;
  readonly serverReceived: number;
  readonly utmAction: 'block' | 'allow' | undefined;
  readonly virusRecords: number;
  readonly filterRecords: number;
  readonly sslRecords: number;
}

/** A session that was let in, at its end. */
export function accessAccepted(session: SessionInfo, traffic: AccessTraffic, context: RecordContext): LogRecord {
  return {
    level: 'notice',
    eventTime: context.eventTime,
    fields: [
      ...header(
        { logid: '0000000024', type: 'traffic', subtype: 'forward', level: 'notice', vd: session.vdom },
        context,
      ),
      ...field('srcip', session.client.address),
      ...field('srcport', session.client.port),
      ...field('srcintf', session.srcIntf.name),
      ...field('srcintfrole', session.srcIntf.role),
      ...field('dstcountry', session.dstCountry),
      ...field('srccountry', session.srcCountry),
      ...field('dstip', session.server.address),
      ...field('dstport', session.server.port),
      ...field('dstintf', session.dstIntf.name),
      ...field('dstintfrole', session.dstIntf.role),
      ...field('sessionid', session.id),
      ...field('srcuuid', session.srcUuid),
      ...field('service', service(session, session.server)),
      ...field('proto', 6),
      ...field('action', 'accept'),
      ...policy(session),
      ...field('duration', traffic.duration),
      ...field('user', session.user.user),
      // The vendor's samples count what was received twice, as here.
      ...field('wanin', traffic.serverSent),
      ...field('rcvdbyte', traffic.serverSent),
      ...field('wanout', traffic.serverReceived),
      ...field('lanin', traffic.sent),
      ...field('sentbyte', traffic.sent),
      ...field('lanout', traffic.received),
      ...field('appcat', 'unscanned'),
      ...field('utmaction', traffic.utmAction),
      ...(traffic.virusRecords > 0 ? field('countav', traffic.virusRecords) : []),
      ...(traffic.filterRecords > 0 ? field('countff', traffic.filterRecords) : []),
      ...(traffic.sslRecords > 0 ? field('countssl', traffic.sslRecords) : []),
    ],
  };
}

function interfaces({ srcIntf, dstIntf }: SessionInfo): Field[] {
  return [
    ...field('srcintf', srcIntf.name),
    ...field('srcintfrole', srcIntf.role),
    ...field('dstintf', dstIntf.name),
    ...field('dstintfrole', dstIntf.role),
  ];
}

function policy({ policy: { id, type, uuid, name } }: SessionInfo): Field[] {
  return [
    ...field('policyid', id),
    ...field('policytype', type),
    ...field('poluuid', uuid),
    ...field('policyname', name),
  ];
}

function service(session: SessionInfo, target: Endpoint): string {
  return serviceName(session) ?? `tcp/${target.port}`;
}
