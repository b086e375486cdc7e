/**
 * A scanner that asks another one once for the same bytes: the attachment of a mailing is scanned for its first recipient. What scanners say
 * depends on the content alone, so its SHA-256 is all there is to know. A file that could not be scanned is asked about again.
 */
import type { Content, FileInfo, Finding, Scanner } from '../core/file.js';
import type { Limits } from '../core/limits.js';

export interface RememberingOptions {
  /** `verdicts` are kept; what is not `verdictTime` milliseconds old is believed. */
  readonly limits: Pick<Limits, 'verdicts' | 'verdictTime'>;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /**
   * What a virus that was known is said to be found by: FortiOS has `dtype="cached"`. Undefined: as at the first time, so that what is written does
   * not depend on who scanned what.
   */
  readonly dtype: string | undefined;
}

interface Known {
  readonly findings: readonly Finding[];
  readonly at: number;
}

/** Signatures that change are another scanner: what this one remembers goes with it. */
export function remembering(scanner: Scanner, { limits, now, dtype }: RememberingOptions): Scanner {
  const known = new Map<string, Known>();
  /** Files that are being scanned: whoever comes with the same bytes waits for the same answer. */
  const waiting = new Map<string, Promise<readonly Finding[]>>();

  const remember = (sha256: string, findings: readonly Finding[]): void => {
    if (findings.some((finding) => finding.kind !== 'infected')) return;
    known.set(sha256, { findings: findings.map((finding) => again(finding, dtype)), at: now() });
    if (known.size > limits.verdicts) known.delete(known.keys().next().value ?? '');
  };

  return {
    name: scanner.name,
    ...(scanner.literal === true ? { literal: true } : {}),
    scan(info: FileInfo, content: Content): readonly Finding[] | Promise<readonly Finding[]> {
      const { sha256 } = info;
      if (sha256 === undefined) return scanner.scan(info, content);
      const before = known.get(sha256);
      if (before !== undefined) {
        known.delete(sha256);
        if (now() - before.at <= limits.verdictTime) {
          // The last used is the last to go.
          known.set(sha256, before);
          return before.findings;
        }
      }
      const pending = waiting.get(sha256);
      if (pending !== undefined) return pending;
      const found = scanner.scan(info, content);
      if (!(found instanceof Promise)) {
        remember(sha256, found);
        return found;
      }
      waiting.set(sha256, found);
      const over = (): boolean => waiting.delete(sha256);
      return found.then(
        (findings) => {
          over();
          remember(sha256, findings);
          return findings;
        },
        (error: unknown) => {
          over();
          throw error;
        },
      );
    },
  };
}

function again(finding: Finding, dtype: string | undefined): Finding {
  return finding.kind === 'infected' && dtype !== undefined ? { ...finding, dtype } : finding;
}
