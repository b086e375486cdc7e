/** The benchmark's table: one row a case. A later part adds a row here, and where needed a kind of session to generate.ts. */

export const MAIL_PROTOCOLS = ['smtp', 'pop3'] as const;

/** What a generated capture holds. */
export interface CaptureShape {
  readonly protocol: (typeof MAIL_PROTOCOLS)[number];
  /** Payload bytes of a full segment: 1448 is Ethernet's with timestamps, 65160 what segmentation offload hands to a capture. */
  readonly segment: number;
  /** One data segment in so many comes after the one that follows it; 0: all in order. */
  readonly reorderedOneIn: number;
}

export interface BenchCase {
  readonly name: string;
  readonly capture: CaptureShape;
  /** Worker threads of the product. The limit has one thread. */
  readonly jobs: number;
}

const MTU = 1448;
const OFFLOAD = 45 * MTU;

export const CASES: readonly BenchCase[] = [
  { name: 'scan-smtp', capture: { protocol: 'smtp', segment: MTU, reorderedOneIn: 0 }, jobs: 1 },
  { name: 'scan-pop3', capture: { protocol: 'pop3', segment: MTU, reorderedOneIn: 0 }, jobs: 1 },
  { name: 'scan-smtp-offload', capture: { protocol: 'smtp', segment: OFFLOAD, reorderedOneIn: 0 }, jobs: 1 },
  { name: 'scan-smtp-reordered', capture: { protocol: 'smtp', segment: MTU, reorderedOneIn: 100 }, jobs: 1 },
];
