/**
 * The verdict of each file of a tree: the worst that is known of it and of what came out of it, whatever a profile makes of that.
 * `clean` is built in `verdictOf` alone, from evidence: every byte seen, nothing found, nothing skipped.
 */
import type { FileId, Finding, Inspected } from '../core/file.js';
import { FILE_VERDICTS, type FileVerdict } from './outcome.js';

/** Findings of one file, with those that its facts imply: a hole is one, whether or not somebody reported it. */
export function evidenceOf(node: Inspected): readonly Finding[] {
  const { state, encrypted } = node.info;
  const reason = state !== 'complete' ? state : encrypted ? 'encrypted' : undefined;
  if (reason === undefined) return node.findings;
  // The finding that set the state says more than the state does.
  const said = node.findings.some(
    (finding) =>
      finding.kind === 'unscannable' && (finding.reason === reason || (state === 'limit' && isLimit(finding.reason))),
  );
  return said ? node.findings : [...node.findings, { kind: 'unscannable', reason, detail: '' }];
}

/** `blocked`: files that policy blocks for what they are, with the rule that says so. */
export function fileVerdicts(root: Inspected, blocked: ReadonlyMap<FileId, string>): ReadonlyMap<FileId, FileVerdict> {
  const verdicts = new Map<FileId, FileVerdict>();
  verdictOf(root, blocked, verdicts);
  return verdicts;
}

function verdictOf(
  node: Inspected,
  blocked: ReadonlyMap<FileId, string>,
  verdicts: Map<FileId, FileVerdict>,
): FileVerdict {
  const virus = new Set<string>();
  let worst: FileVerdict['verdict'] = 'clean';
  let reason: string | null = null;
  let odd: string | null = null;
  const join = (verdict: FileVerdict['verdict'], why: string | null) => {
    if (FILE_VERDICTS.indexOf(verdict) <= FILE_VERDICTS.indexOf(worst)) return;
    worst = verdict;
    reason = why;
  };
  for (const finding of evidenceOf(node)) {
    if (finding.kind === 'infected') {
      virus.add(finding.virus);
      join('infected', null);
    } else if (finding.kind === 'malformed') join('malformed', finding.code);
    // It is clean, and has something to say.
    else if (finding.kind === 'oddity') odd ??= finding.code;
    else join('unscannable', finding.reason);
  }
  const rule = blocked.get(node.info.id);
  if (rule !== undefined) join('blocked', rule);
  for (const child of node.children) {
    const below = verdictOf(child, blocked, verdicts);
    for (const name of below.virus) virus.add(name);
    join(below.verdict, below.reason);
  }
  const verdict: FileVerdict = { verdict: worst, reason: worst === 'clean' ? odd : reason, virus: [...virus] };
  verdicts.set(node.info.id, verdict);
  return verdict;
}

function isLimit(reason: string): boolean {
  return reason === 'oversize' || reason === 'uncompressed-oversize' || reason === 'mailbomb' || reason === 'nested';
}
