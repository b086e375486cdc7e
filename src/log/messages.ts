/**
 * The messages of utm/virus and utm/file-filter: FortiOS's id, event type, level and text for an outcome. The rule behind the ids: the
 * lower one is written when the object was stopped (`warning`), the next one when it passed (`notice`); mail has ids of its own.
 * A text marked "seen" stands in a vendor's log line or documentation; the others follow the reference's description of the id.
 */
import type { UnscannableReason } from '../core/file.js';
import type { Action, Outcome } from '../policy/outcome.js';
import type { Level } from './record.js';

export interface Message {
  /** `logid`: category (2 digits), event type (2), message (6). */
  readonly logid: string;
  readonly eventtype: string;
  readonly level: Level;
  readonly msg: string;
}

/** One row: [event type's number, event type, id when stopped, id when passed, text when stopped, text when passed]. */
type Row = readonly [string, string, number, number, string, string?];

const INFECTED: Row = ['11', 'infected', 8192, 8193, 'File is infected.']; // seen
const INFECTED_MAIL: Row = [
  '11',
  'infected',
  8194,
  8195,
  'MIME header detected to have a virus and blocked.', // seen
  'MIME header infected and passed.',
];
const EXECUTABLE: Row = ['03', 'filetype-executable', 8200, 8201, 'File is an executable.'];
// There is no id for a file that passed: it is not logged.
const FILE_NAME: Row = ['12', 'filename', 8448, 8448, 'File is blocked.'];
const MIME_FRAGMENTED: Row = [
  '61',
  'mimefragmented',
  8450,
  8451,
  'Fragmented mail is blocked.',
  'Fragmented mail passed.',
];
const OVERSIZE: Row = ['13', 'oversize', 8704, 8705, 'Size limit is exceeded.'];

const scanError = (stopped: number, passed: number, text: string): Row => ['62', 'scanerror', stopped, passed, text];

/** The causes that FortiOS has an id for. */
const SCAN_ERRORS = {
  encrypted: scanError(8962, 8963, 'Encrypted archive.'),
  corrupted: scanError(8964, 8965, 'Corrupted archive.'), // seen
  partiallycorrupted: scanError(8975, 8976, 'Partially corrupted archive.'),
  multipart: scanError(8966, 8967, 'Multipart archive.'),
  nested: scanError(8968, 8969, 'Nested archive.'),
  unhandled: scanError(8972, 8973, 'Unhandled archive.'),
  timeout: scanError(8979, 8980, 'Archive scan timeout.'),
  oversize: scanError(8970, 8971, 'Oversized archive.'),
  'uncompressed-oversize': scanError(8960, 8961, 'File reached uncompressed size limit.'),
  // A bomb is what an archive's size limits are for.
  mailbomb: scanError(8970, 8971, 'Oversized archive.'),
} as const;

/** The causes that FortiOS has no id for, under the nearest; the text says what it was, and the finding's detail follows it. */
const OWN_SCAN_ERRORS = {
  // Bytes that nobody saw: as an archive of which a part cannot be read.
  gap: scanError(8975, 8976, 'A part of the file was not seen.'),
  truncated: scanError(8975, 8976, 'The end of the file was not seen.'),
  fragmented: scanError(8966, 8967, 'A part of a fragmented file.'),
  // Which bytes the receiver has, or how it reads them, is not known: as damage.
  overlap: scanError(8964, 8965, 'Two different contents were seen for the same bytes.'),
  malformed: scanError(8964, 8965, 'Malformed content.'),
  // The engine gave no answer; FortiOS has only "AV Engine load failed", of level error whatever followed.
  'engine-error': scanError(8974, 8974, 'Scan engine failed.'),
  // A bound of the scanner; FortiOS's is "Exceeded max AV memory", of level error as well.
  limit: scanError(8982, 8982, 'A limit of the scan was reached.'),
} as const;

const MESSAGE_OF_REASON: Readonly<Record<UnscannableReason | 'malformed', Row>> = {
  ...SCAN_ERRORS,
  ...OWN_SCAN_ERRORS,
};

/** Was the object kept from its receiver? */
export function stopped(action: Action): boolean {
  return action === 'blocked' || action === 'attachment-removed';
}

/** The utm/virus message of an outcome; `mail` when the object came by mail. */
export function virusMessage(outcome: Exclude<Outcome, { kind: 'file-filter' }>, mail: boolean): Message {
  switch (outcome.kind) {
    case 'infected':
      return message(mail ? INFECTED_MAIL : INFECTED, outcome.action);
    case 'filetype-executable':
      return message(EXECUTABLE, outcome.action);
    case 'filename':
      return message(FILE_NAME, outcome.action);
    case 'mimefragmented':
      return message(MIME_FRAGMENTED, outcome.action);
    case 'oversize':
      return message(OVERSIZE, outcome.action);
    case 'scanerror': {
      const made = message(MESSAGE_OF_REASON[outcome.reason], outcome.action);
      if (!(outcome.reason in OWN_SCAN_ERRORS) || outcome.detail === '') return made;
      return { ...made, msg: `${made.msg} (${outcome.detail})` };
    }
  }
}

function message(row: Row, action: Action): Message {
  const [type, eventtype, whenStopped, whenPassed, text, textPassed] = row;
  const stop = stopped(action);
  const id = stop ? whenStopped : whenPassed;
  const level = ERROR_IDS.has(id) ? 'error' : stop || whenPassed === whenStopped ? 'warning' : 'notice';
  return {
    logid: `02${type}${String(id).padStart(6, '0')}`,
    eventtype,
    level,
    msg: stop ? text : (textPassed ?? text),
  };
}
/** Those of level error, whether the object was stopped or not. */
const ERROR_IDS: ReadonlySet<number> = new Set([8974, 8981, 8982]);

/** The utm/file-filter message: both texts seen. */
export function fileFilterMessage(action: Action): Message {
  return stopped(action)
    ? { logid: '1900064000', eventtype: 'file-filter', level: 'warning', msg: 'File was blocked by file filter.' }
    : { logid: '1900064001', eventtype: 'file-filter', level: 'notice', msg: 'File was detected by file filter.' };
}
