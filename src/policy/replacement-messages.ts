/**
 * Replacement messages: what a person reads in place of what was taken away. Groups, types and tags are FortiOS's
 * (`config system replacemsg mail email-virus`), the wording is ours. Tag values come from the peer: they are escaped here, and
 * nothing of them can end a line or hide in it.
 */

/** Types by group, as FortiOS names them. Only those that inspectd can come to send. */
export const MESSAGE_TYPES = {
  mail: [
    'partial',
    'email-av-fail',
    'email-block',
    'email-decompress-limit',
    'email-virus',
    'email-filesize',
    'smtp-block',
    'smtp-decompress-limit',
    'smtp-virus',
    'smtp-filesize',
  ],
  ftp: ['ftp-av-fail', 'ftp-dl-archive-block', 'ftp-dl-infected', 'ftp-dl-blocked', 'ftp-dl-filesize'],
  utm: [
    'virus-text',
    'file-filter-text',
    'file-size-text',
    'archive-block-text',
    'exe-text',
    'decompress-limit-text',
    'file-av-fail-text',
  ],
  'nac-quar': ['nac-quar-virus'],
} as const;
export type MessageGroup = keyof typeof MESSAGE_TYPES;
export type MessageType = (typeof MESSAGE_TYPES)[MessageGroup][number];

/** The text of each type, with tags. At most `MESSAGE_BUFFER` characters each. */
export type ReplacementMessages = Readonly<Record<MessageType, string>>;

/** FortiOS's bound of `set buffer`. */
export const MESSAGE_BUFFER = 32_768;

export const BUILT_IN_MESSAGES: ReplacementMessages = {
  partial:
    'This message is one piece of a message sent in pieces. Pieces cannot be inspected, so it was not delivered.',
  'email-av-fail':
    'An attachment was removed. "%%FILE%%" could not be inspected (%%REASON%%), so it was not delivered.',
  'email-block': 'An attachment was removed. Files such as "%%FILE%%" (%%FILE_TYPE%%) are not accepted here.',
  'email-decompress-limit': 'An attachment was removed. "%%FILE%%" unpacks to more than may be inspected.',
  'email-virus': 'An attachment was removed. "%%FILE%%" carried the virus "%%VIRUS%%".',
  'email-filesize': 'An attachment was removed. "%%FILE%%" is larger than may be inspected.',
  'smtp-block': 'Message refused: files such as "%%FILE%%" (%%FILE_TYPE%%) are not accepted here',
  'smtp-decompress-limit': 'Message refused: the attachment "%%FILE%%" unpacks to more than may be inspected',
  'smtp-virus': 'Message refused: the attachment "%%FILE%%" carries the virus "%%VIRUS%%"',
  'smtp-filesize': 'Message refused: the attachment "%%FILE%%" is larger than may be inspected',
  'ftp-av-fail': 'Transfer refused: "%%FILE%%" could not be inspected (%%REASON%%)',
  'ftp-dl-archive-block': 'Transfer refused: the archive "%%FILE%%" cannot be inspected (%%REASON%%)',
  'ftp-dl-infected': 'Transfer refused: "%%FILE%%" carries the virus "%%VIRUS%%"',
  'ftp-dl-blocked': 'Transfer refused: files such as "%%FILE%%" (%%FILE_TYPE%%) are not accepted here',
  'ftp-dl-filesize': 'Transfer refused: "%%FILE%%" is larger than may be inspected',
  'virus-text': '"%%FILE%%" was blocked: it carries the virus "%%VIRUS%%"',
  'file-filter-text': '"%%FILE%%" was blocked: files of the type %%FILE_TYPE%% are not accepted here',
  'file-size-text': '"%%FILE%%" was blocked: it is larger than may be inspected',
  'archive-block-text': '"%%FILE%%" was blocked: the archive cannot be inspected (%%REASON%%)',
  'exe-text': '"%%FILE%%" was blocked: programs are not accepted here',
  'decompress-limit-text': '"%%FILE%%" was blocked: it unpacks to more than may be inspected',
  'file-av-fail-text': '"%%FILE%%" was blocked: it could not be inspected (%%REASON%%)',
  'nac-quar-virus': 'This computer was cut off from the network because it sent a virus.',
};

/** Tags that a buffer may hold, as `%%NAME%%`. `REASON` is ours. */
export const MESSAGE_TAGS = [
  'FILE',
  'VIRUS',
  'QUARFILENAME',
  'PROTOCOL',
  'FILE_TYPE',
  'REASON',
  'SOURCE_IP',
  'DEST_IP',
  'EMAIL_FROM',
  'EMAIL_TO',
] as const;
export type MessageTag = (typeof MESSAGE_TAGS)[number];
export type TagValues = Readonly<Partial<Record<MessageTag, string | undefined>>>;

/** One tag's value is cut to this many characters: a name of a megabyte must not become a reply. */
export const TAG_VALUE = 256;

/** The text with its tags filled in; a tag without a value becomes nothing, an unknown one stays as it is written. */
export function renderMessage(template: string, values: TagValues): string {
  // One pass: a value that looks like a tag is not filled in again.
  return template.replace(/%%([A-Z_]+)%%/g, (written, name: string) =>
    (MESSAGE_TAGS as readonly string[]).includes(name) ? tagValue(values[name as MessageTag]) : written,
  );
}

/** For a reply line of SMTP or FTP: one line of printable ASCII that leaves room for the code (RFC 5321 §4.5.3.1.5: 512 octets). */
export function replyLine(text: string): string {
  const line = text.replace(/[\s\u0000-\u001f\u007f]+/g, ' ').replace(/[^ -~]/gu, '?');
  return line.trim().slice(0, 400);
}

/** Control characters, line ends of Unicode and marks that turn the direction of writing become spaces. */
function tagValue(value: string | undefined): string {
  if (value === undefined) return '';
  const cut = value.length > TAG_VALUE ? `${value.slice(0, TAG_VALUE)}…` : value;
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, ' ');
}
