/**
 * Data URLs (RFC 2397) in base64, in pages, style sheets, pictures and any other text: the picture that a page carries, or the file that it
 * offers for download. The file's name is the `download` of its tag, where there is one. Where the URL is put together by a script, only
 * `;base64,` and what follows need to stand in one piece.
 */
import { Buffer } from 'node:buffer';
import type { ChildMeta } from '../../../core/file.js';
import { Base64Text } from './base64-text.js';
import type { Text } from './text.js';
import { TextChild } from './text-child.js';
import type { TextFormat } from './text-format.js';

const MARK = Buffer.from('64,', 'latin1');
const BEFORE = ';base'.length;
/** Of the tag around it. */
const TAG = 512;
/** What is shorter is no file but prose about such URLs. */
const LEAST = /^\s{0,64}[\w+/%=-]{8}/;
const QUOTES = [0x22, 0x27, 0x60];

export const dataUrl: TextFormat = {
  find(text, from) {
    for (let at = text.find(MARK, from); at >= 0; at = text.find(MARK, at + 1)) {
      if (at - BEFORE < from || !/^;base$/i.test(text.slice(at - BEFORE, at))) continue;
      if (LEAST.test(text.slice(at + MARK.length, at + MARK.length + 80))) return at - BEFORE;
    }
    return -1;
  },
  read(text, at, unpacking) {
    const start = at + BEFORE + MARK.length;
    const before = text.slice(at - TAG, at);
    const url = /data:([^"'`<>()\s,]*)$/i.exec(before.slice(-200));
    // Within quotes blanks and line ends are skipped; elsewhere they end it.
    const opening = before.charCodeAt(before.length - (url?.[0].length ?? 0) - 1);
    const quoted = url === null || QUOTES.includes(opening);
    const child = new TextChild(unpacking, metaOf(text, before, url?.[1] ?? '', start));
    const end = take(text, start, quoted, child);
    child.end();
    return end;
  },
};

/** Decodes from `start` on; where it ends. */
function take(text: Text, start: number, quoted: boolean, child: TextChild): number {
  const base64 = new Base64Text(child, quoted ? 'skip' : 'stop');
  let end = start;
  /** What the last piece had of an escape. */
  let percent = '';
  text.pieces(start, text.length, (piece) => {
    let at = 0;
    while (at < piece.length) {
      if (percent === '') at = base64.decode(piece, at, piece.length);
      if (at === piece.length) break;
      percent += String.fromCharCode(piece[at]!);
      if (!/^%([0-9a-f]{0,2})$/i.test(percent)) break;
      at++;
      if (percent.length < 3) continue;
      if (!base64.put(Number.parseInt(percent.slice(1), 16))) break;
      percent = '';
    }
    end += at;
    return at === piece.length && child.going;
  });
  return end;
}

function metaOf(text: Text, before: string, type: string, start: number): ChildMeta {
  const tag = before.slice(before.lastIndexOf('<') + 1);
  let name = DOWNLOAD.exec(tag);
  if (name === null && before.includes('<')) {
    // Behind the URL: the rest of the tag, where it is short enough to look at.
    const rest = text.slice(start);
    const close = rest.search(/["'>]/);
    if (close >= 0) name = DOWNLOAD.exec(/^[^<>]*/.exec(rest.slice(close + 1))![0]);
  }
  const declaredType = /^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0].toLowerCase();
  return {
    name: name === null ? undefined : Buffer.from(name[1] ?? name[2] ?? name[3]!, 'latin1').toString('utf8'),
    ...(declaredType !== undefined && { declaredType }),
  };
}

const DOWNLOAD = /\sdownload\s{0,8}=\s{0,8}(?:"([^"<>]{1,255})"|'([^'<>]{1,255})'|([^\s"'<>]{1,255}))/i;
