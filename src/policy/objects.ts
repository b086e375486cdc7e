/**
 * The objects of a file tree: what a record or an edit is about. In a message each part is one, attached messages are looked into, and
 * an archive is one object with all that it holds. The message itself is an object for what is wrong with it as a whole.
 */
import type { FileInfo, Inspected, MailHeaders } from '../core/file.js';

/** The bytes of the root that go when an object goes. */
export interface Place {
  readonly start: number;
  readonly end: number;
  /** They begin with the header of a message (a whole message, or the one part of one). */
  readonly message: Inspected | undefined;
}

export interface PolicyObject {
  readonly node: Inspected;
  /** `message`: its own findings count, those of its parts are theirs. */
  readonly kind: 'leaf' | 'message';
  /** undefined: it has no place of its own in the root's bytes, and only the root as a whole can be taken away. */
  readonly place: Place | undefined;
}

/** Taken apart as mail; what merely looks like mail (an .eml on a share) is a leaf. */
export function isMessage(node: Inspected): boolean {
  return isMessageFile(node.info);
}

function isMessageFile(info: FileInfo): boolean {
  const declared = info.meta.declaredType;
  return (
    info.headers !== undefined ||
    declared === 'message/rfc822' ||
    declared === 'message/global' ||
    declared === 'message/news'
  );
}

/** Is it a file that records are about: no message, and nothing but messages around it? */
export function isOutermostFile(info: FileInfo): boolean {
  if (isMessageFile(info)) return false;
  for (let around = info.parent; around !== undefined; around = around.parent) if (!isMessageFile(around)) return false;
  return true;
}

/** Headers of the message that it lies in. */
export function headersAround(info: FileInfo): MailHeaders | undefined {
  for (let around = info.parent; around !== undefined; around = around.parent)
    if (around.headers !== undefined) return around.headers;
  return undefined;
}

/** In order, parts before the message that they are in. */
export function objectsOf(root: Inspected): PolicyObject[] {
  const objects: PolicyObject[] = [];
  const whole: Place | undefined =
    root.info.meta.encoding === undefined
      ? { start: 0, end: root.info.size, message: isMessage(root) ? root : undefined }
      : undefined;
  collect(root, whole, whole === undefined ? undefined : 0, objects);
  return objects;
}

/** `base`: where the content of `node` begins in the root's bytes; undefined when it does not lie there as it is. */
function collect(node: Inspected, place: Place | undefined, base: number | undefined, into: PolicyObject[]): void {
  if (!isMessage(node)) {
    into.push({ node, kind: 'leaf', place });
    return;
  }
  for (const child of node.children) {
    const span = child.info.span;
    if (span === undefined || base === undefined) {
      // Without a place of its own it goes with what it is in.
      collect(child, place, undefined, into);
      continue;
    }
    const start = base + span.start;
    const end = base + span.end;
    // The part that begins where its message begins is all of it: one header for both.
    const own: Place = { start, end, message: span.start === 0 ? node : undefined };
    // A part whose size is that of its span was not transfer-encoded: its bytes lie in the root as they are.
    const verbatim = child.info.size === span.end - span.body;
    collect(child, own, verbatim ? base + span.body : undefined, into);
  }
  into.push({ node, kind: 'message', place });
}

export function headersOf(place: Place): MailHeaders | undefined {
  return place.message?.info.headers;
}
