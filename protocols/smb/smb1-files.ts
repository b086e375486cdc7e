/**
 * What requests of SMB 1 do to trees and files, once it is known that they did ([MS-CIFS] 3.3.5). A file is made when its open is
 * answered, or when the first byte of it comes, and ends with its handle.
 */
import { CLIENT, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import type { Smb1Event } from './smb1-events.js';
import type { Asked } from './smb1-exchanges.js';
import type { OpenSmb1File, Smb1File } from './smb1-file.js';
import { type Handle, Handles, isDisk, shareOf, type Tree } from './smb1-handles.js';
import type { Header } from './smb1-message.js';
import type { Opened } from './smb1-replies.js';
import type { Request } from './smb1-requests.js';

export class Smb1Files {
  /** The server was heard: its answers tell what became of a request. */
  heard = false;
  /** The recording lacks bytes, or its beginning. */
  loose = false;

  readonly #flow: Flow;
  readonly #openFile: OpenSmb1File;
  readonly #handles = new Handles();
  readonly #trees = new Map<number, Tree>();
  #lastShare: Tree | undefined;
  /** The newest handle: where the answer to a read that was not seen belongs to, as far as anybody can tell. */
  #latest: Handle | undefined;

  constructor(flow: Flow, openFile: OpenSmb1File) {
    this.#flow = flow;
    this.#openFile = openFile;
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A tree that is being connected. */
  connect(request: Extract<Request, { kind: 'connect' }>): Tree {
    const share = shareOf(request.share);
    const tree = { share, disk: isDisk(share, request.service) };
    if (tree.disk) this.#lastShare = tree;
    return tree;
  }

  /** The tree of a TID. Where the answer is not seen it is the last share that was asked for: never one that has no files. */
  #tree(tid: number): Tree | undefined {
    return this.#trees.get(tid) ?? (this.heard && !this.loose ? undefined : this.#lastShare);
  }

  /** A file that is being opened. `tree`: one that the same message connects. */
  open(request: Extract<Request, { kind: 'open' }>, header: Header, tree: Tree | undefined): Handle {
    const root = request.root === 0 ? undefined : this.#handles.of(request.root)?.path;
    const at = tree ?? this.#tree(header.tid);
    const handle: Handle = {
      fid: undefined,
      tree: at,
      tid: header.tid,
      uid: header.uid,
      pid: header.exchange >>> 16,
      path: root === undefined ? request.path : `${root}\\${request.path}`,
      file: undefined,
      nofile: request.directory || at?.disk === false,
      position: 0,
    };
    this.#handles.asked(handle);
    this.#bound(CLIENT);
    return handle;
  }

  /** The handle of a FID that was opened before. */
  of(fid: number): Handle | undefined {
    const known = this.#handles.of(fid);
    if (known !== undefined) return known;
    // The answer is not seen: the FID is that of the open that has waited longest.
    const waiting = this.heard && !this.loose ? undefined : this.#handles.unanswered();
    if (waiting !== undefined) this.#bind(waiting, fid);
    return waiting;
  }

  /** The handle of a FID whose bytes come; one that nobody saw opened is a file without a name. */
  withBytes(fid: number, header: Header, side: Side): Handle {
    const known = this.of(fid);
    if (known !== undefined) return known;
    this.#flow.anomaly('smb1-unknown-fid' satisfies Smb1Event, side);
    const handle = this.#nameless(header);
    this.#bind(handle, fid);
    this.#bound(side);
    return handle;
  }

  #bound(side: Side): void {
    const oldest = this.#handles.count > this.#flow.limits.smb1Opens ? this.#handles.oldest() : undefined;
    if (oldest === undefined) return;
    this.#flow.anomaly('smb1-opens-limit' satisfies Smb1Event, side);
    this.#handles.remove(oldest);
    oldest.file?.abort('gap');
    oldest.nofile = true;
  }

  /** The handle of bytes that answer a request that was not seen. */
  stray(header: Header): Handle {
    this.#latest ??= this.#nameless(header);
    return this.#latest;
  }

  #nameless(header: Header): Handle {
    const tree = this.#tree(header.tid);
    const nofile = tree?.disk === false;
    const pid = header.exchange >>> 16;
    return {
      fid: undefined,
      tree,
      tid: header.tid,
      uid: header.uid,
      pid,
      path: undefined,
      file: undefined,
      nofile,
      position: 0,
    };
  }

  /** The file of a handle, made when it is first wanted; undefined where it has none. */
  fileOf(handle: Handle): Smb1File | undefined {
    if (handle.nofile) return undefined;
    handle.file ??= this.#openFile(handle.tree?.share, handle.path);
    return handle.file;
  }

  /** Something that the client said is missing. */
  missed(): void {
    for (const handle of this.#handles.all()) this.fileOf(handle)?.missed();
  }

  /** A transaction on a named pipe: whatever had that FID before, its bytes are no file's. */
  pipe(fid: number, header: Header): void {
    const handle = this.#handles.of(fid) ?? this.#nameless(header);
    handle.nofile = true;
    if (handle.fid === undefined) this.#bind(handle, fid);
  }

  // ── What became of them ────────────────────────────────────────────────────────────────────────────────────────────────

  connected(tree: Tree, tid: number, service: string): void {
    if (service !== '') tree.disk = isDisk(tree.share, service);
    const { smb1Opens } = this.#flow.limits;
    if (this.#trees.size >= smb1Opens && !this.#trees.has(tid)) {
      this.#flow.anomaly('smb1-opens-limit' satisfies Smb1Event, SERVER);
      for (const oldest of this.#trees.keys()) {
        this.#trees.delete(oldest);
        break;
      }
    }
    this.#trees.set(tid, tree);
  }

  /** `asked`: the request, where it was seen. */
  opened(handle: Handle, opened: Opened, asked?: Extract<Request, { kind: 'open' }>): void {
    if (opened.path !== undefined) handle.path = opened.path;
    // Whatever the client calls it.
    handle.nofile = !opened.file || handle.tree?.disk === false;
    this.#bind(handle, opened.fid);
    if (asked === undefined) this.fileOf(handle)?.opened(opened.size);
    else {
      const { reads, writes, empties } = asked;
      this.fileOf(handle)?.opened(opened.size, { fresh: opened.fresh || empties, reads, writes });
    }
  }

  /** An open whose request was not seen. */
  openedUnasked(opened: Opened, header: Header): void {
    this.opened(this.#nameless(header), opened);
    this.#bound(SERVER);
  }

  refused(handle: Handle): void {
    this.#handles.remove(handle);
    handle.file?.abort('reset');
    handle.file = undefined;
    handle.nofile = true;
  }

  #bind(handle: Handle, fid: number): void {
    const before = this.#handles.bind(handle, fid);
    // A FID is given anew when it is free: its close was lost.
    if (before !== undefined) before.file?.abort('gap');
    this.#latest = handle;
  }

  /** What was asked has happened. Opens and reads have answers of their own. */
  happened({ request, handle }: Asked, header: Header): void {
    switch (request.kind) {
      case 'close':
        return this.#close(handle ?? this.#handles.of(request.fid));
      case 'write':
        if (request.closes) this.#close(handle);
        return;
      case 'set-size':
        handle?.file?.setSize(request.size);
        return;
      case 'zero':
        handle?.file?.zero(request.from, request.to);
        return;
      case 'rename-handle':
        if (handle !== undefined) this.#name(handle, pathBeside(handle.path, request.to), request.link);
        return;
      case 'copy':
        if (handle !== undefined) this.fileOf(handle)?.unseen();
        return;
      case 'rename':
        return this.#renamePath(request, header.tid);
      case 'disconnect':
        this.#trees.delete(header.tid);
        return this.#closeAll((open) => open.tid === header.tid);
      case 'logoff':
        return this.#closeAll((open) => open.uid === header.uid);
      case 'exit':
        return this.#closeAll((open) => open.pid === header.exchange >>> 16);
      default:
        return;
    }
  }

  /** By its path, whether it is open or not; a link gives a file one name more. Nothing says whether it is a directory. */
  #renamePath({ from, to, link }: Extract<Request, { kind: 'rename' }>, tid: number): void {
    const open = this.#handles.all().filter((handle) => handle.tid === tid && samePath(handle.path, from));
    for (const handle of open) this.#name(handle, to, link);
    const tree = this.#tree(tid);
    if (open.length > 0 || tree?.disk === false) return;
    const file = this.#openFile(tree?.share, from);
    file.rename(to);
    file.close();
  }

  #name(handle: Handle, path: string, link: boolean): void {
    this.fileOf(handle)?.rename(path);
    if (!link) handle.path = path;
  }

  #close(handle: Handle | undefined): void {
    if (handle === undefined) return;
    this.#handles.remove(handle);
    if (this.#latest === handle) this.#latest = undefined;
    handle.file?.close();
    handle.file = undefined;
    handle.nofile = true;
  }

  #closeAll(which: (handle: Handle) => boolean): void {
    for (const handle of this.#handles.all()) if (which(handle)) this.#close(handle);
  }

  /** The answer to a close whose request was not seen. */
  closedUnasked(): void {
    this.#close(this.#latest);
  }

  /** The connection is over: what is still open was cut. */
  end(): void {
    for (const handle of this.#handles.all()) {
      this.#handles.remove(handle);
      handle.file?.abort('reset');
    }
  }
}

/** [MS-FSCC] 2.4.42: a name without a backslash stays in its directory. */
function pathBeside(path: string | undefined, to: string): string {
  if (to.includes('\\') || path === undefined) return to;
  return path.slice(0, path.lastIndexOf('\\') + 1) + to;
}

/** Servers of SMB 1 do not tell cases apart. */
function samePath(path: string | undefined, other: string): boolean {
  return path?.replace(/^\\/, '').toLowerCase() === other.replace(/^\\/, '').toLowerCase();
}
