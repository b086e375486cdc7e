/**
 * One opened handle as files: what is read through it and what is written through it are a file each, opened when its first byte comes. Both
 * dialects use it. Bytes go to their places as they come, in any order; when the handle is closed, a file of which everything was seen has
 * ended, and any other was cut.
 */
import type { Buffer } from 'node:buffer';
import type { AbortReason, FileMeta, FileStream } from '../../src/core/file.js';
import type { Flow } from '../../src/core/flow.js';
import { Extent } from './extent.js';

/** What a handle was opened for, as far as the request said. */
export interface Opening {
  /** The server made the file, or emptied it: nothing of it was there before. */
  readonly fresh: boolean;
  readonly reads: boolean;
  readonly writes: boolean;
}

/** One direction of a handle. */
interface Stream {
  readonly file: FileStream;
  /** Which bytes have come. */
  readonly seen: Extent;
}

export class OpenedFile {
  #flow: Flow;
  readonly #share: string | undefined;
  readonly #path: string | undefined;
  #reading: Stream | undefined;
  #writing: Stream | undefined;
  /** The file's size when it was opened. */
  #sizeAtOpening: number | undefined;
  /** What SET_INFO made of it. */
  #sizeSet: number | undefined;
  #opening: Opening | undefined;
  #renamed: string | undefined;
  #missed = false;
  #over = false;

  /** `share`: as the client named it. `path`: within it, with backslashes; a later rename does not change it. */
  constructor(flow: Flow, share: string | undefined, path: string | undefined) {
    this.#flow = flow;
    this.#share = share;
    this.#path = path;
  }

