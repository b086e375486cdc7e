/**
 * The requests of SMB 1 that open, read, write, name or close files, as records ([MS-CIFS] 2.2.4, [MS-SMB] 2.2.4). One block of a
 * message gives one record. The bytes of a write are not in it: `bulkOf` says where they lie. Transactions: smb1-transactions.ts.
 */
import {
  CLOSE,
  CREATE,
  CREATE_NEW,
  CREATE_TEMPORARY,
  DELETE,
  isOther,
  LOCK_AND_READ,
  LOGOFF_ANDX,
  NEGOTIATE,
  NT_CREATE_ANDX,
  NT_RENAME,
  NT_TRANSACT,
  NT_TRANSACT_SECONDARY,
  OPEN,
  OPEN_ANDX,
  PROCESS_EXIT,
  READ,
  READ_ANDX,
  READ_RAW,
  RENAME,
  SESSION_SETUP_ANDX,
  TRANSACTION,
  TRANSACTION_SECONDARY,
  TRANSACTION2,
  TRANSACTION2_SECONDARY,
  TREE_CONNECT,
  TREE_CONNECT_ANDX,
  TREE_DISCONNECT,
  WRITE,
  WRITE_AND_CLOSE,
  WRITE_AND_UNLOCK,
  WRITE_ANDX,
  WRITE_RAW,
} from './smb1-commands.js';
import type { Block, Message } from './smb1-message.js';
import { readFormattedText, readText } from './smb1-strings.js';

export type Request =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly root: number;
      readonly directory: boolean;
      readonly reads: boolean;
      readonly writes: boolean;
      /** What was in it is gone, if it is opened. */
      readonly empties: boolean;
    }
  | { readonly kind: 'read'; readonly fid: number; readonly offset: number; readonly raw: boolean }
  | { readonly kind: 'write'; readonly fid: number; readonly offset: number; readonly closes: boolean }
  /** `total`: bytes of this message, if there are `some`, and of the raw one that follows. */
  | {
      readonly kind: 'write-raw';
      readonly fid: number;
      readonly offset: number;
      readonly total: number;
      readonly some: boolean;
    }
  | { readonly kind: 'set-size'; readonly fid: number; readonly size: number }
  | { readonly kind: 'zero'; readonly fid: number; readonly from: number; readonly to: number }
  /** A copy within the server: no bytes of it are seen. */
  | { readonly kind: 'copy'; readonly fid: number }
  | { readonly kind: 'close'; readonly fid: number }
  | { readonly kind: 'delete'; readonly path: string }
  | { readonly kind: 'delete-handle'; readonly fid: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly link: boolean }
  | { readonly kind: 'rename-handle'; readonly fid: number; readonly to: string; readonly link: boolean }
  /** A transaction on a named pipe says that its FID is one. */
  | { readonly kind: 'pipe'; readonly fid: number }
  | { readonly kind: 'connect'; readonly share: string; readonly service: string }
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'logoff' }
  | { readonly kind: 'exit' }
  /** `smb2`: it is among the dialects. */
  | { readonly kind: 'negotiate'; readonly smb2: boolean }
  | { readonly kind: 'session-setup' }
  | { readonly kind: 'transaction' }
  | { readonly kind: 'secondary' }
  | { readonly kind: 'other' }
  | { readonly kind: 'unknown' };

const NONE: Request = { kind: 'other' };
const FILE_DIRECTORY_FILE = 0x01;

