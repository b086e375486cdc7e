/**
 * YARA rules run in the thread that has the file: the fastest way (a file of 64 bytes costs 2 µs), and one without a deadline. For rules that are
 * trusted; patterns that YARA-X itself calls slow are refused when they are compiled, yet others can be slow too. `createYaraPool`
 * is the way that can be stopped.
 */
import type { Content, FileInfo, Finding, Scanner } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import type { Signature } from './signatures.js';
import { compileRules, windows } from './yara-rules.js';

export const YARA = 'yara';

/** Throws as `compileRules` does. */
export function createYaraScanner(
  paths: readonly string[],
  limits: Pick<Limits, 'scanWindow' | 'scanOverlap'>,
): Scanner {
  const files = compileRules(paths, { refuseSlow: true });
  return {
    name: YARA,
    scan(_info: FileInfo, content: Content): readonly Finding[] {
      const found: Signature[] = [];
      for (const window of windows(content, limits)) for (const file of files) found.push(...file.scan(window));
      return yaraFindings(found);
    },
  };
}

/** One finding a virus, in the order found: windows overlap, and rules may share a name. */
export function yaraFindings(found: readonly Signature[]): Finding[] {
  const byVirus = new Map(found.map((signature) => [signature.virus, signature]));
  return [...byVirus.values()].map(({ virus, virusId }) => ({
    kind: 'infected',
    virus,
    virusId,
    dtype: 'av-engine',
    by: YARA,
  }));
}
