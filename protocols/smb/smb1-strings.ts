/**
 * Strings of SMB 1 ([MS-CIFS] 2.2.1.1): UTF-16 aligned to the header's start where the message says so, else in the server's OEM code
 * page, which nothing on the wire names: 850 is taken, as Windows and Samba do in the West.
 */
import type { Message } from './smb1-message.js';

const CP850 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0';

/** A string and where the next one may begin. */
export interface Text {
  readonly text: string;
  readonly next: number;
}

/** The string at `at`, up to its NUL or to `end`. */
export function readText(message: Message, at: number, end: number, unicode: boolean): Text {
  const there = Math.min(end, message.have);
  const from = unicode ? at + (at & 1) : at;
  const to = Math.min(there, from + message.longest);
  let stop = from;
  if (unicode) {
    while (stop + 2 <= to && message.u16(stop) !== 0) stop += 2;
    if (stop + 2 > to && stop + 2 <= there && message.u16(stop) !== 0) message.cut = true;
    return { text: utf16(message, from, stop), next: stop + 2 };
  }
  while (stop < to && message.u8(stop) !== 0) stop++;
  if (stop === to && stop < there && message.u8(stop) !== 0) message.cut = true;
  return { text: oem(message, from, stop), next: stop + 1 };
}

/** The string behind the buffer format byte (2.2.1.1, SMB_FORMAT_ASCII) at `at`. */
export function readFormattedText(message: Message, at: number, end: number, unicode: boolean): Text {
  return readText(message, at + 1, end, unicode);
}

function utf16(message: Message, start: number, end: number): string {
  if (end <= start) return '';
  return message.bytes.toString('utf16le', message.origin + start, message.origin + end);
}

function oem(message: Message, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) {
    const code = message.u8(at);
    text += code < 0x80 ? String.fromCharCode(code) : (CP850[code - 0x80] ?? '');
  }
  return text;
}
