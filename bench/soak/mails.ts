/** Mails for long tests: noise in base64, some of them with the EICAR test file behind it. */
import { Buffer } from 'node:buffer';
import { SeededRandom } from '../../src/testing/random.js';
import { noise } from '../noise.js';

/** In two pieces so that this file is not it. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');
/** What of it stands in its base64 wherever it begins a line. */
export const EICAR_MARK: Buffer = Buffer.from(Buffer.from(EICAR).toString('base64').slice(0, 60));

export interface Mail {
  readonly bytes: Buffer;
  readonly infected: boolean;
}

/** `count` mails with an attachment of about `size` bytes, every tenth infected, with their last line. */
export function mailsOf(count: number, size: number, seed = 1): Mail[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    const infected = at % 10 === 9;
    const parts = [attachment('noise.bin', noise(Math.max(64, random.below(2 * size)), random))];
    if (infected) parts.push(attachment('eicar.com', Buffer.from(EICAR)));
    const text = `Subject: mail ${at}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n${parts.join('')}--b--\r\n.\r\n`;
    return { bytes: Buffer.from(text), infected };
  });
}

function attachment(name: string, bytes: Buffer): string {
  const text = bytes.toString('base64').replace(/.{76}/g, '$&\r\n');
  return `--b\r\nContent-Type: application/octet-stream; name="${name}"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${text}\r\n`;
}
