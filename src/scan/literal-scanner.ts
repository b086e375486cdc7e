/**
 * Scans for literal signatures: anywhere in a file, wherever it lies. That is wider than engines which look for EICAR at the start of a file
 * only: a file that carries one in its middle is reported, and so is a text that quotes one.
 * Spooled files are read in pieces and searched exactly, also across the pieces' borders.
 */
import { eachPiece } from '../content/pieces.js';
import type { Content, FileInfo, Finding, Scanner } from '../core/file.js';
import { compileLiterals } from './literals.js';
import type { LiteralSignature } from './signatures.js';

export function createLiteralScanner(signatures: readonly LiteralSignature[]): Scanner {
  const name = 'literals';
  const literals = compileLiterals(signatures.map((signature) => signature.bytes));
  const findings: readonly Finding[] = signatures.map(({ virus, virusId }) => ({
    kind: 'infected',
    virus,
    virusId,
    dtype: 'av-engine',
    by: name,
  }));
  return {
    name,
    literal: true,
    scan(_info: FileInfo, content: Content): readonly Finding[] {
      const search = literals.begin();
      eachPiece(content, (piece) => search.push(piece));
      return search.found().map((index) => findings[index]!);
    },
  };
}
