/**
 * SMB 2 and 3 live where messages are signed and nobody but their ends has the key: nothing can be changed, so messages are held, and go on or the
 * connection ends. Answers to reads and requests to write are held until the file is there as a whole, or until the client waits for them: then what has
 * come so far is judged before it goes. What completes a file (its last bytes, CLOSE, FLUSH, a new name) goes behind the verdict of the whole.
 */
import type { Buffer } from 'node:buffer';
import type { FileId, FileMeta, Verdict } from '../../../src/core/file.js';
import { CLIENT, type Flow, SERVER, type Side, type Unit } from '../../../src/core/flow.js';
import type { SmbEvent } from '../events.js';
import { Extent } from '../extent.js';
import { nameAlso, streamOf } from '../opened-file.js';
import { COMMAND, fileIdAt, HEADER, number64, STATUS } from '../smb2-message.js';
import { parseCreate, parseCreated, parseSetInfo, parseTreeConnect } from '../smb2-requests.js';
import type { Spares } from '../spares.js';
import { hasFiles, reconnects, refusedControl } from './asks.js';
import { HeldBytes } from './held-bytes.js';
import { type Command, framed, REFUSAL } from './message.js';
import type { Wire } from './wire.js';

/** A client that says nothing for so many milliseconds while something is held waits for it. */
const PATIENCE = 150;

/** Files up to here are judged whenever that is of use; a larger one, once for each of these that it has, when its client waits. */
const SMALL = 4 * 1024 * 1024;
const PART = 8 * 1024 * 1024;
/** An answer without data ([MS-SMB2] 2.2.2), padded to 8 bytes. */
const ERROR = HEADER + 16;

interface Tree {
  readonly share: string | undefined;
  disk: boolean;
}

/** A message that waits for verdicts. */
interface Held {
  readonly unit: Unit;
  waits: number;
}

/** What goes one way of a file. */
interface Content {
  readonly direction: 'upload' | 'download';
  readonly tree: Tree | undefined;
  readonly path: string | undefined;
  readonly names: string[];
  readonly bytes: HeldBytes;
  readonly unit: Unit;
  readonly seen: Extent;
  /** What it has in all, where that is known; -1: something of it was never seen. */
  size: number | undefined;
  /** Messages that wait for the verdict, in order. */
  held: Held[];
  /** Bytes, or a name, came since it was judged; and how many bytes. */
  unjudged: boolean;
  fresh: number;
  /** For how often the client was found waiting since it was judged. */
  waited: number;
  judging: boolean;
  /** It was judged as oversize, and may pass. */
  passes: boolean;
  /** Nobody has it open any more. */
  closed: boolean;
}

interface Handle {
  readonly tree: Tree | undefined;
  path: string | undefined;
  readonly size: number;
  readonly fresh: boolean;
  reading: Content | undefined;
  writing: Content | undefined;
}

interface Asked {
  readonly command: number;
  readonly handle: Handle | undefined;
  readonly create: { readonly tree: Tree | undefined; readonly path: string | undefined } | undefined;
  readonly share: string | undefined;
  readonly at: number;
}

export class SignedSmb2 {
  readonly #flow: Flow;
  readonly #wire: Wire;
  readonly #trees = new Map<string, Tree>();
  readonly #handles = new Map<string, Handle>();
  readonly #asked = new Map<number, Asked>();
  readonly #awaited = new Map<FileId, (blocked: boolean) => void>();
  /** With something held, or unjudged. */
  readonly #contents = new Set<Content>();
  /** Bytes kept of all contents. */
  #heldBytes = 0;
  /** With so many messages of one file held the client was seen to wait for them. */
  readonly #outstanding = { upload: Number.POSITIVE_INFINITY, download: Number.POSITIVE_INFINITY };
  #heard = false;
  #waking = false;
  readonly #pages: Spares;

  constructor(
    flow: Flow,
    wire: Wire,
    pages: Spares,
    known: readonly { readonly session: string; readonly trees: ReadonlyMap<number, Tree> }[],
  ) {
    this.#flow = flow;
    this.#wire = wire;
    this.#pages = pages;
    for (const { session, trees } of known)
      for (const [id, tree] of trees) this.#trees.set(`${session} ${id}`, { ...tree });
  }

  client(commands: readonly Command[], bytes: Buffer, wire: Buffer | undefined): void {
    this.#heard = true;
    const waits = new Set<Content>();
    let due = commands.length > 1;
    let last: Handle | undefined;
    for (const command of commands) {
      const wanted = this.#request(command, last);
      if (wanted === 'end') return;
      last = wanted.handle ?? last;
      for (const content of wanted.waits) waits.add(content);
      due ||= wanted.due;
    }
    this.#hold(SERVER, wire ?? framed(bytes), waits, due);
  }

