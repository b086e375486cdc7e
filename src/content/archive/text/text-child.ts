/** A file that is being written out of a text: opened by its first bytes, under the budget. What no longer fits is dropped, and why is said. */
import { Buffer } from 'node:buffer';
import type { ChildMeta, ChildStream } from '../../../core/file.js';
import type { Member, Unpacking } from '../unpacking.js';

const OUTPUT = 64 * 1024;

export class TextChild implements ChildStream {
  readonly #unpacking: Unpacking;
  readonly #meta: ChildMeta;
  #member: Member | undefined;
  #opened = false;
  #over = false;
  #out: Buffer | undefined;
  #used = 0;

  constructor(unpacking: Unpacking, meta: ChildMeta) {
    this.#unpacking = unpacking;
    this.#meta = meta;
  }

  /** It goes on: a limit was not crossed. */
  get going(): boolean {
    return !this.#over;
  }

  /** One byte more. */
  put(byte: number): void {
    this.#out ??= Buffer.allocUnsafe(OUTPUT);
    this.#out[this.#used++] = byte;
    if (this.#used === OUTPUT) this.#flush();
  }

  write(chunk: Buffer, start: number, end: number): void {
    this.#flush();
    this.#open();
    if (!this.#over && end > start && this.#member?.write(chunk, start, end) === false) this.#over = true;
  }

  reserve(): number {
    return -1;
  }
  grew(): void {}
  gap(): void {}

  /** Its end is here. What has no bytes is a file only if it was written to. */
  end(): void {
    this.#flush();
    if (this.#over) this.#member?.cut();
    else this.#member?.end();
  }

  /** Its end is missing. */
  abort(): void {
    this.#flush();
    this.#member?.cut();
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#member = this.#unpacking.open(this.#meta);
    this.#over = this.#member === undefined;
  }

  #flush(): void {
    if (this.#used === 0) return;
    const used = this.#used;
    this.#used = 0;
    this.write(this.#out!, 0, used);
  }
}
