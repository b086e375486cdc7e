/**
 * Files judged by a clamd beside our own signatures. A clamd that is down, hangs, is cut off or answers oddly makes the file an engine error:
 * FortiOS's default for a failing engine is to block, and nothing is ever called clean for want of an answer.
 *
 * clamd calls clean what it did not look into: files over its limits, unless it is configured to say so (`AlertExceedsMax yes`). Its protocol
 * does not tell its configuration, so `checkClamd` finds out by a small archive that is nested deeper than any clamd goes.
 */
import { Buffer } from 'node:buffer';
import { gzipSync } from 'node:zlib';
import { SourceError } from '../../core/errors.js';
import type { Content, FileInfo, Finding, Scanner } from '../../core/file.js';
import { type Limits, MiB } from '../../core/limits.js';
import { Slots } from '../slots.js';
import { type ClamdAddress, clamdAddressText } from './address.js';
import { ask } from './connection.js';
import { CLAMD, findingsOf } from './verdict.js';

/** The piece of a stream that clamd takes well; its length goes before it. */
const PIECE = 1 * MiB;
const LAST = Buffer.alloc(4);
/** Deeper than MaxRecursion can sensibly be (its default is 17). */
const NESTING = 120;

export type ClamdLimits = Pick<Limits, 'scanTime' | 'clamdConnections'> & Partial<Pick<Limits, 'scanWait'>>;

export function createClamdScanner(address: ClamdAddress, limits: ClamdLimits): Scanner {
  const slots = new Slots(limits.clamdConnections, limits.scanWait ?? Number.POSITIVE_INFINITY);
  return {
    name: CLAMD,
    async scan(_info: FileInfo, content: Content): Promise<readonly Finding[]> {
      await slots.take();
      try {
        return await scanned(address, content, limits.scanTime);
      } finally {
        slots.giveBack();
      }
    },
  };
}

/** What kept this clamd from being asked, or makes its word worth less; empty when all is well. Rejects with SourceError when it cannot be used. */
export async function checkClamd(address: ClamdAddress, limits: ClamdLimits): Promise<readonly string[]> {
  const where = clamdAddressText(address);
  const pong = await ask(address, { name: 'PING', pieces: () => [], deadline: limits.scanTime });
  if (pong !== 'PONG')
    throw new SourceError(`clamd at ${where}: not a clamd: it answers PING with ${JSON.stringify(pong.slice(0, 100))}`);
  const findings = await scanned(address, bytesOf(nested()), limits.scanTime);
  if (findings.some((finding) => finding.kind === 'unscannable' && finding.reason === 'limit')) return [];
  return [
    `clamd at ${where} calls files clean that are over its limits: set "AlertExceedsMax yes" in its configuration`,
  ];
}

async function scanned(address: ClamdAddress, content: Content, deadline: number): Promise<readonly Finding[]> {
  const answer = await ask(address, { name: 'INSTREAM', pieces: () => streamed(content), deadline });
  return findingsOf(answer);
}

/** The file as INSTREAM wants it: pieces with their lengths, and a length of zero. */
function* streamed(content: Content): Generator<Buffer> {
  for (let at = 0; at < content.length; ) {
    const piece = content.read(at, PIECE);
    if (piece.length === 0) throw new SourceError('the file is shorter than it was');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(piece.length);
    yield length;
    yield piece;
    at += piece.length;
  }
  yield LAST;
}

function nested(): Buffer {
  let bytes = Buffer.from('nothing in here');
  for (let depth = 0; depth < NESTING; depth++) bytes = gzipSync(bytes);
  return bytes;
}

function bytesOf(bytes: Buffer): Content {
  return { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
}