  server(commands: readonly Command[], bytes: Buffer, wire: Buffer | undefined): void {
    const waits = new Set<Content>();
    let due = false;
    for (const command of commands) {
      const content = this.#answer(command);
      if (content === 'end') return;
      if (content === undefined) continue;
      waits.add(content);
      due ||= content.size !== undefined && content.seen.covers(content.size);
    }
    this.#hold(CLIENT, wire ?? framed(bytes), waits, due);
  }

  verdict(id: FileId, verdict: Verdict): void {
    const then = this.#awaited.get(id);
    this.#awaited.delete(id);
    then?.(verdict.action === 'block' || verdict.action === 'strip');
  }

  /** The client was silent for long enough, or not. */
  wake(now: number): void {
    this.#waking = false;
    if (this.#contents.size === 0) return;
    if (!this.#heard)
      for (const content of [...this.#contents]) {
        // A large file is judged less often than its client waits for it.
        if (++content.waited * PART < content.bytes.memory) continue;
        this.#outstanding[content.direction] = content.held.length;
        this.#judge(content);
      }
    this.#heard = false;
    this.#waking = true;
    this.#flow.wakeAt(now + PATIENCE);
  }

  clientEnded(): void {
    for (const content of this.#contents) {
      if (content.direction !== 'upload' || !content.unjudged || content.judging) continue;
      const file = this.#flow.openFile(metaOf(content), content.unit);
      content.bytes.tell(file);
      file.abort('reset');
    }
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #request(
    command: Command,
    last: Handle | undefined,
  ): { waits: readonly Content[]; due: boolean; handle?: Handle | undefined } | 'end' {
    const { header, bytes } = command;
    const end = bytes.length;
    const nothing = { waits: [], due: false };
    if (header.command === COMMAND.cancel) return nothing;
    const tree = this.#trees.get(treeName(command));
    const disk = tree?.disk !== false;
    const ask = (more: Partial<Asked>): void => {
      if (this.#asked.size >= this.#flow.limits.smbRequests) this.#end('smb2-requests-limit');
      const asked = { command: header.command, handle: undefined, create: undefined, share: undefined, at: 0 };
      this.#asked.set(header.messageId, { ...asked, ...more });
    };
    const handleAt = (place: number): Handle | undefined =>
      end < HEADER + place + 16 ? undefined : (this.#handles.get(fileIdAt(bytes, HEADER + place)) ?? last);
    switch (header.command) {
      case COMMAND.treeConnect:
        ask({ share: parseTreeConnect(bytes, 0, end) });
        return nothing;
      case COMMAND.sessionSetup:
        if ((bytes[HEADER + 2] ?? 0) & 1) return this.#end('smb2-channel-refused');
        ask({});
        return nothing;
      case COMMAND.create: {
        const asked = parseCreate(bytes, 0, end);
        if (asked === undefined || reconnects(bytes)) return this.#end('smb2-signed-refused');
        ask({ create: { tree, path: asked.path } });
        // What is written to it, or was, is seen by this open.
        return { waits: this.#uploads(tree, asked.path), due: true };
      }
      case COMMAND.read:
        ask({ handle: handleAt(16), at: end < HEADER + 16 ? 0 : number64(bytes, HEADER + 8) });
        return { waits: this.#written(handleAt(16)), due: true, handle: handleAt(16) };
      case COMMAND.write: {
        const handle = handleAt(16);
        ask({ handle });
        if (!disk) return nothing;
        const content = this.#written1(command, handle);
        if (content === 'end') return 'end';
        return { waits: content.passes ? [] : [content], due: false, handle };
      }
      case COMMAND.ioctl: {
        ask({ handle: handleAt(8) });
        const refused = refusedControl(bytes);
        // Where else the server listens is of no use: a channel from there is none of this session's here.
        if (refused === REFUSAL.invalidDeviceRequest && disk) return this.#end('smb2-signed-refused');
        return nothing;
      }
      case COMMAND.close:
      case COMMAND.flush: {
        const handle = handleAt(8);
        ask({ handle });
        return { waits: this.#written(handle), due: true, handle };
      }
      case COMMAND.setInfo: {
        const handle = handleAt(16);
        ask({ handle });
        const set = parseSetInfo(bytes, 0, end);
        if (set === undefined || handle === undefined || set.info.kind === 'other') return { ...nothing, handle };
        if (set.info.kind === 'rename') {
          const content = this.#content(handle, 'upload');
          content.names.push(set.info.path);
          content.unjudged = true;
          return { waits: [content], due: true, handle };
        }
        if (set.info.kind === 'size' && handle.writing !== undefined) handle.writing.bytes.setSize(set.info.size);
        return { waits: this.#written(handle), due: true, handle };
      }
      case COMMAND.treeDisconnect:
      case COMMAND.logoff:
        ask({});
        return { waits: [...this.#contents].filter(({ direction }) => direction === 'upload'), due: true };
      default:
        ask({});
        return nothing;
    }
  }

  #written(handle: Handle | undefined): Content[] {
    const writing = handle?.writing;
    return writing === undefined || !this.#contents.has(writing) ? [] : [writing];
  }

  #uploads(tree: Tree | undefined, path: string | undefined): Content[] {
    const key = path?.toLowerCase();
    return [...this.#contents].filter(
      (each) => each.direction === 'upload' && each.tree === tree && each.path?.toLowerCase() === key,
    );
  }

  #written1({ bytes }: Command, handle: Handle | undefined): Content | 'end' {
    if (handle === undefined || bytes.length < HEADER + 48) return this.#end('smb2-unknown-handle');
    const start = bytes.readUInt16LE(HEADER + 2);
    const length = bytes.readUInt32LE(HEADER + 4);
    const at = number64(bytes, HEADER + 8);
    const wrong = start < HEADER + 48 || start + length > bytes.length || bytes.readUInt32LE(HEADER + 32) !== 0;
    if ((length > 0 && wrong) || at + length > Number.MAX_SAFE_INTEGER) return this.#end('smb2-data-length');
    const content = this.#content(handle, 'upload');
    if (!content.passes) this.#came(content, at, bytes, start, length);
    return content;
  }

  // ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #answer(command: Command): Content | undefined | 'end' {
    const { header, bytes } = command;
    const { status } = header;
    if (status === STATUS.pending || header.command === COMMAND.oplockBreak) return undefined;
    const asked = this.#asked.get(header.messageId);
    this.#asked.delete(header.messageId);
    if (asked === undefined || asked.command !== header.command) return this.#end('smb2-unasked-answer');
    const done = status === STATUS.success || status === STATUS.bufferOverflow;
    // An error has no data behind it, whatever a client makes of the status.
    if (!done && header.command === COMMAND.read && bytes.length > ERROR) return this.#end('smb2-data-length');
    if (!done) return undefined;
    switch (header.command) {
      case COMMAND.treeConnect:
        if (bytes.length >= HEADER + 16 && this.#trees.size < this.#flow.limits.smbHandles)
          this.#trees.set(treeName(command), { share: asked.share, disk: hasFiles(asked.share, bytes[HEADER + 2]) });
        return undefined;
      case COMMAND.create: {
        const created = parseCreated(bytes, 0, bytes.length);
        if (created === undefined || asked.create === undefined) return undefined;
        if (this.#handles.size >= this.#flow.limits.smbHandles) return this.#end('smb2-handles-limit');
        this.#handles.set(created.id, {
          ...asked.create,
          size: created.size,
          fresh: created.fresh,
          reading: undefined,
          writing: undefined,
        });
        return undefined;
      }
      case COMMAND.close: {
        const { handle } = asked;
        for (const [id, each] of this.#handles) {
          if (each !== handle) continue;
          this.#handles.delete(id);
          break;
        }
        for (const content of [handle?.reading, handle?.writing])
          if (content !== undefined && !this.#shared(content)) this.#leave(content);
        return undefined;
      }
      case COMMAND.read: {
        const { handle } = asked;
        if (handle?.tree?.disk === false) return undefined;
        // A pipe of a share that is none of ours has no handle either.
        if (handle === undefined) return this.#end('smb2-unknown-handle');
        if (bytes.length < HEADER + 16) return this.#end('smb2-cut');
        const start = bytes[HEADER + 2] ?? 0;
        const length = bytes.readUInt32LE(HEADER + 4);
        if (start < HEADER + 16 || start + length > bytes.length) return this.#end('smb2-data-length');
        const content = this.#content(handle, 'download');
        if (content.passes) return undefined;
        this.#came(content, asked.at, bytes, start, length);
        return content;
      }
    }
    return undefined;
  }

  #shared(content: Content): boolean {
    for (const { reading, writing } of this.#handles.values())
      if (reading === content || writing === content) return true;
    return false;
  }

  // ── Contents ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #content(handle: Handle, direction: 'upload' | 'download'): Content {
    const known = direction === 'upload' ? handle.writing : handle.reading;
    if (known !== undefined) return known;
    const { tree, path, size, fresh } = handle;
    const unit = this.#flow.unit(CLIENT, 'aside');
    // Halves of a file that are read through two handles are one file.
    const shared =
      direction === 'download'
        ? [...this.#handles.values()].find(
            (each) => each.tree === tree && each.path === path && each.reading !== undefined,
          )?.reading
        : undefined;
    const content: Content = shared ?? {
      direction,
      tree,
      path,
      names: [],
      bytes: new HeldBytes((page) => {
        this.#heldBytes += page.length;
        this.#flow.send(CLIENT, page, unit);
      }, this.#pages),
      unit,
      seen: new Extent(this.#flow.limits.holes),
      size: direction === 'download' ? size : fresh ? 0 : -1,
      held: [],
      unjudged: false,
      fresh: 0,
      waited: 0,
      judging: false,
      passes: false,
      closed: false,
    };
    if (shared !== undefined) unit.replace();
    if (direction === 'upload') handle.writing = content;
    else handle.reading = content;
    return content;
  }

  #came(content: Content, at: number, bytes: Buffer, start: number, length: number): void {
    content.bytes.put(at, bytes, start, start + length, false);
    content.seen.add(at, at + length);
    content.fresh += length;
    content.unjudged = true;
  }

  /** A message goes when what it waits for was judged. */
  #hold(toward: Side, wire: Buffer, waits: ReadonlySet<Content>, due: boolean): void {
    const open = [...waits].filter((content) => content.unjudged || content.judging || content.held.length > 0);
    const [first] = open;
    if (first === undefined) return this.#wire.forward(toward, wire);
    const unit = this.#flow.unit(toward, 'aside');
    this.#flow.send(toward, wire, unit);
    const held: Held = { unit, waits: open.length };
    for (const content of open) {
      content.held.push(held);
      this.#contents.add(content);
    }
    const { limits } = this.#flow;
    // A client that waited with so many outstanding does so again.
    const waiting = first.held.length >= this.#outstanding[first.direction];
    const early = (waiting || this.#heldBytes > limits.heldPerFlow / 4) && isCheap(first);
    if (due || early || first.bytes.memory > limits.smbHeld) for (const content of open) this.#judge(content);
    else if (!this.#waking) {
      this.#waking = true;
      this.#flow.wakeAt(0);
    }
  }

  #judge(content: Content): void {
    if (content.judging) return;
    if (!content.unjudged) return this.#release(content);
    content.judging = true;
    content.unjudged = false;
    content.fresh = 0;
    content.waited = 0;
    const file = this.#flow.openFile(metaOf(content), content.unit);
    const stream = content.path === undefined ? undefined : streamOf(content.path);
    if (stream !== undefined) file.renamed?.(stream);
    for (const name of content.names) nameAlso(file, name);
    const tooMuch = content.bytes.memory > this.#flow.limits.smbHeld;
    content.bytes.tell(file);
    // What lies below what is written was never seen.
    const unseen = content.size === -1 && content.bytes.size > 0 && !content.seen.covers(content.bytes.size);
    if (tooMuch || unseen) file.gap(0);
    const going = content.held.splice(0);
    file.end();
    this.#awaited.set(file.id, (blocked) => {
      content.judging = false;
      if (blocked) return this.#end(content.direction === 'upload' ? 'smb2-signed-upload' : 'smb2-signed-download');
      if (tooMuch) {
        content.passes = true;
        content.unjudged = false;
        going.push(...content.held.splice(0));
      }
      for (const held of going) letGo(held);
      if (content.unjudged || content.held.length > 0) this.#judgeSoon(content);
      else {
        this.#contents.delete(content);
        if (content.closed) this.#over(content);
      }
    });
  }

  /** More came while it was judged. */
  #judgeSoon(content: Content): void {
    const complete = content.direction === 'upload' || content.size === undefined || content.seen.covers(content.size);
    if (complete) this.#judge(content);
    else if (!this.#waking) {
      this.#waking = true;
      this.#flow.wakeAt(0);
    }
  }

  #release(content: Content): void {
    for (const held of content.held.splice(0)) letGo(held);
    this.#contents.delete(content);
    if (content.closed) this.#over(content);
  }

  #leave(content: Content): void {
    content.closed = true;
    if (content.judging) return;
    if (content.held.length > 0 || content.unjudged) this.#judge(content);
    else this.#over(content);
  }

  #over(content: Content): void {
    this.#heldBytes -= content.bytes.memory;
    content.unit.replace();
  }

  #end(event: SmbEvent): 'end' {
    this.#flow.anomaly(event, CLIENT);
    this.#flow.reset(event);
    return 'end';
  }
}

/** It is small, or much of it is new: judged as often as that, a file is read a few times in all. */
function isCheap({ bytes, fresh }: Content): boolean {
  return bytes.memory < SMALL || fresh * 8 >= bytes.memory;
}

function letGo(held: Held): void {
  if (--held.waits === 0) held.unit.release();
}

function metaOf({ path, tree, direction }: Content): FileMeta {
  const name = path?.replace(/^\\+/, '');
  return { name, direction, ...(tree?.share === undefined ? {} : { path: tree.share }) };
}

function treeName({ header }: Command): string {
  return `${header.sessionHigh}.${header.sessionLow} ${header.treeId}`;
}
