/** Messages for the mail tests: one part in each transfer encoding, and the files that they are. */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { EICAR } from './scanned.js';
import { FROM, TO } from './smtp-clients.js';

/** A part of a message, as it stands in it (LF line ends), and the file that it is (text in the wire's CRLF). */
export interface Part {
  readonly name: string;
  readonly headers: string;
  readonly text: string;
  readonly bytes: Buffer;
}

const LONG_TEXT = `${'A line with an equals sign = and \u00e9\u00e8, much longer than what mail allows. '.repeat(40)}end\n.\n..two\nFrom here\n`;
const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/.{76}(?=.)/g, '$&\n');
const quotedPrintable = (text: string): string =>
  Buffer.from(text)
    .toString('latin1')
    .replace(/[^\n -<>-~]/g, (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
    .replace(/(?:=..|[^=\n]){70}(?=[^\n])/g, '$&=\n');
const uuencode = (bytes: Buffer): string => {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 45) {
    const line = bytes.subarray(at, at + 45);
    let text = String.fromCharCode(32 + line.length);
    for (let three = 0; three < line.length; three += 3) {
      const word = ((line[three] ?? 0) << 16) | ((line[three + 1] ?? 0) << 8) | (line[three + 2] ?? 0);
      for (const shift of [18, 12, 6, 0]) text += String.fromCharCode(((word >>> shift) & 63 || 64) + 32);
    }
    lines.push(text);
  }
  return lines.join('\n');
};
const wire = (text: string): Buffer => Buffer.from(text.replaceAll('\n', '\r\n'));

/** One file in each encoding. `mark` begins the names, so that each client's are its own. */
export function partsOf(mark: string): Part[] {
  const large = randomBytes(120_000);
  const eicar = Buffer.from(EICAR);
  const attached = (name: string, encoding: string): string =>
    `Content-Type: application/octet-stream; name="${mark}-${name}"\nContent-Transfer-Encoding: ${encoding}\nContent-Disposition: attachment; filename="${mark}-${name}"`;
  const part = (name: string, encoding: string, text: string, bytes: Buffer): Part => ({
    name: `${mark}-${name}`,
    headers: attached(name, encoding),
    text,
    bytes,
  });
  const dots = '.\n..\n.a line\n\n...\nFrom a line\nno dot';
  const eightBit = 'caf\u00e9 \u65e5\u672c\n.dot\n';
  const uu = `begin 644 ${mark}-uu.bin\n${uuencode(large.subarray(0, 4_000))}\n\`\nend`;
  return [
    part('large.bin', 'base64', base64(large), large),
    part('eicar.com', 'base64', base64(eicar), eicar),
    part('eicar-7bit.com', '7bit', EICAR, eicar),
    part('eicar.com.gz', 'BASE64', base64(gzipSync(eicar)), gzipSync(eicar)),
    part('quoted.txt', 'quoted-printable', quotedPrintable(LONG_TEXT), wire(LONG_TEXT)),
    part('dots.txt', '7bit', dots, wire(dots)),
    part('eight.txt', '8bit', eightBit, wire(eightBit)),
    part('uu.bin', 'x-uuencode', uu, large.subarray(0, 4_000)),
    part('empty.dat', 'base64', '', Buffer.alloc(0)),
  ];
}

export function message(subject: string, parts: readonly Part[]): string {
  const boundary = '=_one.two';
  const head = [
    `From: Alice <${FROM}>`,
    `To: <${TO}>`,
    `Subject: ${subject}`,
    'Date: Sun, 22 Nov 2026 10:00:00 +0000',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed;',
    `\tboundary="${boundary}"`,
    '',
    'A preamble.',
  ];
  const bodies = parts.map(({ headers, text }) => `--${boundary}\n${headers}\n\n${text}`);
  return `${[...head, ...bodies, `--${boundary}--`, ''].join('\n')}`;
}
