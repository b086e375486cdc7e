/** A session of a live connection: its trees, and what is open in them. */
import type { Session } from '../smb2-session.js';
import type { LiveFile } from './live-file.js';

export interface LiveTree {
  /** `\\\\server\\share`, as the client named it. */
  readonly share: string | undefined;
  /** Pipes and printers have no files. */
  readonly disk: boolean;
}

export interface LiveSession {
  readonly session: Session;
  readonly trees: Map<number, LiveTree>;
  /** By their ids on the server. */
  readonly files: Map<string, LiveFile>;
  /** Its SESSION_SETUP is over. */
  established: boolean;
}
