/**
 * File-filter rules against a file: by what it is (content) and by what it is called (every name that a reader might take). A rule
 * that blocks comes before one that only logs, whatever their order; among equals the first in the profile counts. Members of an
 * archive are looked at where the profile says so, and the archive answers for them.
 */
import { Buffer } from 'node:buffer';
import type { FileInfo, Inspected } from '../core/file.js';
import type { FileFilterProfile, FileFilterRule, ProtocolKey } from './profiles.js';
import { isMail } from './protocol-key.js';

/** FortiOS type names that a file's name stands for (`a.exe`: `exe`); none when it stands for nothing. */
export type TypesOfName = (name: string) => readonly string[];

export interface FilterMatch {
  readonly rule: FileFilterRule;
  /** The type of `file` that the rule named. */
  readonly fileType: string;
  /** The object itself, or the member in it that matched. */
  readonly file: FileInfo;
}

/** The rule that decides about `object`; undefined when none matches. `key` undefined: a file that no protocol carried. */
export function matchFileFilter(
  profile: FileFilterProfile,
  key: ProtocolKey | undefined,
  object: Inspected,
  typesOfName: TypesOfName,
): FilterMatch | undefined {
  const direction = object.info.meta.direction === 'upload' ? 'outgoing' : 'incoming';
  const rules = profile.rules.filter((rule) => applies(rule, key, direction));
  if (rules.length === 0) return undefined;
  const match = { logged: undefined as FilterMatch | undefined };
  return matchTree(profile, rules, object, typesOfName, match) ?? match.logged;
}

/**
 * May the head of a file be judged before the rest has come? `undecided` are the types that its head does not exclude (iso, dmg, the
 * documents inside zip): a rule that blocks one of them waits for the whole file. Used where a transfer can be refused at its start.
 */
export function mustWait(
  profile: FileFilterProfile,
  key: ProtocolKey | undefined,
  direction: FileInfo['meta']['direction'],
  undecided: ReadonlySet<string>,
): boolean {
  const way = direction === 'upload' ? 'outgoing' : 'incoming';
  return profile.rules.some(
    (rule) =>
      rule.action === 'block' &&
      applies(rule, key, way) &&
      (rule.passwordProtected || [...undecided].some((type) => rule.fileTypes.has(type))),
  );
}

/** FortiOS ignores the direction of a rule for mail. A file without a protocol is tried against every rule. */
function applies(rule: FileFilterRule, key: ProtocolKey | undefined, direction: 'outgoing' | 'incoming'): boolean {
  if (key !== undefined && !rule.protocols.has(key)) return false;
  return isMail(key) || rule.direction === 'any' || rule.direction === direction;
}

/** The first block in the tree; the first log-only match goes into `found`. */
function matchTree(
  profile: FileFilterProfile,
  rules: readonly FileFilterRule[],
  node: Inspected,
  typesOfName: TypesOfName,
  found: { logged: FilterMatch | undefined },
): FilterMatch | undefined {
  for (const match of matchesOf(rules, node.info, typesOfName)) {
    if (match.rule.action === 'block') return match;
    found.logged ??= match;
  }
  if (!profile.scanArchiveContents) return undefined;
  for (const child of node.children) {
    const match = matchTree(profile, rules, child, typesOfName, found);
    if (match !== undefined) return match;
  }
  return undefined;
}

function matchesOf(rules: readonly FileFilterRule[], file: FileInfo, typesOfName: TypesOfName): FilterMatch[] {
  const types = fileTypes(file, typesOfName);
  const matches: FilterMatch[] = [];
  for (const rule of rules) {
    if (rule.passwordProtected && !file.encrypted) continue;
    const fileType = types.find((type) => rule.fileTypes.has(type));
    if (fileType !== undefined) matches.push({ rule, fileType, file });
  }
  return matches;
}

/** By content, then by each name. A name adds types and takes none away: what its content does not tell stays `unknown` as well. */
export function fileTypes(file: FileInfo, typesOfName: TypesOfName): readonly string[] {
  const types = new Set(file.types);
  for (const name of candidateNames(file)) for (const type of typesOfName(name)) types.add(type);
  return [...types];
}

/** What file systems keep of a name, in bytes (Unix) or UTF-16 units (Windows). */
const STORED = 255;

/**
 * The names that a receiver might store the file under: of each reading of each name its leaf, cut at an NTFS stream and at what a file
 * system holds, without the dots and blanks that Windows drops at the end.
 */
export function candidateNames(file: FileInfo): readonly string[] {
  const names = new Set<string>();
  for (const name of [file.meta.name, ...(file.otherNames ?? [])]) {
    if (name === undefined) continue;
    for (const reading of readingsOf(name)) {
      const leaf = leafOf(reading);
      for (const stored of [leaf, leaf.split(':', 1)[0] ?? '', leaf.slice(leaf.indexOf(':') + 1)]) {
        names.add(withoutTail(stored));
        if (Buffer.byteLength(stored) <= STORED) continue;
        names.add(withoutTail(stored.slice(0, STORED)));
        names.add(withoutTail(Buffer.from(stored).toString('utf8', 0, STORED)));
      }
    }
  }
  names.delete('');
  return [...names];
}

/** As which names a reader might take `name`. */
function readingsOf(name: string): Set<string> {
  // A NUL is the end, or nothing, or the name starts anew behind it.
  const readings = new Set([
    name,
    name.split('\0', 1)[0] ?? '',
    name.slice(name.lastIndexOf('\0') + 1),
    name.replaceAll('\0', ''),
  ]);
  const add = (change: (reading: string) => string): void => {
    for (const reading of [...readings]) readings.add(change(reading));
  };
  if (/%[0-9a-f]{2}/i.test(name)) add(withoutPercent);
  // Characters that nobody sees, and those that are written alike (a full-width dot).
  if (/[^ -~]/.test(name)) add((reading) => reading.replace(/[\p{Cc}\p{Cf}]/gu, '').normalize('NFKC'));
  // What no Windows name has is left out.
  if (/["'`<>|?*]/.test(name)) add((reading) => reading.replace(/["'`<>|?*]/g, ''));
  if (name.includes(';')) add((reading) => reading.split(';', 1)[0] ?? '');
  return readings;
}

function withoutPercent(name: string): string {
  const latin1 = Buffer.from(name)
    .toString('latin1')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/** Behind the last separator that something follows. */
function leafOf(path: string): string {
  let end = path.length;
  while (end > 0 && isSeparator(path[end - 1])) end--;
  let start = end;
  while (start > 0 && !isSeparator(path[start - 1])) start--;
  return path.slice(start, end);
}

function isSeparator(character: string | undefined): boolean {
  return character === '/' || character === '\\';
}

/** By hand: an expression anchored at the end is quadratic over a name of many spaces. */
function withoutTail(name: string): string {
  let end = name.length;
  while (end > 0 && /[.\s\p{Cc}\p{Cf}]/u.test(name[end - 1]!)) end--;
  return name.slice(0, end);
}