  /** It is told by which connection its bytes come from now on (multichannel). */
  movedTo(flow: Flow): void {
    if (flow === this.#flow) return;
    this.#flow = flow;
    for (const stream of [this.#reading, this.#writing]) if (stream !== undefined) flow.adopt(stream.file);
  }

  /** The open was answered. `size`: bytes in the file then, where the answer says. */
  opened(size: number | undefined, opening?: Opening): void {
    this.#sizeAtOpening = opening?.fresh === true ? 0 : size;
    this.#opening = opening;
  }

  /** Bytes that were read at `at`. */
  read(at: number, chunk: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.#reading ??= this.#open('download');
    put(this.#reading, at, chunk, start, end);
  }

  /** Bytes that are written at `at`. */
  write(at: number, chunk: Buffer, start: number, end: number): void {
    if (end <= start) return;
    this.#writing ??= this.#open('upload');
    put(this.#writing, at, chunk, start, end);
  }

  /** Its size was set: it was cut, or grew by zeros. */
  setSize(size: number): void {
    this.#sizeSet = size;
    const writing = this.#writing;
    if (writing === undefined || size >= writing.seen.end) return;
    // What was written behind the new end is not in the file any more, and cannot be taken back.
    writing.file.malformed('smb-cut-after-write');
  }

  /** Room was made for it: less than it had cuts it, more leaves its end where it is. */
  allocate(size: number): void {
    if (this.#writing !== undefined && size < this.#writing.seen.end) this.setSize(size);
  }

  /** [from, to) was set to zero by the server. */
  zero(from: number, to: number): void {
    const writing = this.#writing;
    if (writing === undefined || from >= writing.seen.end || to <= from) return;
    writing.file.malformed('smb-zeroed-after-write');
  }

  /** Bytes got into it that never crossed the connection (a copy that the server made). */
  unseen(): void {
    this.#writing ??= this.#open('upload');
    this.#writing.file.gap(0);
  }

  /**
   * It has another name as well: what it is called stays what it was opened as, and the new name is judged beside it. Where nothing is written
   * through this handle (a file that was closed is opened again to be renamed), the new name is an upload of no bytes.
   */
  rename(path: string): void {
    this.#renamed = path;
    for (const stream of [this.#reading, this.#writing]) if (stream !== undefined) nameAlso(stream.file, path);
  }

  malformed(code: string): void {
    for (const stream of [this.#reading, this.#writing]) stream?.file.malformed(code);
    if (this.#reading === undefined && this.#writing === undefined) {
      this.#writing = this.#open('upload');
      this.#writing.file.malformed(code);
    }
  }

  /** The recording lacks something that the client said while it was open: writes of it may be among that, and nobody would know. */
  missed(): void {
    this.#missed = true;
  }

  /** Bytes of it are missing from the recording. */
  gap(): void {
    for (const stream of [this.#reading, this.#writing]) stream?.file.gap(0);
  }

  /** The handle was closed. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#emptyFile();
    this.#onlyRenamed();
    const reading = this.#reading;
    if (reading !== undefined) finish(reading, this.#sizeAtOpening);
    const writing = this.#writing;
    // A file that is longer than what was written keeps its old end, unless that was cut off.
    if (writing === undefined) return;
    if (this.#missed) writing.file.gap(0);
    finish(writing, this.#sizeSet ?? this.#sizeAtOpening);
  }

  /** Nothing more of it is seen. */
  abort(reason: AbortReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#onlyRenamed();
    const reading = this.#reading;
    const size = this.#sizeAtOpening;
    // The client has all of it, whether or not it said that it wants no more.
    if (reading !== undefined && size !== undefined && reading.seen.covers(size)) reading.file.end();
    else reading?.file.abort(reason);
    this.#writing?.file.abort(reason);
  }

  /** Opened for its data, and there was none. */
  #emptyFile(): void {
    if (this.#reading !== undefined || this.#writing !== undefined || this.#opening === undefined) return;
    const { fresh, reads, writes } = this.#opening;
    if ((this.#sizeSet ?? this.#sizeAtOpening) !== 0) return;
    if (fresh && writes) this.#writing = this.#open('upload');
    else if (reads && !fresh) this.#reading = this.#open('download');
  }

  /** Its bytes went before, or never crossed this connection; a name is all that is given now. */
  #onlyRenamed(): void {
    if (this.#writing === undefined && this.#renamed !== undefined) this.#open('upload', this.#renamed).file.end();
  }

  #open(direction: 'upload' | 'download', path = this.#path): Stream {
    const name = path?.replace(/^\\+/, '');
    const meta: FileMeta = {
      name,
      direction,
      ...(this.#share === undefined ? {} : { path: this.#share }),
      ...(direction === 'download' && this.#sizeAtOpening !== undefined ? { declaredSize: this.#sizeAtOpening } : {}),
    };
    const file = this.#flow.openFile(meta);
    const stream = name === undefined ? undefined : streamOf(name);
    if (stream !== undefined) file.renamed?.(stream);
    if (this.#renamed !== undefined) nameAlso(file, this.#renamed);
    return { file, seen: new Extent(this.#flow.limits.holes) };
  }
}

function put({ file, seen }: Stream, at: number, chunk: Buffer, start: number, end: number): void {
  file.writeAt(at, chunk, start, end);
  seen.add(at, at + end - start);
}

/** `size`: what the file has; undefined: nobody said. */
function finish({ file, seen }: Stream, size: number | undefined): void {
  if (size === undefined || seen.covers(Math.max(size, seen.end))) file.end();
  else file.abort('reset');
}

/** Its other names, for the file filter. */
export function nameAlso(file: FileStream, path: string): void {
  const stream = streamOf(path);
  for (const name of [leaf(path), stream]) if (name !== undefined) file.renamed?.(name);
}

function leaf(path: string): string {
  return path.slice(path.lastIndexOf('\\') + 1) || path;
}

/** The `evil.exe` of `file.txt:evil.exe:$DATA` ([MS-FSCC] 2.1.5): it runs under that name. */
export function streamOf(path: string): string | undefined {
  const stream = leaf(path).split(':', 2)[1];
  return stream === '' ? undefined : stream;
}
