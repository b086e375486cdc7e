/**
 * Files on their way to inspection: what a decoder says of one (FileMeta), how its bytes are handed over (FileStream), what inspection
 * consists of (Extractor, Unpacker, Scanner), what it finds (Finding) and what follows (Verdict). No stage knows a flow; only policy
 * reads profiles.
 */
import type { Buffer } from 'node:buffer';

/** Unique within one thread's inspection, ascending by opening. */
export type FileId = number;

/** The envelope of a message, raw as on the wire. Headers come from the message itself. */
export interface MailFacts {
  /** SMTP: the reverse path without angle brackets. */
  readonly sender?: string;
  /** SMTP: the forward paths without angle brackets. */
  readonly recipients?: readonly string[];
  /** POP3, IMAP: the mailbox login, with its quotes when it was a quoted string. */
  readonly login?: string;
}

/** What a decoder or extractor knows of a file when it opens it. */
export interface FileMeta {
  /** As a person would write it: decoded (RFC 2047, RFC 2231, UTF-16, percent). */
  readonly name: string | undefined;
  readonly direction: 'upload' | 'download';
  /** Lower case, without parameters: `message/rfc822` makes the file a mail message. */
  readonly declaredType?: string;
  readonly declaredSize?: number;
  /** Of a text, as its header declares it, lower case. */
  readonly charset?: string;
  /** The UNC share or the directory, where the protocol has one. */
  readonly path?: string;
  /** A transfer encoding that content/ is to take off (an IMAP part fetched without its MIME header). */
  readonly encoding?: 'base64' | 'quoted-printable' | 'uuencode';
  readonly mail?: MailFacts;
  /** A part of the guarded unit may go before the verdict and the rest never (FTP data; not POP3). */
  readonly mayTrickle?: boolean;
  /** Its size was announced to the receiver: what replaces a part must be exactly as long as the part (POP3, IMAP). */
  readonly fixedLength?: boolean;
  /** Only its beginning was asked for (POP3's TOP): that it stops early is no fault; a part that was cut is truncated. */
  readonly partial?: boolean;
  /**
   * It is, or may be, a stretch of a larger file (FTP's REST and APPE, a transfer that was cut): of what `of` names, from byte `at` on
   * (undefined: where what was seen before ends). Stretches that together make the whole are inspected as one file more.
   */
  readonly part?: { readonly of: string; readonly at: number | undefined };
  /** It was sent as text whose line ends are the receiver's to choose (FTP's TYPE A): what is stored has other bytes. */
  readonly text?: boolean;
  /** The decoder can refuse the whole (SMTP, an upload) rather than strip a part. */
  readonly refusable?: boolean;
}

/** One file on its way to inspection. Bytes are read during the call and never kept without a copy. */
export interface FileStream {
  readonly id: FileId;
  /** The next bytes, `chunk[start, end)`. No slice is made on this path. */
  write(chunk: Buffer, start: number, end: number): void;
  /** Bytes at a known position (SMB, resumed FTP); put in order within a bounded window. */
  writeAt(at: number, chunk: Buffer, start: number, end: number): void;
  /** `length` bytes are missing here (0: unknown how many) and the file goes on: its state is `gap`, and it is never clean. */
  gap(length: number): void;
  /** Readers may differ on where it begins or ends, or on what is in it (SMTP smuggling): it is never clean. Before its end. */
  malformed(code: string): void;
  /** It has another name as well (a rename after writing): the file filter looks at both. Before its end. */
  renamed?(name: string): void;
  end(): void;
  /**
   * It ends before its end. `reset`: the connection or transfer was cut; `gap`: the capture lost the rest;
   * `rewritten`: its bytes were overwritten. What was seen of it is inspected all the same.
   */
  abort(reason: AbortReason): void;
}
export type AbortReason = 'gap' | 'reset' | 'rewritten';

