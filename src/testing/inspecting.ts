/** An inspection of its own for a test: little memory, the EICAR signature alone, everything typed `unknown`. */
import { Buffer } from 'node:buffer';
import { Inspection, type InspectionOptions } from '../content/inspection.js';
import { Arena } from '../core/arena.js';
import type { Finding, Inspected } from '../core/file.js';
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js';
import { createLiteralScanner } from '../scan/literal-scanner.js';

/** The EICAR test file, put together here so that no file of ours is one. */
export const EICAR: Buffer = Buffer.from(
  ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join(''),
);

const PAGE = 65_536;

/** Slots of 64 KiB, four of them, unless `limits` says otherwise. */
export function inspecting(
  options: Partial<Omit<InspectionOptions, 'limits' | 'arena'>> = {},
  limits: Partial<Limits> = {},
): Inspection {
  const all: Limits = { ...DEFAULT_LIMITS, slot: 65_536, slots: 4 * 65_536, ...limits };
  return new Inspection({
    extractors: [],
    unpackers: [],
    scanners: [createLiteralScanner([{ virus: 'EICAR_TEST_FILE', virusId: 2172, category: 'test', bytes: EICAR }])],
    identify: () => ({ types: ['unknown'] }),
    ...options,
    arena: new Arena(Math.ceil(all.slots / PAGE) + 1),
    limits: all,
  });
}

/** What an inspected file says, shortened to what tests compare: findings as `infected NAME` or `unscannable REASON DETAIL`. */
export interface Told {
  readonly name: string | undefined;
  readonly size: number;
  readonly state: string;
  readonly findings: readonly string[];
  readonly children: readonly Told[];
}

export function told(file: Inspected): Told {
  return {
    name: file.info.meta.name,
    size: file.info.size,
    state: file.info.state,
    findings: file.findings.map(findingText),
    children: file.children.map(told),
  };
}

function findingText(finding: Finding): string {
  switch (finding.kind) {
    case 'infected':
      return `infected ${finding.virus}`;
    case 'malformed':
    case 'oddity':
      return `${finding.kind} ${finding.code}`;
    case 'unscannable':
      return `unscannable ${finding.reason} ${finding.detail}`.trim();
  }
}
