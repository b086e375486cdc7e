/**
 * Findings to verdict. Pure: the same tree and profiles give the same decision, and nothing else is asked.
 *
 * The file filter comes first: what it blocks has its file-filter record alone; what it logs goes on to the antivirus profile. An
 * archive is one object: the first virus in member order names it. What FortiOS has an option for, the profile decides; what it has
 * none for (a hole, a time-out, an engine that failed, mail that two readers read differently) is blocked wherever viruses are.
 *
 * What a block does depends on the protocol. SMTP: the message is refused (FortiOS logs `blocked`), the sender learns of it and no half message
 * is delivered; where `set options` leaves `splice` out, the part is replaced. POP3 and IMAP, APPEND included: the part is replaced and the rest delivered
 * (`attachment-removed`). Everything else: the transfer fails (`blocked`).
 */
import type { Edit, FileId, FileInfo, Finding, Inspected, Verdict } from '../core/file.js';
import { ARCHIVE_REASONS, type ArchiveReason } from '../core/file.js';
import type { SessionInfo } from '../core/session.js';
import { serviceName } from '../core/session.js';
import { candidateNames, fileTypes, matchFileFilter, type TypesOfName } from './file-filter.js';
import { evidenceOf, fileVerdicts } from './file-verdict.js';
import { inspectionLimits } from './inspection-limits.js';
import { headersOf, isMessage, objectsOf, type PolicyObject } from './objects.js';
import type { Action, Decision, Outcome, Policy } from './outcome.js';
import { underLimits } from './profile-limits.js';
import { type AntivirusProfile, BUILT_IN_PROFILES, type ProtocolKey, type SessionProfiles } from './profiles.js';
import { isMail, protocolKey } from './protocol-key.js';
import { type MessageType, renderMessage, replyLine } from './replacement-messages.js';
import { replacementPart } from './replacement-part.js';

/** Omit over each member of a union. */
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** What is decided of one object before it is said what a block means there. */
interface Charge {
  readonly says: Without<Outcome, 'file' | 'root' | 'action'>;
  readonly blocks: boolean;
  /** Goes into the log. What blocks always does. */
  readonly logged: boolean;
}

/** `profiles` absent: without a configuration. `typesOfName` is the file-type table's reading of names. */
export function createPolicy(
  profiles: SessionProfiles = BUILT_IN_PROFILES,
  typesOfName: TypesOfName = () => [],
): Policy {
  return {
    decide: (root, session, quarantined) => decide(profiles, typesOfName, root, session, quarantined ?? (() => false)),
  };
}

function decide(
  profiles: SessionProfiles,
  typesOfName: TypesOfName,
  inspected: Inspected,
  session: SessionInfo,
  quarantined: (file: FileId) => boolean,
): Decision {
  const key = protocolKey(session);
  const root = scans(profiles, key)
    ? underLimits(inspected, inspectionLimits(profiles.protocolOptions, key))
    : inspected;
  const effect = effectOfBlock(profiles, key, root);
  const outcomes: Outcome[] = [];
  /** What the records so far are about, and what of it is said of several readings of one message. */
  const recorded = new Set<string>();
  const recordedReadings = new Set<string>();
  const removed: Removed[] = [];
  const blocked = new Map<FileId, string>();
  for (const object of objectsOf(root)) {
    const charges = chargesOf(profiles, typesOfName, key, object, blocked);
    for (const { says, blocks, logged } of charges) {
      const outcome: Outcome = {
        ...says,
        file: object.node.info,
        root: root.info,
        action: actionOf(says.kind, blocks, effect, object),
      };
      if (blocks) removed.push({ object, outcome });
      // A hole of the message is a hole of the part it lies in: one record says it.
      const cause = outcome.kind === 'scanerror' ? outcome.reason : outcome.kind;
      if (!logged || (object.kind === 'message' && recorded.has(cause))) continue;
      if (isRepeated(outcome, object, recordedReadings)) continue;
      recorded.add(cause);
      outcomes.push(outcome);
    }
  }
  return {
    verdict: verdictFor(profiles, root, session, key, effect, removed, outcomes.length > 0, quarantined),
    outcomes,
    verdicts: fileVerdicts(root, blocked),
  };
}

/** Is it what was said of the same message before, found in another reading of it? */
function isRepeated(outcome: Outcome, { node }: PolicyObject, said: Set<string>): boolean {
  let what: string = outcome.kind;
  if (outcome.kind === 'infected') what += ` ${outcome.virus}`;
  else if (outcome.kind === 'file-filter') what += ` ${outcome.rule}`;
  else if (outcome.kind === 'scanerror') what += ` ${outcome.reason}`;
  const again = node.info.reading !== undefined && said.has(what);
  said.add(what);
  return again;
}