/** Offsets are those of the file as the decoder wrote it. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly instead: Buffer;
}

export interface Verdict {
  readonly action: 'pass' | 'monitor' | 'strip' | 'block';
  /** Text for the client in place of the object; names the file and the virus. */
  readonly replacement: string;
  /** `strip`: what to exchange, ascending. */
  readonly edits: readonly Edit[];
  /** `block`: only because it could not be inspected now (a scanner failed). Where a protocol can ask to try again later, it does. */
  readonly temporary?: true;
}

/** How much of a file was seen: all of it, cut short, with a hole, or only up to a limit of ours. */
export type FileState = 'complete' | 'truncated' | 'gap' | 'limit';

/** The headers of a message that logs show, decoded; addresses without angle brackets. */
export interface MailHeaders {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly cc: string | undefined;
  readonly subject: string | undefined;
}

/** Where a MIME part lies in the message that it came out of, as offsets of the message's bytes. */
export interface PartSpan {
  /** First byte of its header block. */
  readonly start: number;
  /** First byte of its body. */
  readonly body: number;
  /** One past its last byte; the line end before the delimiter is the delimiter's (RFC 2046 §5.1.1). */
  readonly end: number;
}

/** A file as policy and log see it, when it has ended. */
export interface FileInfo {
  readonly id: FileId;
  readonly meta: FileMeta;
  readonly parent: FileInfo | undefined;
  /** 0 for what the decoder opened. */
  readonly depth: number;
  /** FortiOS type names by content, the most telling first; `unknown` alone when none fits. A polyglot has several. */
  readonly types: readonly string[];
  readonly size: number;
  /** Lower-case hex; undefined where nobody asked for the hash of a container that is not kept (a message). */
  readonly sha256: string | undefined;
  readonly state: FileState;
  /** Needs a password to be read. */
  readonly encrypted: boolean;
  /** On a message. */
  readonly headers?: MailHeaders;
  /** On a part of a message. */
  readonly span?: PartSpan;
  /** Any other name that a reader might take, for a container's member or part: the file filter looks at each. */
  readonly otherNames?: readonly string[];
  /** On a part of a message: it is offered as an attachment (a name, or a disposition of attachment). */
  readonly attachment?: boolean;
  /** It, or what it came out of, is one of many readings of an ambiguous message, by this way of reading: most of these are noise. */
  readonly reading?: string;
}

/** What is wrong with an archive, in FortiOS's words: those that `archive-block` and `archive-log` take. */
export const ARCHIVE_REASONS = [
  'encrypted',
  'corrupted',
  'partiallycorrupted',
  'multipart',
  'nested',
  'mailbomb',
  'timeout',
  'unhandled',
] as const;
export type ArchiveReason = (typeof ARCHIVE_REASONS)[number];

/** Why something could not be inspected. */
export const UNSCANNABLE_REASONS = [
  ...ARCHIVE_REASONS,
  'oversize',
  'uncompressed-oversize',
  'fragmented',
  'gap',
  'truncated',
  'overlap',
  'engine-error',
  'limit',
] as const;
export type UnscannableReason = (typeof UNSCANNABLE_REASONS)[number];

/** What a stage found. Verdicts join to the worst: infected > blocked by policy > malformed > unscannable > clean. */
export type Finding =
  | {
      readonly kind: 'infected';
      readonly virus: string;
      readonly virusId: number;
      /** FortiOS's dtype: `av-engine`, `File Hash`, `cached`. */
      readonly dtype: string;
      /** The scanner that says so. */
      readonly by: string;
    }
  | { readonly kind: 'malformed'; readonly code: string }
  /** It could be read in several ways, and was read in all of them: no verdict by itself. */
  | { readonly kind: 'oddity'; readonly code: string }
  | { readonly kind: 'unscannable'; readonly reason: UnscannableReason; readonly detail: string };

/** A finished file with what was found in it and in what came out of it, in order. */
export interface Inspected {
  readonly info: FileInfo;
  readonly findings: readonly Finding[];
  readonly children: readonly Inspected[];
}

