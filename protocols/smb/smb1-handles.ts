/**
 * What a client of SMB 1 has open: trees by TID, and files by FID, which is one's own throughout the connection ([MS-CIFS] 2.2.1.6). A handle
 * is there from the request that opens it, since commands chained to that use it before anybody knows its FID.
 */
import type { Smb1File } from './smb1-file.js';

/** A share, from the request that connects it. */
export interface Tree {
  readonly share: string;
  /** Pipes, printers and devices have no files. */
  disk: boolean;
}

export interface Handle {
  /** Undefined until the answer. */
  fid: number | undefined;
  readonly tree: Tree | undefined;
  readonly tid: number;
  readonly uid: number;
  readonly pid: number;
  path: string | undefined;
  /** Undefined: not made yet, or `nofile`. */
  file: Smb1File | undefined;
  /** A directory, pipe, printer or device. */
  nofile: boolean;
  /** Where the last bytes ended: what an answer that lacks its request goes on from. */
  position: number;
}

/** The last part of `\\server\share`, or of a name without server. */
export function shareOf(path: string): string {
  return path.slice(path.lastIndexOf('\\') + 1);
}

/** IPC$ by its service, or by name where a recording lacks the answer. */
export function isDisk(share: string, service: string): boolean {
  if (service === 'IPC' || service === 'COMM' || service.startsWith('LPT')) return false;
  return share.toUpperCase() !== 'IPC$';
}

export class Handles {
  readonly #open = new Map<number, Handle>();
  /** Opened, and not answered: in the order of the requests. */
  readonly #asked = new Set<Handle>();

  asked(handle: Handle): void {
    this.#asked.add(handle);
  }

  of(fid: number): Handle | undefined {
    return this.#open.get(fid);
  }

  /** Its FID is known. What had that FID before, and was never closed. */
  bind(handle: Handle, fid: number): Handle | undefined {
    this.#asked.delete(handle);
    const before = this.#open.get(fid);
    handle.fid = fid;
    this.#open.set(fid, handle);
    return before === handle ? undefined : before;
  }

  /** The one that has waited longest for its answer. */
  unanswered(): Handle | undefined {
    for (const handle of this.#asked) return handle;
    return undefined;
  }

  remove(handle: Handle): void {
    this.#asked.delete(handle);
    if (handle.fid !== undefined && this.#open.get(handle.fid) === handle) this.#open.delete(handle.fid);
  }

  get count(): number {
    return this.#open.size + this.#asked.size;
  }

  /** The one that has been open for longest. */
  oldest(): Handle | undefined {
    for (const handle of this.#open.values()) return handle;
    return this.unanswered();
  }

  /** All, opened and asked for. */
  all(): Handle[] {
    return [...this.#open.values(), ...this.#asked];
  }
}
