/**
 * A message as it comes that may be a mailbox file (mbox, RFC 4155): when it begins with a `From ` line, every further line of that kind
 * begins another message, which becomes a child; the first is the file itself, as when a single message was saved with such a line.
 * A separator is a line that begins with `From ` and has a time in it; that an empty line stands before it is not asked.
 */
import { Buffer } from 'node:buffer';
import type { ChildStream, Container, Stage } from '../../core/file.js';

const FROM = Buffer.from('From ', 'latin1');
const LF_FROM = Buffer.from('\nFrom ', 'latin1');
/** A longer line separates nothing. */
const LINE = 512;
const SEPARATOR = /^From \S.* \d{1,2}:\d{2}/;

export class MailboxStage implements Stage {
  readonly #container: Container;
  readonly #first: Stage;
  /** Bytes of `From ` that the file began with so far; -1 when it began otherwise. */
  #matched = 0;
  #child: ChildStream | undefined;
  /** What may be the beginning of a separator, with the line feed before it. */
  #pending = Buffer.alloc(0);

  constructor(container: Container, first: Stage) {
    this.#container = container;
    this.#first = first;
  }

  write(chunk: Buffer, start: number, end: number): void {
    if (this.#matched >= 0 && this.#matched < FROM.length) {
      for (let at = start; at < end && this.#matched >= 0 && this.#matched < FROM.length; at++)
        this.#matched = chunk[at] === FROM[this.#matched] ? this.#matched + 1 : -1;
    }
    if (this.#matched < FROM.length) this.#first.write(chunk, start, end);
    else this.#split(chunk.subarray(start, end));
  }

  gap(length: number): void {
    this.#flush();
    if (this.#child === undefined) this.#first.gap(length);
    else this.#child.gap(length);
  }

  finish(complete: boolean): void {
    this.#flush();
    if (this.#child === undefined) this.#first.finish(complete);
    else if (complete) this.#child.end();
    else this.#child.abort('reset');
  }

  #split(bytes: Buffer): void {
    const view = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#pending = Buffer.alloc(0);
    let at = 0;
    let from = 0;
    for (;;) {
      const found = view.indexOf(LF_FROM, from);
      const line = found < 0 ? view.length - partOfSeparator(view) : found;
      if (found < 0 || (view.indexOf(0x0a, found + 1) < 0 && view.length - found < LINE)) {
        this.#put(view, at, line);
        this.#pending = Buffer.from(view.subarray(Math.max(at, line)));
        return;
      }
      from = found + 1;
      const lf = view.indexOf(0x0a, from);
      if (lf < 0 || lf - from > LINE || !SEPARATOR.test(view.toString('latin1', from, lf))) continue;
      this.#put(view, at, from);
      if (this.#child === undefined) this.#first.finish(true);
      else this.#child.end();
      this.#child = this.#container.open({ name: undefined, declaredType: 'message/rfc822' });
      at = lf + 1;
      from = at;
    }
  }

  #put(bytes: Buffer, start: number, end: number): void {
    if (start >= end) return;
    if (this.#child === undefined) this.#first.write(bytes, start, end);
    else this.#child.write(bytes, start, end);
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = Buffer.alloc(0);
    this.#put(pending, 0, pending.length);
  }
}

/** How many of the last bytes may begin a separator. */
function partOfSeparator(view: Buffer): number {
  for (let length = Math.min(LF_FROM.length - 1, view.length); length > 0; length--)
    if (view.compare(LF_FROM, 0, length, view.length - length) === 0) return length;
  return 0;
}
