/**
 * The commands of SMB 1 ([MS-CIFS] 2.2.2.1, 2.2.6, 2.2.7; [MS-SMB] 2.2.2) by number. What is not here follows by the length of its message
 * and is noted; what is here and carries no file (searches, attributes, locks) is paired with its answer and otherwise left alone.
 */
export const CREATE_DIRECTORY = 0x00;
export const DELETE_DIRECTORY = 0x01;
export const OPEN = 0x02;
export const CREATE = 0x03;
export const CLOSE = 0x04;
export const FLUSH = 0x05;
export const DELETE = 0x06;
export const RENAME = 0x07;
export const QUERY_INFORMATION = 0x08;
export const SET_INFORMATION = 0x09;
export const READ = 0x0a;
export const WRITE = 0x0b;
export const LOCK_BYTE_RANGE = 0x0c;
export const UNLOCK_BYTE_RANGE = 0x0d;
export const CREATE_TEMPORARY = 0x0e;
export const CREATE_NEW = 0x0f;
export const CHECK_DIRECTORY = 0x10;
export const PROCESS_EXIT = 0x11;
export const SEEK = 0x12;
export const LOCK_AND_READ = 0x13;
export const WRITE_AND_UNLOCK = 0x14;
export const READ_RAW = 0x1a;
export const WRITE_RAW = 0x1d;
export const WRITE_COMPLETE = 0x20;
export const SET_INFORMATION2 = 0x22;
export const QUERY_INFORMATION2 = 0x23;
export const LOCKING_ANDX = 0x24;
export const TRANSACTION = 0x25;
export const TRANSACTION_SECONDARY = 0x26;
export const IOCTL = 0x27;
export const ECHO = 0x2b;
export const WRITE_AND_CLOSE = 0x2c;
export const OPEN_ANDX = 0x2d;
export const READ_ANDX = 0x2e;
export const WRITE_ANDX = 0x2f;
export const TRANSACTION2 = 0x32;
export const TRANSACTION2_SECONDARY = 0x33;
export const FIND_CLOSE2 = 0x34;
export const TREE_CONNECT = 0x70;
export const TREE_DISCONNECT = 0x71;
export const NEGOTIATE = 0x72;
export const SESSION_SETUP_ANDX = 0x73;
export const LOGOFF_ANDX = 0x74;
export const TREE_CONNECT_ANDX = 0x75;
export const QUERY_INFORMATION_DISK = 0x80;
export const SEARCH = 0x81;
export const FIND = 0x82;
export const FIND_UNIQUE = 0x83;
export const FIND_CLOSE = 0x84;
export const NT_TRANSACT = 0xa0;
export const NT_TRANSACT_SECONDARY = 0xa1;
export const NT_CREATE_ANDX = 0xa2;
export const NT_CANCEL = 0xa4;
export const NT_RENAME = 0xa5;
export const OPEN_PRINT_FILE = 0xc0;
export const WRITE_PRINT_FILE = 0xc1;
export const CLOSE_PRINT_FILE = 0xc2;
export const GET_PRINT_QUEUE = 0xc3;
/** [MS-CIFS] 2.2.3.4: no further command in the message. */
export const NO_ANDX = 0xff;

const ANDX: ReadonlySet<number> = new Set([
  LOCKING_ANDX,
  OPEN_ANDX,
  READ_ANDX,
  WRITE_ANDX,
  SESSION_SETUP_ANDX,
  LOGOFF_ANDX,
  TREE_CONNECT_ANDX,
  NT_CREATE_ANDX,
]);

/** Does its block begin with the command and place of another? */
export function isAndX(command: number): boolean {
  return ANDX.has(command);
}

/** Known, and of no concern here. */
const OTHER: ReadonlySet<number> = new Set([
  CREATE_DIRECTORY,
  DELETE_DIRECTORY,
  FLUSH,
  QUERY_INFORMATION,
  SET_INFORMATION,
  LOCK_BYTE_RANGE,
  UNLOCK_BYTE_RANGE,
  CHECK_DIRECTORY,
  SEEK,
  WRITE_COMPLETE,
  SET_INFORMATION2,
  QUERY_INFORMATION2,
  LOCKING_ANDX,
  IOCTL,
  ECHO,
  FIND_CLOSE2,
  QUERY_INFORMATION_DISK,
  SEARCH,
  FIND,
  FIND_UNIQUE,
  FIND_CLOSE,
  NT_CANCEL,
  OPEN_PRINT_FILE,
  WRITE_PRINT_FILE,
  CLOSE_PRINT_FILE,
  GET_PRINT_QUEUE,
]);

export function isOther(command: number): boolean {
  return OTHER.has(command);
}
