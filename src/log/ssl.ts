/**
 * utm/ssl records: what was decided about a server's certificate, a handshake that policy did not like, TLS that passed unread. Ids and
 * order are those of FortiOS 7.x (`1700062302`: 17, 00, then the message).
 */
import { type SessionInfo, serviceName } from '../core/session.js';
import { header, type RecordContext } from './header.js';
import { field, type Level, type LogRecord } from './record.js';

/** What there is to say, by name: message number, level, event type, event subtype, action, text. */
const EVENTS = {
  'exempt-address': [
    62_004,
    'notice',
    'ssl-exempt',
    'server-certificate-exempt',
    'exempt',
    'SSL connection is exempted based on address.',
  ],
  'exempt-name': [
    62_006,
    'notice',
    'ssl-exempt',
    'server-certificate-exempt',
    'exempt',
    'SSL connection is exempted based on its name.',
  ],
  blocked: [62_101, 'warning', 'ssl-negotiation', 'unexpected-protocol', 'blocked', 'SSL connection is blocked.'],
  bypassed: [
    62_102,
    'notice',
    'ssl-negotiation',
    'client-certificate',
    'bypass',
    'SSL connection is bypassed, the server asks for a client certificate.',
  ],
  'certificate-wanted': [
    62_101,
    'warning',
    'ssl-negotiation',
    'client-certificate',
    'blocked',
    'SSL connection is blocked, the server asks for a client certificate.',
  ],
  handshake: [62_220, 'information', 'ssl-handshake', 'handshake-info', 'info', 'SSL handshake is complete.'],
  resigned: [
    62_301,
    'notice',
    'ssl-anomaly',
    'certificate-anomaly',
    'resign-as-trusted',
    'Server certificate is re-signed as trusted, certificate-status: ',
  ],
  'resigned-untrusted': [
    62_302,
    'notice',
    'ssl-anomaly',
    'certificate-anomaly',
    'resign-as-untrusted',
    'Server certificate is re-signed as untrusted, certificate-status: ',
  ],
  'certificate-blocked': [
    62_303,
    'warning',
    'ssl-anomaly',
    'certificate-anomaly',
    'blocked',
    'SSL connection is blocked, certificate-status: ',
  ],
  'name-blocked': [
    62_304,
    'warning',
    'ssl-anomaly',
    'sni-mismatch',
    'blocked',
    'SSL connection is blocked, the certificate is not for the name asked for.',
  ],
  'name-passed': [
    62_307,
    'information',
    'ssl-anomaly',
    'sni-mismatch',
    'info',
    'The server certificate is not for the name asked for.',
  ],
  'handshake-failed': [62_308, 'information', 'ssl-anomaly', 'handshake-failure', 'blocked', 'SSL handshake failed: '],
} as const satisfies Record<string, readonly [number, Level, string, string, string, string]>;
export type SslEventName = keyof typeof EVENTS;

export interface SslEvent {
  readonly name: SslEventName;
  /** The name of the ssl-ssh-profile. */
  readonly profile: string;
  /** What the message ends with: the certificate's defects, why a handshake failed. */
  readonly detail?: string;
  /** The name in the certificate, or that was asked for. */
  readonly hostname?: string;
}

export function sslRecord(event: SslEvent, session: SessionInfo, context: RecordContext): LogRecord {
  const [number, level, eventtype, eventsubtype, action, message] = EVENTS[event.name];
  const { tls } = session;
  return {
    level,
    eventTime: context.eventTime,
    fields: [
      ...header({ logid: `17000${number}`, type: 'utm', subtype: 'ssl', eventtype, level, vd: session.vdom }, context),
      ...field('action', action),
      ...field('policyid', session.policy.id),
      ...field('poluuid', session.policy.uuid),
      ...field('policytype', session.policy.type),
      ...field('sessionid', session.id),
      ...field('service', serviceName(session) ?? 'SSL'),
      ...field('profile', event.profile),
      ...field('srcip', session.client.address),
      ...field('srcport', session.client.port),
      ...field('srccountry', session.srcCountry),
      ...field('dstip', session.server.address),
      ...field('dstport', session.server.port),
      ...field('dstcountry', session.dstCountry),
      ...field('srcintf', session.srcIntf.name),
      ...field('srcintfrole', session.srcIntf.role),
      ...field('dstintf', session.dstIntf.name),
      ...field('dstintfrole', session.dstIntf.role),
      ...field('srcuuid', session.srcUuid),
      ...field('dstuuid', session.dstUuid),
      ...field('proto', 6),
      ...field('tlsver', tls?.version?.toLowerCase().replace(' ', '')),
      ...field('sni', tls?.sni),
      ...field('eventsubtype', eventsubtype),
      ...field('msg', `${message}${event.detail ?? ''}`),
      ...field('hostname', event.hostname),
    ],
  };
}
