/**
 * The traffic/forward records of a session: at its end, and where the policy wants it at its start. In the order of the vendor's samples
 * for a session that was denied (0000000013, FortiOS 7.0). The references call the message at the end 13, at the start 15.
 */
import type { Endpoint, SessionInfo } from '../core/session.js';
import { serviceName } from '../core/session.js';
import { header, type RecordContext } from './header.js';
import { type Field, field, type Level, type LogRecord } from './record.js';

/** FortiOS's words for how a session ended. */
export const TRAFFIC_ACTIONS = [
  'accept',
  'close',
  'client-rst',
  'server-rst',
  'timeout',
  'deny',
  'ip-conn',
  'start',
] as const;
export type TrafficAction = (typeof TRAFFIC_ACTIONS)[number];

export interface Traffic {
  readonly session: SessionInfo;
  readonly action: TrafficAction;
  /** The address that the client dialled, where a VIP led it on. */
  readonly dialled: Endpoint;
  /** Seconds. */
  readonly duration: number;
  /** Bytes from the client and to it. */
  readonly sent: number;
  readonly received: number;
  /** Bytes from the server and to it. */
  readonly serverSent: number;
  readonly serverReceived: number;
  /** The worst that inspection did to it. */
  readonly utmAction: 'block' | 'allow' | undefined;
  /** utm records that it caused, by kind. */
  readonly virusRecords: number;
  readonly filterRecords: number;
  readonly sslRecords: number;
  /** In words, where the action does not say it all. */
  readonly message?: string;
}

export function trafficRecord(traffic: Traffic, context: RecordContext): LogRecord {
  const { session, dialled } = traffic;
  const level = traffic.action === 'deny' ? 'warning' : 'notice';
  const logid = traffic.action === 'start' ? '0000000015' : '0000000013';
  const translated = dialled.address !== session.server.address || dialled.port !== session.server.port;
  return {
    level,
    eventTime: context.eventTime,
    fields: [
      ...trafficHead(session, dialled, { logid, level }, context),
      ...field('action', traffic.action),
      ...field('policyid', session.policy.id),
      ...field('policytype', session.policy.type),
      ...field('poluuid', session.policy.uuid),
      ...field('policyname', session.policy.name),
      ...field('user', session.user.user),
      ...field('service', serviceName(session) ?? `tcp/${dialled.port}`),
      ...field('trandisp', translated ? 'dnat' : 'noop'),
      ...(translated ? [...field('tranip', session.server.address), ...field('tranport', session.server.port)] : []),
      ...field('duration', traffic.duration),
      ...field('wanin', traffic.serverSent),
      ...field('rcvdbyte', traffic.received),
      ...field('wanout', traffic.serverReceived),
      ...field('lanin', traffic.sent),
      ...field('sentbyte', traffic.sent),
      ...field('lanout', traffic.received),
      ...field('appcat', 'unscanned'),
      ...field('utmaction', traffic.utmAction),
      ...counted('countav', traffic.virusRecords),
      ...counted('countff', traffic.filterRecords),
      ...counted('countssl', traffic.sslRecords),
      ...field('msg', traffic.message),
    ],
  };
}

/** What every forward record begins with, up to the protocol; `dialled`: where the client meant to go. */
export function trafficHead(
  session: SessionInfo,
  dialled: Endpoint,
  { logid, level }: { readonly logid: string; readonly level: Level },
  context: RecordContext,
): Field[] {
  return [
    ...header({ logid, type: 'traffic', subtype: 'forward', level, vd: session.vdom }, context),
    ...field('srcip', session.client.address),
    ...field('srcport', session.client.port),
    ...field('srcintf', session.srcIntf.name),
    ...field('srcintfrole', session.srcIntf.role),
    ...field('dstip', dialled.address),
    ...field('dstport', dialled.port),
    ...field('dstintf', session.dstIntf.name),
    ...field('dstintfrole', session.dstIntf.role),
    ...field('srcuuid', session.srcUuid),
    ...field('dstuuid', session.dstUuid),
    ...field('srccountry', session.srcCountry),
    ...field('dstcountry', session.dstCountry),
    ...field('sessionid', session.id),
    ...field('proto', 6),
  ];
}

function counted(name: 'countav' | 'countff' | 'countssl', count: number): Field[] {
  return count > 0 ? field(name, count) : [];
}
