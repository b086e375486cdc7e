/** uuencode as mail had it before MIME, in a body or in a part that base64 brought: from its `begin` line to its `end`. */
import { Buffer } from 'node:buffer';
import { UuencodeBody } from '../../mime/uuencode-body.js';
import type { Unpacking } from '../unpacking.js';
import type { Text } from './text.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';
import { isXxLine, takeXxencode } from './xxencode.js';

const BEGIN = Buffer.from('begin ', 'latin1');
const END = Buffer.from('\nend', 'latin1');
const END_LINE = /^end[ \t]*\r?(\n|$)/;

/** xxencode has the same frame, and its own letters. */
export const uuencode: TextFormat = {
  find: (text, from) => text.findLine(BEGIN, from),
  read(text, at, unpacking) {
    const [line, following] = text.lines(at);
    const name = /^begin [0-7]{3,4} (\S.*)/.exec(line)?.[1];
    const data = following.trimEnd();
    const uu = isUuLine(data);
    if (name === undefined || (!uu && !isXxLine(data))) return at;
    const end = text.closing(at, END, END_LINE)?.end;
    if (uu) takeUuencode(text, at, end ?? text.length, unpacking);
    else takeXxencode(text, name.trimEnd(), at + line.length, end, unpacking);
    return end ?? text.length;
  },
};

function takeUuencode(text: Text, at: number, end: number, unpacking: Unpacking): void {
  const body = new UuencodeBody((name) => new TextChild(unpacking, { name }), {
    note: (code) => unpacking.malformed(code),
  });
  text.pieces(at, end, (piece) => {
    body.write(piece, 0, piece.length);
    return !unpacking.stopped;
  });
  body.end();
}

/** Does the first data line say its own length? */
function isUuLine(line: string): boolean {
  if (!/^[ -`]{2,62}$/.test(line)) return false;
  const bytes = (line.charCodeAt(0) - 0x20) & 0x3f;
  const quads = Math.ceil(bytes / 3) * 4;
  // Blanks at its end may be gone, a check character may have come.
  return bytes > 0 && line.length - 1 <= quads + 1 && line.length - 1 > quads - 4;
}
