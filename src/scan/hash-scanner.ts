/** Looks files up in lists of hashes. The SHA-256 is known already; MD5 and SHA-1 are computed only when such a list is there. */
import { createHash } from 'node:crypto';
import { eachPiece } from '../content/pieces.js';
import type { Content, FileInfo, Finding, Scanner } from '../core/file.js';
import type { Signature, Signatures } from './signatures.js';

export function createHashScanner(hashes: Signatures['hashes']): Scanner {
  const name = 'hashes';
  const older = (['sha1', 'md5'] as const).filter((algorithm) => hashes[algorithm].size > 0);
  return {
    name,
    scan(info: FileInfo, content: Content): readonly Finding[] {
      const matched: (Signature | undefined)[] = [
        info.sha256 === undefined ? undefined : hashes.sha256.get(info.sha256),
      ];
      for (const algorithm of older) matched.push(hashes[algorithm].get(digest(algorithm, content)));
      const findings: Finding[] = [];
      for (const signature of matched)
        if (signature !== undefined)
          findings.push({
            kind: 'infected',
            virus: signature.virus,
            virusId: signature.virusId,
            dtype: 'File Hash',
            by: name,
          });
      return findings;
    },
  };
}

function digest(algorithm: 'sha1' | 'md5', content: Content): string {
  const hash = createHash(algorithm);
  eachPiece(content, (piece) => hash.update(piece));
  return hash.digest('hex');
}
