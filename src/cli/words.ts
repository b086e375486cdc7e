/** What findings mean, for somebody who runs mail or file servers and does not know our codes. */
import type { MimeAnomaly } from '../content/mime/anomalies.js';
import type { Finding, UnscannableReason } from '../core/file.js';

const MAIL: Readonly<Record<MimeAnomaly, string>> = {
  'mime-mixed-line-ends':
    'some lines end in CRLF and some in LF alone, so readers may see headers and parts in different places',
  'mime-bare-cr': 'a carriage return stands alone, which some readers take for the end of a line',
  'mime-header-junk': 'a line within a header is no header field; the text may begin there, or not',
  'mime-header-name': 'a header field has a name that no field can have',
  'mime-header-control': 'a header has control characters (NUL, for example) in it',
  'mime-header-blank-fold': 'a header has a line of blanks, which some readers take for its end',
  'mime-header-hidden': 'a Content field is hidden in the continuation of another field',
  'mime-header-delimiter': 'a part ends before its header does',
  'mime-header-unfinished': 'the message ends within the header of a part',
  'mime-header-duplicate': 'a field that says how to read a part is there twice',
  'mime-type-malformed': 'a Content-Type is not written as it should be',
  'mime-disposition-malformed': 'a Content-Disposition is not written as it should be',
  'mime-boundary-duplicate': 'two boundaries are given for one multipart; readers differ on which counts',
  'mime-parameter-continuation': 'a parameter comes in numbered pieces, of which one is missing or there twice',
  'mime-names-many': 'an attachment has more names than anybody needs',
  'mime-boundary-missing': 'a multipart has no boundary',
  'mime-boundary-malformed': 'a boundary is written in a way that readers understand differently',
  'mime-boundary-long': 'a boundary is longer than 70 characters',
  'mime-boundary-reused': 'a part uses the boundary of the message around it',
  'mime-boundary-on-leaf': 'a part that has no parts gives a boundary',
  'mime-external-body': 'a part of the message is to be fetched from elsewhere',
  'mime-charset-duplicate': 'a part gives two charsets for its text',
  'mime-charset-unknown': 'a web page is in a charset that nobody knows',
  'mime-encoding-malformed': 'a transfer encoding is not written as it should be',
  'mime-encoding-unknown': 'a transfer encoding is none that exists',
  'mime-encoding-composite': 'a transfer encoding is given for a multipart or a message, which may not have one',
  'mime-delimiter-prefix': 'a line begins like the boundary and goes on; some readers take it for one',
  'mime-delimiter-long': 'a boundary line is endless',
  'mime-missing-close': 'a multipart is not closed',
  'mime-multipart-empty': 'a multipart has no parts',
  'mime-preamble-content': 'there is content before the first part, where nobody should look',
  'mime-epilogue-content': 'there is content behind the last part, where nobody should look',
  'mime-base64-junk': 'base64 has characters in it that are none: some readers skip them, some stop there',
  'mime-base64-padding': 'the padding of base64 stands where none can be',
  'mime-base64-after-padding': 'base64 goes on behind its padding: some readers go on, some stop there',
  'mime-base64-incomplete': 'base64 ends within a group of four',
  'mime-base64-lines':
    'lines of base64 end within a group of four: readers that decode line by line see something else',
  'mime-qp-escape': 'an equals sign in quoted-printable text begins no escape',
  'mime-uu-junk': 'a line of uuencoded text is none',
  'mime-uu-unfinished': 'uuencoded text has no end',
};

const OTHER: Readonly<Record<string, string>> = {
  'smtp-smuggling':
    'there are line ends in the mail that some servers take for its end, so that what follows would be another mail',
  'pop3-ambiguous-end': 'some readers see the end of the message earlier than others',
  'archive-trailing-data': 'there is data behind the end of the archive',
  'archive-warnings': 'the archive could be read, with warnings',
  'zip-headers-differ': 'the zip says one thing of a file where it lies and another in its directory',
  'zip-hidden-member': 'the zip has a file that its directory does not list',
  'zip-member-missing': 'the directory of the zip lists a file that is not there',
  'zip-directories': 'the zip has several directories',
  'zip-directory-missing': 'the zip has no directory',
  'zip-stored-deflate': 'a file of the zip is said to be stored but is compressed',
  'zip-name-traversal': 'a name in the zip leads out of the folder it is unpacked to',
  'tar-name-traversal': 'a name in the tar leads out of the folder it is unpacked to',
  'tar-sizes-differ': 'the tar gives two sizes for a file',
  'tar-names-differ': 'the tar gives two names for a file',
  'gzip-trailing-data': 'there is data behind the compressed data',
};

const UNSCANNABLE: Readonly<Record<UnscannableReason, string>> = {
  encrypted: 'it needs a password',
  corrupted: 'it is damaged and cannot be opened',
  partiallycorrupted: 'a part of it is damaged',
  multipart: 'it is one piece of several, and the others are not here',
  nested: 'too much lies within each other',
  mailbomb: 'it unpacks to far more than its size explains',
  timeout: 'opening it took too long',
  unhandled: 'it is of a kind that is not opened',
  oversize: 'it is larger than the profile wants scanned',
  'uncompressed-oversize': 'what it unpacks to is larger than what is scanned',
  fragmented: 'it is a piece of a message',
  gap: 'bytes of it are missing in the recording',
  truncated: 'it ends early',
  overlap: 'different bytes were seen for the same place',
  'engine-error': 'something failed while it was scanned',
  limit: 'a limit was reached',
};

/** One sentence without its full stop; the code follows in brackets where there is one. */
export function inWords(finding: Finding): string {
  switch (finding.kind) {
    case 'infected':
      return `infected by ${finding.virus} (${finding.by})`;
    case 'malformed':
    case 'oddity': {
      const words = (MAIL as Readonly<Record<string, string>>)[finding.code] ?? OTHER[finding.code];
      return words === undefined ? `readers may differ on it (${finding.code})` : `${words} (${finding.code})`;
    }
    case 'unscannable': {
      const detail = finding.detail === '' ? '' : `: ${finding.detail}`;
      return `${UNSCANNABLE[finding.reason]} (${finding.reason}${detail})`;
    }
  }
}
