/** What policy decides of a file tree: the effect for the decoder, what to log, and the verdict of each file. */
import type { FileId, FileInfo, Inspected, UnscannableReason, Verdict } from '../core/file.js';
import type { SessionInfo } from '../core/session.js';

/** What FortiOS's `action` field says of one object. */
export const ACTIONS = ['blocked', 'passthrough', 'monitored', 'attachment-removed'] as const;
export type Action = (typeof ACTIONS)[number];

/**
 * What became of an infected file beside being stopped: it is in quarantine, or is not: nobody asked for it, it is larger than what is kept
 * there, it could not be put there.
 */
export const FATES = ['not-asked', 'kept', 'too-large', 'not-kept'] as const;
export type Fate = (typeof FATES)[number];

interface Reported {
  /** The object: a part of a message, or the file itself. An archive is one object: its members are not reported by themselves. */
  readonly file: FileInfo;
  /** What the decoder opened: the message, or the same file. */
  readonly root: FileInfo;
  readonly action: Action;
  /** Name of the profile that decided. */
  readonly profile: string;
}

/** One log record to be written about one object. */
export type Outcome =
  | (Reported & { readonly kind: 'infected'; readonly virus: string; readonly virusId: number; readonly dtype: string })
  | (Reported & {
      readonly kind: 'scanerror';
      readonly reason: UnscannableReason | 'malformed';
      readonly detail: string;
    })
  | (Reported & { readonly kind: 'oversize' })
  /** Blocked for its name or pattern, unseen (FortiOS's old antivirus file block). */
  | (Reported & { readonly kind: 'filename' })
  | (Reported & { readonly kind: 'mimefragmented' })
  | (Reported & { readonly kind: 'filetype-executable' })
  | (Reported & {
      readonly kind: 'file-filter';
      readonly rule: string;
      readonly fileType: string;
      /** The member inside the object that matched, when it was not the object itself. */
      readonly match?: { readonly name: string | undefined; readonly fileType: string };
    });

/** The worst that is known of one file; a container is at least as bad as its members. */
export const FILE_VERDICTS = ['clean', 'unscannable', 'malformed', 'blocked', 'infected'] as const;
export interface FileVerdict {
  readonly verdict: (typeof FILE_VERDICTS)[number];
  /** Which limit, cause or rule; null when there is nothing to say. */
  readonly reason: string | null;
  readonly virus: readonly string[];
}

export interface Decision {
  /** For the decoder, about the root. */
  readonly verdict: Verdict;
  readonly outcomes: readonly Outcome[];
  /** For every file of the tree. */
  readonly verdicts: ReadonlyMap<FileId, FileVerdict>;
}

/** Findings to verdict: pure, synchronous, the only reader of profiles. */
export interface Policy {
  /** `quarantined`: files that were put into quarantine, for the texts that name them. */
  decide(root: Inspected, session: SessionInfo, quarantined?: (file: FileId) => boolean): Decision;
}
