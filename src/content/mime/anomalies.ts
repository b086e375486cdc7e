/**
 * What a message can have that its readers may take differently. Each is a finding `malformed` with this code, once a message: the most
 * plausible reading is extracted all the same. What every reader takes alike (lower-case hex in quoted-printable, a message with bare LF
 * line ends throughout, a missing semicolon at the very end) is no anomaly.
 */
export const MIME_ANOMALIES = [
  // lines
  /** CRLF and bare LF both end lines that matter: of headers, around delimiters, in base64. */
  'mime-mixed-line-ends',
  /** A CR without LF in a header or in base64. */
  'mime-bare-cr',

  // header blocks
  /** A line that is neither a field nor its continuation: the body is taken to begin there. */
  'mime-header-junk',
  /** A field name with blanks or other bytes that it cannot have; read without them. */
  'mime-header-name',
  /** NUL or another control character. */
  'mime-header-control',
  /** A continuation line of blanks only, which some readers take for the empty line. */
  'mime-header-blank-fold',
  /** A continuation line that reads as a Content field: a blank before its name hides it from some readers. */
  'mime-header-hidden',
  /** A delimiter before the empty line. */
  'mime-header-delimiter',
  /** The message ended within the header block of a part. */
  'mime-header-unfinished',
  /** Content-Type, Content-Transfer-Encoding or Content-Disposition twice; the first counts. */
  'mime-header-duplicate',

  // Content-Type and its kin
  'mime-type-malformed',
  /** Two charsets that differ. */
  'mime-charset-duplicate',
  /** A page in a charset that has no meaning. */
  'mime-charset-unknown',
  'mime-disposition-malformed',
  /** More than one boundary; the first plain one counts. */
  'mime-boundary-duplicate',
  /** RFC 2231 continuations with a number missing or twice. */
  'mime-parameter-continuation',
  /** More names than are kept. */
  'mime-names-many',
  /** Multipart without a boundary; taken as a single part. */
  'mime-boundary-missing',
  /** A boundary that RFC 2046 does not allow or that is written in a way that readers take differently. */
  'mime-boundary-malformed',
  /** More than 70 characters. */
  'mime-boundary-long',
  /** The boundary of an enclosing multipart again. */
  'mime-boundary-reused',
  /** A boundary on what is no multipart. */
  'mime-boundary-on-leaf',
  /** Part of the message lies elsewhere. */
  'mime-external-body',

  // Content-Transfer-Encoding
  'mime-encoding-malformed',
  'mime-encoding-unknown',
  /** base64 or quoted-printable on a multipart or message (RFC 2045 §6.4). A message is decoded, a multipart is not. */
  'mime-encoding-composite',

  // structure
  /** A line that begins like a delimiter and goes on. */
  'mime-delimiter-prefix',
  /** Blanks after a delimiter beyond all reason. */
  'mime-delimiter-long',
  /** A multipart ended without its close delimiter. */
  'mime-missing-close',
  /** A multipart in which no delimiter came. */
  'mime-multipart-empty',
  /** Before the first delimiter: more than a short plain text. */
  'mime-preamble-content',
  /** After the close delimiter: more than a short plain text. */
  'mime-epilogue-content',

  // bodies
  'mime-base64-junk',
  'mime-base64-padding',
  'mime-base64-after-padding',
  'mime-base64-incomplete',
  /** A line that is no multiple of four characters: readers that decode line by line see other bytes. */
  'mime-base64-lines',
  'mime-qp-escape',
  'mime-uu-junk',
  'mime-uu-unfinished',
] as const;
export type MimeAnomaly = (typeof MIME_ANOMALIES)[number];

/** Whoever notes them. */
export interface Notes {
  note(code: MimeAnomaly): void;
}

/**
 * What common programs and servers do to honest mail. Where every reading of a message was inspected, these are noted and no more; the others
 * are the marks of somebody who wants to be read in two ways, and stay `malformed`.
 */
const HARMLESS_WHEN_READ: ReadonlySet<string> = new Set<MimeAnomaly>([
  'mime-mixed-line-ends',
  'mime-header-junk',
  'mime-header-name',
  'mime-header-blank-fold',
  'mime-header-unfinished',
  'mime-disposition-malformed',
  'mime-boundary-missing',
  'mime-boundary-long',
  'mime-charset-unknown',
  'mime-charset-unknown',
  'mime-encoding-unknown',
  'mime-encoding-composite',
  'mime-delimiter-prefix',
  'mime-delimiter-long',
  'mime-missing-close',
  'mime-multipart-empty',
  'mime-preamble-content',
  'mime-epilogue-content',
  'mime-base64-junk',
  'mime-base64-padding',
  'mime-base64-after-padding',
  'mime-base64-incomplete',
  'mime-base64-lines',
  'mime-qp-escape',
  'mime-uu-junk',
  'mime-uu-unfinished',
]);

export function isHarmlessWhenRead(code: string): boolean {
  return HARMLESS_WHEN_READ.has(code);
}

/** Does the code say that a message has several readings? */
export function isMimeAnomaly(code: string): boolean {
  return (MIME_ANOMALIES as readonly string[]).includes(code);
}