/** A per-file consumer of bytes in order. */
export interface Stage {
  write(chunk: Buffer, start: number, end: number): void;
  /** Bytes are missing here; 0: unknown how many. */
  gap(length: number): void;
  /** No more bytes; `complete` is false when the file was cut. Everything it has to say is said when this returns. */
  finish(complete: boolean): void;
}

/** What an extractor knows of a child file. */
export interface ChildMeta extends Partial<Pick<FileMeta, 'declaredType' | 'declaredSize' | 'charset' | 'path'>> {
  readonly name: string | undefined;
  /** Any other name that a reader might take: every candidate goes to the file filter. */
  readonly otherNames?: readonly string[];
  readonly span?: Pick<PartSpan, 'start' | 'body'>;
  readonly attachment?: boolean;
  /** It is a reading of an ambiguous message, in words: `base64, line by line`. */
  readonly reading?: string;
}

/** Where an extractor puts a child's bytes. */
export interface ChildStream {
  write(chunk: Buffer, start: number, end: number): void;
  /**
   * Room for `length` bytes of the child's content at this offset of the arena, to be filled by a kernel and then counted with
   * `grew`; -1 when there is none there (use `write`). Valid until the next call of any method.
   */
  reserve(length: number): number;
  /** `length` bytes were put at the offset that `reserve` gave. */
  grew(length: number): void;
  gap(length: number): void;
  /** `spanEnd`: where the part ended in its message. */
  end(spanEnd?: number): void;
  abort(reason: AbortReason): void;
}

/** What an extractor or unpacker may say of the file that it takes apart. */
export interface Container {
  /** How deep the file itself lies in its tree (`FileInfo.depth`): what messages within messages are counted by. */
  readonly depth: number;
  open(child: ChildMeta): ChildStream;
  report(finding: Finding): void;
  /** The headers of a message; once, as soon as they are known. */
  headers(headers: MailHeaders): void;
  /** What is left of this file tree's budget; unpackers stop when it says so. */
  readonly budget: Budget;
}

/** What one root file may cost in all, shared by everything unpacked out of it. Going over is a finding, made by whoever asks. */
export interface Budget {
  /** How deep the container being unpacked lies among containers; 0 for a root or a part of a message. */
  readonly nesting: number;
  /** Bytes that may still be unpacked. */
  readonly bytesLeft: number;
  /** Files that may still be opened. */
  readonly filesLeft: number;
  /** Milliseconds of processor time that unpacking may still take. */
  readonly timeLeft: number;
}

/** Takes a container apart as its bytes come (mail). */
export interface Extractor {
  readonly name: string;
  /** Asked once, before the first byte. */
  accepts(meta: FileMeta | ChildMeta): boolean;
  begin(container: Container): Stage;
}

/** A finished file's bytes: in memory, or in an unlinked spool file. */
export interface Content {
  readonly length: number;
  /** The whole of it where it lies in memory in one piece; valid during the call that it was given to, until a promise returned from it settles. */
  readonly bytes: Buffer | undefined;
  /** Where it lies in memory in several: all of them in order, as long valid. What `read` gives is then, too. */
  readonly pieces?: readonly Buffer[];
  /** Up to `length` bytes from `at`; shorter at the end. A view or a copy, valid until the next call. */
  read(at: number, length: number): Buffer;
}

/** Takes a finished container apart (archives). */
export interface Unpacker {
  readonly name: string;
  /** `meta`: what is known of the file beside its bytes. */
  accepts(types: readonly string[], content: Content, meta?: FileMeta): boolean;
  /** A promise only when work leaves the thread. What goes wrong is a finding, never a throw. */
  unpack(content: Content, container: Container): void | Promise<void>;
}

/** Looks at one file's bytes and states what it found. Holds no policy. */
export interface Scanner {
  readonly name: string;
  /** It looks for literals alone: a file in which another thread has found none is not shown to it. */
  readonly literal?: true;
  scan(info: FileInfo, content: Content): readonly Finding[] | Promise<readonly Finding[]>;
}
