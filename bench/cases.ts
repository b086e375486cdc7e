/** The benchmark's table: one row a case. A later part adds a row here, and where needed a kind of session to generate.ts. */

export const PROTOCOLS = ['smtp', 'pop3', 'imap', 'ftp', 'smb'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** What a generated capture holds. */
export interface CaptureShape {
  /** Several: each session is of the next. */
  readonly protocols: readonly Protocol[];
  /** Payload bytes of a full segment: 1448 is Ethernet's with timestamps, 65160 what segmentation offload hands to a capture. */
  readonly segment: number;
  /** One data segment in so many comes after the one that follows it; 0: all in order. */
  readonly reorderedOneIn: number;
  /** Bytes of every file; mixed unless told. */
  readonly fileSize?: number;
}

export interface BenchCase {
  readonly name: string;
  readonly capture: CaptureShape;
  /** Worker threads of the product. The limit has one thread. */
  readonly jobs: number;
  /** YARA rules that are loaded, in the limit as well. */
  readonly rules?: number;
}

const MTU = 1448;
const OFFLOAD = 45 * MTU;
/**
 * Files are moved within a site, by hosts whose network cards put segments together: recordings of it have packets of
 * 16 KiB to 64 KiB. Mail comes from outside in packets of the MTU.
 */
const FTP_SEGMENT = 11 * MTU;
const SMB_SEGMENT = 28 * MTU;
/** As many as the built-in sets of mail gateways have. */
const RULES = 200;

function captureOf(protocols: readonly Protocol[], segment = MTU, reorderedOneIn = 0): CaptureShape {
  return { protocols, segment, reorderedOneIn };
}

export const CASES: readonly BenchCase[] = [
  { name: 'scan-smtp', capture: captureOf(['smtp']), jobs: 1 },
  { name: 'scan-pop3', capture: captureOf(['pop3']), jobs: 1 },
  { name: 'scan-imap', capture: captureOf(['imap']), jobs: 1 },
  { name: 'scan-ftp', capture: captureOf(['ftp'], FTP_SEGMENT), jobs: 1 },
  { name: 'scan-smb', capture: captureOf(['smb'], SMB_SEGMENT), jobs: 1 },
  { name: 'scan-mixed', capture: captureOf(PROTOCOLS), jobs: 1 },
  { name: 'scan-mixed-2', capture: captureOf(PROTOCOLS), jobs: 2 },
  ...PROTOCOLS.map(
    (protocol): BenchCase => ({
      name: `scan-${protocol}-rules`,
      capture: captureOf([protocol], { ftp: FTP_SEGMENT, smb: SMB_SEGMENT, smtp: MTU, pop3: MTU, imap: MTU }[protocol]),
      jobs: 1,
      rules: RULES,
    }),
  ),
  { name: 'scan-mixed-rules', capture: captureOf(PROTOCOLS), jobs: 1, rules: RULES },
  { name: 'scan-mixed-rules-2', capture: captureOf(PROTOCOLS), jobs: 2, rules: RULES },
  { name: 'scan-smtp-offload', capture: captureOf(['smtp'], OFFLOAD), jobs: 1 },
  { name: 'scan-ftp-mtu', capture: captureOf(['ftp']), jobs: 1 },
  { name: 'scan-smb-mtu', capture: captureOf(['smb']), jobs: 1 },
  { name: 'scan-smtp-reordered', capture: captureOf(['smtp'], MTU, 100), jobs: 1 },
  { name: 'scan-smb-reordered', capture: captureOf(['smb'], MTU, 100), jobs: 1 },
];

/** The same amount of mail in messages of one size each: what the plot of throughput is made of. */
export const SIZE_CASES: readonly (BenchCase & { readonly fileSize: number })[] = [
  1, 4, 16, 64, 256, 1024, 4096, 16384,
].map((kilobytes) => {
  const fileSize = kilobytes * 1024;
  return { name: `size-${kilobytes}k`, capture: { ...captureOf(['smtp']), fileSize }, jobs: 1, fileSize };
});
