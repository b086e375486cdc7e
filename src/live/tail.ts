/** The end of a log file. */

import { Buffer } from 'node:buffer';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const PIECE = 64 * 1024;
/** Bytes of the file's end that are looked at. */
const MOST = 16 * 1024 * 1024;

/** The last `count` lines of a file, oldest first; none when it cannot be read. */
export function lastLines(path: string, count: number): string[] {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(file);
    let text: Buffer = Buffer.alloc(0);
    for (let from = size; from > 0 && size - from < MOST; ) {
      const length = Math.min(PIECE, from);
      from -= length;
      const piece = Buffer.alloc(length);
      readSync(file, piece, 0, length, from);
      text = Buffer.concat([piece, text]);
      if (text.toString('latin1').split('\n').length > count + 1) break;
    }
    return text
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-count);
  } finally {
    closeSync(file);
  }
}