/** Does the antivirus profile look at this protocol at all? A file that no protocol carried is judged like one that HTTP did. */
function scans(profiles: SessionProfiles, key: ProtocolKey | undefined): boolean {
  const options = profiles.antivirus?.protocols[key ?? 'http'];
  return (
    options !== undefined && options.avScan !== 'disable' && profiles.protocolOptions.protocols[key ?? 'http'].status
  );
}

/** `refuse` the whole, or `strip` the object out of it. */
type Effect = 'refuse' | 'strip';

function effectOfBlock({ protocolOptions }: SessionProfiles, key: ProtocolKey | undefined, root: Inspected): Effect {
  if (key === 'smtp') {
    // What is too large to be looked at is too large to be mended.
    const mends = protocolOptions.protocols.smtp.mends === true && !isOversize(root);
    return mends || root.info.meta.refusable === false ? 'strip' : 'refuse';
  }
  // A transfer encoding around the root: what stood in its place would be decoded by the receiver.
  return isMail(key) && root.info.meta.encoding === undefined ? 'strip' : 'refuse';
}

function isOversize(node: Inspected): boolean {
  return (
    evidenceOf(node).some((finding) => finding.kind === 'unscannable' && finding.reason === 'oversize') ||
    node.children.some(isOversize)
  );
}

/** The worst charge against one object, and another that blocks where the worst does not. */
function chargesOf(
  profiles: SessionProfiles,
  typesOfName: TypesOfName,
  key: ProtocolKey | undefined,
  object: PolicyObject,
  blocked: Map<FileId, string>,
): Charge[] {
  const charges: Charge[] = [];
  const { fileFilter } = profiles;
  // A message is its parts to the filter; FortiOS's own type `mime` is a matter of files.
  const match =
    fileFilter === undefined || object.kind === 'message'
      ? undefined
      : matchFileFilter(fileFilter, key, object.node, typesOfName);
  if (fileFilter !== undefined && match !== undefined) {
    const blocks = match.rule.action === 'block';
    const { info } = object.node;
    charges.push({
      says: {
        kind: 'file-filter',
        profile: fileFilter.name,
        rule: match.rule.name,
        // A member's type is its own; the object keeps what it is.
        fileType: match.file === info ? match.fileType : (info.types[0] ?? 'unknown'),
        ...(match.file === info ? {} : { match: { name: match.file.meta.name, fileType: match.fileType } }),
      },
      blocks,
      logged: fileFilter.log,
    });
    if (blocks) {
      blocked.set(match.file.id, match.rule.name);
      blocked.set(info.id, match.rule.name);
      return charges;
    }
  }
  if (profiles.antivirus !== undefined && scans(profiles, key)) {
    const antivirus = antivirusCharges(profiles, profiles.antivirus, typesOfName, key, object);
    const [worst] = antivirus;
    if (worst !== undefined) {
      charges.push(worst);
      const other = worst.blocks ? undefined : antivirus.find((charge) => charge.blocks);
      if (other !== undefined) charges.push(other);
      if ([worst, other].some((charge) => charge?.says.kind === 'filetype-executable' && charge.blocks))
        blocked.set(object.node.info.id, 'executable');
    }
  }
  return charges;
}

