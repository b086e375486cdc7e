/**
 * What outlives one connection of SMB 2 and 3: sessions with their trees and open files, which several connections may share as channels
 * ([MS-SMB2] 3.3.1.8), and the keys of those whose credentials are known.
 */
import type { Crypto } from '../../src/core/crypto.js';
import type { Flow } from '../../src/core/flow.js';
import { KiB, type Limits } from '../../src/core/limits.js';
import type { Secret } from '../../src/core/secret.js';
import { OpenedFile } from './opened-file.js';
import type { SessionKeys } from './smb2-keys.js';
import { PAGE, Spares } from './spares.js';

/** What is kept of used memory: 8 MiB of pages, and some of the largest messages that clients usually ask for. */
const PAGES = 128;
const MESSAGES = 4;
const LARGE_MESSAGE = 64 * KiB;
const LARGEST_MESSAGE = 1024 * KiB + 4 * KiB;

export interface Tree {
  /** `\\server\share`, as the client named it. */
  readonly share: string | undefined;
  /** Pipes and printers have no files. */
  disk: boolean;
}

/** From the request that opens it. */
export interface Handle {
  readonly session: Session;
  readonly tree: Tree | undefined;
  path: string | undefined;
  nofile: boolean;
  file: OpenedFile | undefined;
  /** Undefined until the answer. */
  id: string | undefined;
  /** Where the last bytes without a known place ended. */
  position: number;
}

export class Session {
  /** Its own, and its server's. */
  readonly id: string;
  readonly trees = new Map<number, Tree>();
  readonly handles = new Map<string, Handle>();
  /** Handles whose answers have not been seen, in the order of their requests. */
  readonly waiting = new Set<Handle>();
  keys: SessionKeys | undefined;
  /** Connections that use it. */
  readonly channels = new Set<Flow>();

  constructor(id: string) {
    this.id = id;
  }

  /** The file of a handle, told by `flow` from now on; undefined where it has none. */
  fileOf(handle: Handle, flow: Flow): OpenedFile | undefined {
    if (handle.nofile) return undefined;
    handle.file ??= new OpenedFile(flow, handle.tree?.share, handle.path);
    handle.file.movedTo(flow);
    return handle.file;
  }

  /** A handle is closed, or given up. */
  forget(handle: Handle): void {
    this.waiting.delete(handle);
    if (handle.id !== undefined && this.handles.get(handle.id) === handle) this.handles.delete(handle.id);
  }

  /** Nothing more comes of it. */
  end(reason: 'gap' | 'reset'): void {
    for (const handle of [...this.handles.values(), ...this.waiting]) handle.file?.abort(reason);
    this.handles.clear();
    this.waiting.clear();
  }
}

/** All sessions of a driver. */
export class Sessions {
  readonly crypto: Crypto;
  readonly secrets: readonly Secret[];
  /** Live: memory of held bytes and of messages, of all connections. */
  readonly pages = new Spares(PAGES, PAGE, PAGE);
  readonly messages = new Spares(MESSAGES, LARGE_MESSAGE, LARGEST_MESSAGE);
  readonly #byId = new Map<string, Session>();

  constructor(crypto: Crypto, secrets: readonly Secret[]) {
    this.crypto = crypto;
    this.secrets = secrets;
  }

  /** The session of this id, which names its server too; made when it is new. */
  of(id: string, limits: Pick<Limits, 'smbSessions'>): Session {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    if (this.#byId.size >= limits.smbSessions) {
      const [oldest] = this.#byId;
      if (oldest !== undefined) {
        oldest[1].end('gap');
        this.#byId.delete(oldest[0]);
      }
    }
    const fresh = new Session(id);
    this.#byId.set(id, fresh);
    return fresh;
  }

  /** One of its connections has ended; with the last one, the session. */
  left(session: Session, flow: Flow): void {
    session.channels.delete(flow);
    if (session.channels.size > 0) return;
    session.end('reset');
    if (this.#byId.get(session.id) === session) this.#byId.delete(session.id);
  }
}