/** What a request asks; `message.short` afterwards: it lacks some of what it should have. */
export function parseRequest(message: Message, block: Block, unicode: boolean): Request {
  const { words, wordCount, data } = block;
  const end = Math.min(block.end, message.length);
  const fid = message.length >= words + 2 && wordCount >= 1 ? message.u16(words) : 0;
  switch (block.command) {
    case NT_CREATE_ANDX: {
      const length = message.u16(words + 5);
      const from = unicode ? data + (data & 1) : data;
      const { text } = readText(message, data, Math.min(end, from + length), unicode);
      const directory = (message.u32(words + 39) & FILE_DIRECTORY_FILE) !== 0;
      return {
        kind: 'open',
        path: text,
        root: message.u32(words + 11),
        directory,
        ...accessOf(message.u32(words + 15), message.u32(words + 35)),
      };
    }
    case OPEN_ANDX:
      return opens(readText(message, data, end, unicode).text, modeOf(message.u16(words + 6), message.u16(words + 16)));
    case OPEN:
      return opens(readFormattedText(message, data, end, unicode).text, modeOf(message.u16(words), OPENS));
    case CREATE:
    case CREATE_NEW:
    case CREATE_TEMPORARY:
      return opens(readFormattedText(message, data, end, unicode).text, {
        reads: true,
        writes: true,
        empties: true,
      });
    case READ_ANDX: {
      const high = wordCount >= 12 ? message.u32(words + 20) : 0;
      const offset = message.u32(words + 6) + high * 2 ** 32;
      return { kind: 'read', fid: message.u16(words + 4), offset, raw: false };
    }
    case READ_RAW: {
      const high = wordCount >= 10 ? message.u32(words + 16) : 0;
      return { kind: 'read', fid, offset: message.u32(words + 2) + high * 2 ** 32, raw: true };
    }
    case READ:
    case LOCK_AND_READ:
      return { kind: 'read', fid, offset: message.u32(words + 4), raw: false };
    case WRITE_ANDX: {
      const high = wordCount >= 14 ? message.u32(words + 24) : 0;
      const offset = message.u32(words + 6) + high * 2 ** 32;
      return { kind: 'write', fid: message.u16(words + 4), offset, closes: false };
    }
    case WRITE: {
      const offset = message.u32(words + 4);
      // [MS-CIFS] 2.2.4.12: no bytes cut the file, or make it longer.
      if (message.u16(words + 2) === 0) return { kind: 'set-size', fid, size: offset };
      return { kind: 'write', fid, offset, closes: false };
    }
    case WRITE_AND_UNLOCK:
      return { kind: 'write', fid, offset: message.u32(words + 4), closes: false };
    case WRITE_AND_CLOSE:
      return { kind: 'write', fid, offset: message.u32(words + 4), closes: true };
    case WRITE_RAW: {
      const high = wordCount >= 14 ? message.u32(words + 24) : 0;
      const offset = message.u32(words + 6) + high * 2 ** 32;
      return { kind: 'write-raw', fid, offset, total: message.u16(words + 2), some: message.u16(words + 20) > 0 };
    }
    case CLOSE:
      return { kind: 'close', fid };
    case DELETE:
      return { kind: 'delete', path: readFormattedText(message, data, end, unicode).text };
    case RENAME:
    case NT_RENAME: {
      const from = readFormattedText(message, data, end, unicode);
      const to = readFormattedText(message, from.next, end, unicode);
      // [MS-CIFS] 2.2.4.66.1: SMB_NT_RENAME_SET_LINK_INFO.
      const link = block.command === NT_RENAME && message.u16(words + 2) === 0x0103;
      return { kind: 'rename', from: from.text, to: to.text, link };
    }
    case TREE_CONNECT_ANDX: {
      const path = readText(message, data + message.u16(words + 6), end, unicode);
      return { kind: 'connect', share: path.text, service: readText(message, path.next, end, false).text };
    }
    case TREE_CONNECT: {
      const path = readFormattedText(message, data, end, false);
      const password = readFormattedText(message, path.next, end, false);
      const service = readFormattedText(message, password.next, end, false);
      return { kind: 'connect', share: path.text, service: service.text };
    }
    case TREE_DISCONNECT:
      return { kind: 'disconnect' };
    case LOGOFF_ANDX:
      return { kind: 'logoff' };
    case PROCESS_EXIT:
      return { kind: 'exit' };
    case NEGOTIATE:
      return { kind: 'negotiate', smb2: message.copy(data, end).includes('SMB 2.') };
    case SESSION_SETUP_ANDX:
      return { kind: 'session-setup' };
    case TRANSACTION:
    case TRANSACTION2:
    case NT_TRANSACT:
      return { kind: 'transaction' };
    case TRANSACTION_SECONDARY:
    case TRANSACTION2_SECONDARY:
    case NT_TRANSACT_SECONDARY:
      return { kind: 'secondary' };
    default:
      return isOther(block.command) ? NONE : { kind: 'unknown' };
  }
}

type Access = Pick<Extract<Request, { kind: 'open' }>, 'reads' | 'writes' | 'empties'>;

function opens(path: string, access: Access): Request {
  return { kind: 'open', path, root: 0, directory: false, ...access };
}

const READ_DATA = 0x9000_0001;
const WRITE_DATA = 0x5000_0006;

/** CreateDisposition: supersede, create, overwrite, overwrite if it is there; the others leave what is there. */
const EMPTYING: readonly number[] = [0, 2, 4, 5];

/** A DesiredAccess and a CreateDisposition ([MS-CIFS] 2.2.4.64.1): what touches a file's bytes. */
export function accessOf(desired: number, disposition: number): Access {
  return {
    reads: (desired & READ_DATA) !== 0,
    writes: (desired & WRITE_DATA) !== 0,
    empties: EMPTYING.includes(disposition),
  };
}

/** OpenMode: fail, open or truncate what is there. */
const OPENS = 1;

/** An AccessMode (read, write, both, execute) and an OpenMode ([MS-CIFS] 2.2.4.41.1). */
export function modeOf(mode: number, open: number): Access {
  const access = mode & 7;
  return { reads: access !== 1, writes: access === 1 || access === 2, empties: (open & 3) !== OPENS };
}
