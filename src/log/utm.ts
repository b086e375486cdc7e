/**
 * Outcome to record: the one place that knows which fields a utm/virus and a utm/file-filter record carry and in which order. The
 * reference lists fields by alphabet; the order is that of the vendor's sample lines (FortiOS 7.0.4), and the two differ: virus writes
 * addresses, ports, countries, then interfaces; file-filter writes all of one side, then all of the other.
 */
import type { FileInfo } from '../core/file.js';
import type { SessionInfo } from '../core/session.js';
import { serviceName } from '../core/session.js';
import type { Fate, Outcome } from '../policy/outcome.js';
import { header, type RecordContext } from './header.js';
import { fileFilterMessage, type Message, virusMessage } from './messages.js';
import { type Field, field, type LogRecord } from './record.js';
import { CRACTION_MALWARE, DEFAULT_THREAT_WEIGHT, type ThreatWeight } from './threat-weight.js';

export interface UtmContext extends RecordContext {
  readonly threatWeight?: ThreatWeight;
  /** What became of an infected file beside being stopped; left out: nobody asked for quarantine. */
  readonly fate?: Fate;
}

/** FortiOS's `quarskip`: why a file was not put into quarantine. */
const QUARSKIP: Readonly<Record<Fate, string>> = {
  'not-asked': 'Quarantine-disabled',
  kept: 'No-skip',
  'too-large': 'No-quarantine-for-oversized-files.',
  'not-kept': 'File-was-not-quarantined.',
};

/** The record of an outcome. */
export function toRecord(outcome: Outcome, session: SessionInfo, context: UtmContext): LogRecord {
  if (outcome.kind === 'file-filter') {
    const message = fileFilterMessage(outcome.action);
    const fields = [...heading('file-filter', message, session, context), ...filterBody(outcome, session, message)];
    return { level: message.level, eventTime: context.eventTime, fields };
  }
  const message = virusMessage(outcome, isMail(outcome.root));
  const weight = context.threatWeight ?? DEFAULT_THREAT_WEIGHT;
  const fields = [
    ...heading('virus', message, session, context),
    ...virusBody(outcome, session, message, context.fate),
    ...threat(outcome.kind, weight),
  ];
  return { level: message.level, eventTime: context.eventTime, fields };
}

type VirusOutcome = Exclude<Outcome, { kind: 'file-filter' }>;
type FilterOutcome = Extract<Outcome, { kind: 'file-filter' }>;

function heading(
  subtype: 'virus' | 'file-filter',
  message: Message,
  session: SessionInfo,
  context: RecordContext,
): Field[] {
  const { logid, eventtype, level } = message;
  return [
    ...header({ logid, type: 'utm', subtype, eventtype, level, vd: session.vdom }, context),
    ...field('policyid', session.policy.id),
    ...field('poluuid', session.policy.uuid),
    ...field('policytype', session.policy.type),
  ];
}

/** The record's service field has five characters: the reason why SMTP over TLS is SMTPS, also after STARTTLS on port 25. */
const VIRUS_SERVICE_LENGTH = 5;

function virusBody(outcome: VirusOutcome, session: SessionInfo, message: Message, fate: Fate | undefined): Field[] {
  const { user } = session;
  return [
    ...field('msg', message.msg),
    ...field('action', outcome.action),
    ...field('service', serviceName(session), VIRUS_SERVICE_LENGTH),
    ...field('sessionid', session.id),
    ...field('srcip', session.client.address),
    ...field('dstip', session.server.address),
    ...field('srcport', session.client.port),
    ...field('dstport', session.server.port),
    ...field('srccountry', session.srcCountry),
    ...field('dstcountry', session.dstCountry),
    ...field('srcintf', session.srcIntf.name),
    ...field('srcintfrole', session.srcIntf.role),
    ...field('dstintf', session.dstIntf.name),
    ...field('dstintfrole', session.dstIntf.role),
    ...field('srcuuid', session.srcUuid),
    ...field('dstuuid', session.dstUuid),
    ...field('proto', TCP),
    ...field('direction', direction(outcome.root)),
    ...endpointUser(session),
    ...field('srcdomain', user.srcdomain),
    ...field('filename', leafName(outcome.file)),
    ...found(outcome, fate),
    ...field('profile', outcome.profile),
    ...field('user', user.user),
    ...field('group', user.group),
    ...mail(outcome),
    ...analytics(outcome),
  ];
}

