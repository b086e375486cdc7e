/**
 * What SMB 1 tells of one opened file; whoever frames the connection decides what files that makes (one that is read and written, rewritten,
 * renamed). Bytes come with their place, in any order, and are valid during the call only.
 */
import type { Buffer } from 'node:buffer';
import type { Opening } from './opened-file.js';

export interface Smb1File {
  /** Its open was answered; `size` as it was then, where the answer says so; `opening`, where the request was seen. Not called where the answer was not seen. */
  opened(size: number | undefined, opening?: Opening): void;
  /** Bytes that the client writes. */
  write(place: number, chunk: Buffer, start: number, end: number): void;
  /** Bytes that the server gave. */
  read(place: number, chunk: Buffer, start: number, end: number): void;
  /** It is cut, or made longer. */
  setSize(size: number): void;
  /** [from, to) is zeros now. */
  zero(from: number, to: number): void;
  /** It has this path as well, as SMB writes it. */
  rename(path: string): void;
  /** The server put bytes into it that nobody saw. */
  unseen(): void;
  /** Its bytes go by a guess: it is never clean. */
  gap(): void;
  /** The recording lacks something that the client said while it was open: writes may be among that. */
  missed(): void;
  /** Readers may differ on what is in it. */
  malformed(code: string): void;
  /** Its handle was closed. Nothing follows. */
  close(): void;
  /** `reset`: the open was refused, or the connection ended first. `gap`: its close was lost, or it was given up. Nothing follows. */
  abort(reason: 'gap' | 'reset'): void;
}

/** Makes one. `share` and `path` as on the wire; undefined where a recording lacks them. */
export type OpenSmb1File = (share: string | undefined, path: string | undefined) => Smb1File;
