/** yEnc (yenc.org, draft 1.3): Usenet's, in mail too. One part of several is named `multipart`, as of any archive. */
import { Buffer } from 'node:buffer';
import { CR, LF } from '../../../core/lines.js';
import { decodeName } from '../names.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const BEGIN = Buffer.from('=ybegin ', 'latin1');
const END = Buffer.from('\n=yend ', 'latin1');
const EQUALS = 0x3d;
const Y = 0x79;

export const yenc: TextFormat = {
  find: (text, from) => text.findLine(BEGIN, from),
  read(text, at, unpacking) {
    const [line] = text.lines(at);
    if (!/ size=\d/.test(line)) return at;
    if (/ part=\d/.test(line)) unpacking.unscannable('multipart', 'yEnc in several parts');
    const end = text.closing(at, END, /^=yend /)?.end;
    const name = / name=([^\r\n]*)/.exec(line)?.[1]?.trim();
    const child = new TextChild(unpacking, {
      name: name === undefined ? undefined : decodeName(Buffer.from(name, 'latin1')),
    });
    let escaped = false;
    let lineStart = false;
    /** In a line of yEnc's own (`=ypart`, `=yend`). */
    let command = true;
    text.pieces(at, end ?? text.length, (piece) => {
      for (const c of piece) {
        if (c === LF || c === CR) {
          if (c === LF) command = false;
          lineStart = c === LF;
          escaped = false;
        } else if (command) continue;
        else if (escaped) {
          escaped = false;
          if (c === Y && lineStart) command = true;
          else child.put((c - 64 - 42) & 0xff);
          lineStart = false;
        } else if (c === EQUALS) escaped = true;
        else {
          child.put((c - 42) & 0xff);
          lineStart = false;
        }
      }
      return child.going;
    });
    child.end();
    if (end === undefined) unpacking.malformed('yenc-unfinished');
    return end ?? text.length;
  },
};