/** What the antivirus profile makes of an object, worst first. */
function antivirusCharges(
  { protocolOptions, failOpen }: SessionProfiles,
  profile: AntivirusProfile,
  typesOfName: TypesOfName,
  key: ProtocolKey | undefined,
  object: PolicyObject,
): Charge[] {
  const options = profile.protocols[key ?? 'http'];
  const size = protocolOptions.protocols[key ?? 'http'];
  const block = options.avScan === 'block';
  const whole = object.kind === 'leaf';
  const findings = whole ? findingsBelow(object.node) : [...evidenceOf(object.node)];
  const charges: Charge[] = [];
  const charge = (says: Charge['says'], blocks: boolean, logged = true) =>
    charges.push({ says, blocks, logged: logged || blocks });

  const infected = findings.find((finding) => finding.kind === 'infected');
  if (infected !== undefined) {
    const { virus, virusId, dtype } = infected;
    charge({ kind: 'infected', profile: profile.name, virus, virusId, dtype }, block);
  }
  if (options.executables === 'virus' && isMail(key) && whole && holdsExecutable(object.node, typesOfName))
    charge({ kind: 'filetype-executable', profile: profile.name }, block);

  const unscanned = findings
    .filter((finding) => finding.kind === 'malformed' || finding.kind === 'unscannable')
    .map((finding) => {
      const reason = finding.kind === 'malformed' ? 'malformed' : finding.reason;
      const detail = finding.kind === 'malformed' ? finding.code : finding.detail;
      const scanerror: Charge['says'] = { kind: 'scanerror', profile: profile.name, reason, detail };
      if (reason === 'oversize') {
        const { blockOversize } = size;
        return {
          says: { kind: 'oversize', profile: profile.name },
          blocks: blockOversize,
          logged: protocolOptions.oversizeLog,
        } satisfies Charge;
      }
      if (reason === 'uncompressed-oversize')
        return { says: scanerror, blocks: size.blockOversize, logged: protocolOptions.oversizeLog };
      if (reason === 'fragmented')
        return {
          says: { kind: 'mimefragmented', profile: profile.name },
          blocks: !size.passFragmented,
          logged: true,
        } satisfies Charge;
      // The option `timeout` asks for what is done in any case: an unfinished scan is no scan.
      if (isArchiveReason(reason) && reason !== 'timeout') {
        // FortiOS blocks these by itself where a proxy reads CIFS.
        const asked = options.archiveBlock.has(reason) || (key === 'cifs' && block);
        return { says: scanerror, blocks: asked, logged: options.archiveLog.has(reason) };
      }
      return { says: scanerror, blocks: block && !(reason === 'engine-error' && failOpen === true), logged: true };
    });
  // What blocks comes before what does not, in the order of the findings otherwise.
  for (const blocks of [true, false])
    for (const each of unscanned) if (each.blocks === blocks) charge(each.says, each.blocks, each.logged);
  return charges;
}

function isArchiveReason(reason: string): reason is ArchiveReason {
  return (ARCHIVE_REASONS as readonly string[]).includes(reason);
}

/**
 * Of an object and of all that it holds, in member order. That a member is cut short where its archive is damaged says nothing that the
 * archive's finding does not, and FortiOS has options for that one.
 */
function findingsBelow(node: Inspected, into: Finding[] = [], damaged = false): Finding[] {
  const own = evidenceOf(node);
  for (const finding of own)
    if (!damaged || finding.kind !== 'unscannable' || finding.reason !== 'truncated') into.push(finding);
  const isDamaged = own.some(
    (finding) =>
      finding.kind === 'unscannable' && (finding.reason === 'corrupted' || finding.reason === 'partiallycorrupted'),
  );
  for (const child of node.children) findingsBelow(child, into, isDamaged);
  return into;
}

function holdsExecutable(node: Inspected, typesOfName: TypesOfName): boolean {
  const types = fileTypes(node.info, typesOfName);
  return (
    types.includes('exe') || types.includes('dll') || node.children.some((child) => holdsExecutable(child, typesOfName))
  );
}

function actionOf(kind: Outcome['kind'], blocks: boolean, effect: Effect, object: PolicyObject): Action {
  if (!blocks) return kind === 'infected' || kind === 'filetype-executable' ? 'monitored' : 'passthrough';
  // Where a message as a whole is exchanged, nothing that could be called an attachment is gone.
  if (effect === 'strip' && kind !== 'file-filter' && object.kind === 'leaf') return 'attachment-removed';
  return 'blocked';
}

/** An object that goes, and why. */
interface Removed {
  readonly object: PolicyObject;
  readonly outcome: Outcome;
}

function verdictFor(
  profiles: SessionProfiles,
  root: Inspected,
  session: SessionInfo,
  key: ProtocolKey | undefined,
  effect: Effect,
  removed: readonly Removed[],
  logged: boolean,
  quarantined: (file: FileId) => boolean,
): Verdict {
  const [first] = removed;
  if (first === undefined) return { action: logged ? 'monitor' : 'pass', replacement: '', edits: [] };
  const text = (each: Removed) => messageFor(profiles, session, key, effect, each, quarantined);
  if (effect === 'refuse') {
    const temporary = removed.every(({ outcome }) => outcome.kind === 'scanerror' && isFailure(outcome.reason));
    return { action: 'block', replacement: replyLine(text(first)), edits: [], ...(temporary && { temporary }) };
  }
  const edits: Edit[] = [];
  for (const each of removed) {
    const place = each.object.place ?? { start: 0, end: root.info.size, message: isMessage(root) ? root : undefined };
    const content = !isMessage(root);
    const replaced =
      place.message !== undefined
        ? ({ kind: 'message', headers: headersOf(place) } as const)
        : ({ kind: content ? 'content' : 'part' } as const);
    const length = root.info.meta.fixedLength === true ? place.end - place.start : undefined;
    edits.push({ start: place.start, end: place.end, instead: replacementPart(replaced, text(each), length) });
  }
  return { action: 'strip', replacement: text(first), edits: outermost(edits) };
}