function filterBody(outcome: FilterOutcome, session: SessionInfo, message: Message): Field[] {
  const { user } = session;
  return [
    ...field('sessionid', session.id),
    ...field('srcip', session.client.address),
    ...field('srcport', session.client.port),
    ...field('srccountry', session.srcCountry),
    ...field('srcintf', session.srcIntf.name),
    ...field('srcintfrole', session.srcIntf.role),
    ...field('srcuuid', session.srcUuid),
    ...field('dstip', session.server.address),
    ...field('dstport', session.server.port),
    ...field('dstcountry', session.dstCountry),
    ...field('dstintf', session.dstIntf.name),
    ...field('dstintfrole', session.dstIntf.role),
    ...field('dstuuid', session.dstUuid),
    ...field('proto', TCP),
    // The same protocol is SMB in virus records.
    ...field('service', session.service === 'SMB' ? 'CIFS' : serviceName(session)),
    ...field('profile', outcome.profile),
    ...field('direction', direction(outcome.root)),
    ...field('action', outcome.action === 'monitored' ? 'passthrough' : outcome.action),
    ...field('filtername', outcome.rule),
    ...share(outcome.file, session),
    ...field('filename', leafName(outcome.file)),
    ...field('filesize', outcome.file.size),
    ...field('filetype', outcome.fileType),
    ...field('matchfilename', outcome.match?.name),
    ...field('matchfiletype', outcome.match?.fileType),
    ...mail(outcome),
    ...field('msg', message.msg),
    ...endpointUser(session),
    ...field('srcdomain', user.srcdomain),
    ...field('user', user.user),
    ...field('group', user.group),
  ];
}

const TCP = 6;

function direction(root: FileInfo): string {
  return root.meta.direction === 'upload' ? 'outgoing' : 'incoming';
}

function endpointUser({ user }: SessionInfo): Field[] {
  return [
    ...field('fctuid', user.fctuid),
    ...field('unauthuser', user.unauthuser),
    ...field('unauthusersource', user.unauthusersource),
  ];
}

/** The last component of the name: only the file-filter record of SMB says where in the share the file lies. */
function leafName({ meta, parent }: FileInfo): string | undefined {
  // A mail client may name an attachment with any characters; only a protocol's own path has components.
  if (meta.name === undefined || parent !== undefined) return meta.name;
  return meta.name.slice(lastSeparator(meta.name) + 1);
}

function share({ meta }: FileInfo, session: SessionInfo): Field[] {
  if (session.service !== 'SMB') return [];
  const directory = (meta.name ?? '').slice(0, Math.max(0, lastSeparator(meta.name ?? '')));
  return [...field('sharename', meta.path), ...field('pathname', directory.replace(/^[\\/]+/, ''))];
}

function lastSeparator(path: string): number {
  return Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/'));
}

/** What was found, and what became of it. */
function found(outcome: VirusOutcome, fate: Fate = 'not-asked'): Field[] {
  switch (outcome.kind) {
    case 'infected':
      return [
        ...field('quarskip', QUARSKIP[fate]),
        ...field('virus', outcome.virus),
        ...field('viruscat', 'Virus'),
        ...field('dtype', outcome.dtype),
        ...field('ref', `http://www.fortinet.com/ve?vn=${outcome.virus}`),
        ...field('virusid', outcome.virusId),
      ];
    case 'scanerror':
      return field('quarskip', 'No-quarantine-for-av-error');
    case 'filetype-executable':
    case 'filename':
    case 'mimefragmented':
      return field('quarskip', QUARSKIP['not-asked']);
    case 'oversize':
      return [];
  }
}

/** Came it by mail? The decoder says so of what it opened; a message file on a share is a file. */
function isMail(root: FileInfo): boolean {
  return root.meta.mail !== undefined || root.meta.declaredType === 'message/rfc822';
}

/**
 * `from` and `to` are the message's headers, `sender` the SMTP envelope's. `recipient` is the envelope's, or for POP3 and IMAP the
 * mailbox login as it was sent, a quoted string with its quotes. The reference gives the oversize records no cc, subject, attachment.
 */
function mail(outcome: Outcome): Field[] {
  const { file, root } = outcome;
  if (!isMail(root)) return [];
  const { headers } = root;
  const envelope = root.meta.mail;
  const addresses = [
    ...field('from', headers?.from),
    ...field('to', headers?.to),
    ...field('sender', envelope?.sender),
    ...field('recipient', envelope?.login ?? envelope?.recipients?.join(',')),
  ];
  if (outcome.kind === 'oversize') return addresses;
  return [
    ...addresses,
    ...field('cc', headers?.cc),
    ...field('subject', headers?.subject),
    ...field('attachment', file.attachment === true ? 'yes' : 'no'),
  ];
}

function analytics({ kind, file }: VirusOutcome): Field[] {
  if (kind === 'oversize' || kind === 'filename' || kind === 'mimefragmented') return [];
  return [...field('analyticscksum', file.sha256), ...field('analyticssubmit', 'false')];
}

function threat(kind: VirusOutcome['kind'], weight: ThreatWeight): Field[] {
  const level = weight.level[kind];
  if (level === 'disable') return [];
  return [...field('crscore', weight.score[level]), ...field('craction', CRACTION_MALWARE), ...field('crlevel', level)];
}
