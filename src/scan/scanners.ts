/** The engines that a set of signatures calls for, and the proof that they work. */
import { Buffer } from 'node:buffer';
import { InternalError } from '../core/errors.js';
import type { Content, FileInfo, Scanner } from '../core/file.js';
import { createHashScanner } from './hash-scanner.js';
import { createLiteralScanner } from './literal-scanner.js';
import type { Signatures } from './signatures.js';

/** Scanners for literals and hashes; an engine without signatures is left out. Rules are for `createYaraScanner` or `createYaraPool`. */
export function createScanners(signatures: Signatures): Scanner[] {
  const scanners: Scanner[] = [];
  if (signatures.literals.length > 0) scanners.push(createLiteralScanner(signatures.literals));
  const { sha256, sha1, md5 } = signatures.hashes;
  if (sha256.size + sha1.size + md5.size > 0) scanners.push(createHashScanner(signatures.hashes));
  return scanners;
}

/** The EICAR test file, in halves so that no scanner stops at this source file. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'];

/** To be called once at start: throws InternalError unless the EICAR test file is found, so that an engine that finds nothing is not taken for one. */
export function selfTest(scanners: readonly Scanner[]): void {
  const bytes = Buffer.from(EICAR.join(''));
  const content: Content = { length: bytes.length, bytes, read: (at, length) => bytes.subarray(at, at + length) };
  const info: FileInfo = {
    id: 0,
    meta: { name: 'self-test', direction: 'download' },
    parent: undefined,
    depth: 0,
    types: ['unknown'],
    size: bytes.length,
    sha256: undefined,
    state: 'complete',
    encrypted: false,
  };
  for (const scanner of scanners) {
    const found = scanner.scan(info, content);
    if (!(found instanceof Promise) && found.some((finding) => finding.kind === 'infected')) return;
  }
  throw new InternalError('self-test: no scanner finds the EICAR test file (is signatures/eicar.literals there?)');
}