/** Will another try find it otherwise? A scanner may answer then. */
function isFailure(reason: string): boolean {
  return reason === 'engine-error';
}

/** Ascending, without those that lie in another: what goes as a whole goes once. */
function outermost(edits: readonly Edit[]): Edit[] {
  const sorted = [...edits].sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Edit[] = [];
  for (const edit of sorted) {
    const last = kept.at(-1);
    if (last === undefined || edit.start >= last.end) kept.push(edit);
  }
  return kept;
}

function messageFor(
  profiles: SessionProfiles,
  session: SessionInfo,
  key: ProtocolKey | undefined,
  effect: Effect,
  { object, outcome }: Removed,
  quarantined: (file: FileId) => boolean,
): string {
  const { info } = object.node;
  const headers = info.headers ?? headersOfParents(object.node.info, outcome.root);
  return renderMessage(profiles.replacementMessages[messageType(key, effect, outcome)], {
    FILE: info.meta.name ?? candidateNames(info)[0] ?? (object.kind === 'message' ? 'message' : 'unnamed'),
    VIRUS: outcome.kind === 'infected' ? outcome.virus : undefined,
    FILE_TYPE: outcome.kind === 'file-filter' ? (outcome.match?.fileType ?? outcome.fileType) : info.types[0],
    QUARFILENAME: quarantined(info.id) ? info.sha256 : undefined,
    REASON: outcome.kind === 'scanerror' ? outcome.reason : undefined,
    PROTOCOL: serviceName(session),
    SOURCE_IP: session.client.address,
    DEST_IP: session.server.address,
    EMAIL_FROM: headers?.from ?? outcome.root.meta.mail?.sender,
    EMAIL_TO: headers?.to ?? outcome.root.meta.mail?.recipients?.join(', '),
  });
}

function headersOfParents(info: FileInfo, root: FileInfo): FileInfo['headers'] {
  return info.parent?.headers ?? root.headers;
}

/** The type that FortiOS has for it; `smtp-*` go into a reply, `email-*` stand in for a part. */
function messageType(key: ProtocolKey | undefined, effect: Effect, outcome: Outcome): MessageType {
  const ways = MESSAGE_OF[causeOf(outcome)];
  if (effect === 'strip') return ways.part;
  if (key === 'smtp') return ways.smtp;
  return key === 'ftp' ? ways.ftp : ways.other;
}

type Cause = 'virus' | 'filter' | 'oversize' | 'decompress' | 'fragment' | 'executable' | 'archive' | 'failure';

function causeOf(outcome: Outcome): Cause {
  switch (outcome.kind) {
    case 'infected':
      return 'virus';
    case 'file-filter':
      return 'filter';
    case 'oversize':
      return 'oversize';
    case 'mimefragmented':
      return 'fragment';
    case 'filetype-executable':
      return 'executable';
    case 'scanerror':
      if (outcome.reason === 'uncompressed-oversize') return 'decompress';
      return isArchiveReason(outcome.reason) && outcome.reason !== 'timeout' ? 'archive' : 'failure';
    default:
      return 'failure';
  }
}

const MESSAGE_OF: Readonly<Record<Cause, Readonly<Record<'part' | 'smtp' | 'ftp' | 'other', MessageType>>>> = {
  virus: { part: 'email-virus', smtp: 'smtp-virus', ftp: 'ftp-dl-infected', other: 'virus-text' },
  filter: { part: 'email-block', smtp: 'smtp-block', ftp: 'ftp-dl-blocked', other: 'file-filter-text' },
  oversize: { part: 'email-filesize', smtp: 'smtp-filesize', ftp: 'ftp-dl-filesize', other: 'file-size-text' },
  decompress: {
    part: 'email-decompress-limit',
    smtp: 'smtp-decompress-limit',
    ftp: 'ftp-dl-filesize',
    other: 'decompress-limit-text',
  },
  fragment: { part: 'partial', smtp: 'partial', ftp: 'ftp-av-fail', other: 'file-av-fail-text' },
  executable: { part: 'exe-text', smtp: 'exe-text', ftp: 'exe-text', other: 'exe-text' },
  archive: {
    part: 'archive-block-text',
    smtp: 'archive-block-text',
    ftp: 'ftp-dl-archive-block',
    other: 'archive-block-text',
  },
  failure: { part: 'email-av-fail', smtp: 'file-av-fail-text', ftp: 'ftp-av-fail', other: 'file-av-fail-text' },
};
