/**
 * Every bound of the engine, by name. Crossing one is an anomaly or finding of that name, never a crash and never `clean`.
 * `inspectd check --defaults` prints them. Sizes are bytes, times milliseconds.
 */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

export interface Limits {
  // flow
  /** Bytes of a stopped side that wait for an answer before a passive flow gives up on it. */
  readonly waiting: number;
  /** Bytes looked at before a connection's protocol is given up as unknown. */
  readonly probe: number;
  /** Live: milliseconds that bytes wait, where no protocol is at home, until it is known what they are. */
  readonly detectTime: number;
  /** Bytes held in units of one flow. */
  readonly heldPerFlow: number;
  /** The same of all live flows of one process. */
  readonly heldInAll: number;
  /** Bytes of a file that client comforting keeps back whatever happens. */
  readonly comfortTail: number;
  /** Units of one flow that are open or not yet gone. */
  readonly unitsPerFlow: number;
  /** Anomalies of one flow that are kept; the rest is counted. */
  readonly anomaliesPerFlow: number;

  /** Connections that were announced and have not come, in one thread, and how long each is waited for. */
  readonly expectations: number;
  readonly expectationLife: number;

  // mail
  /** A command or reply line of a mail protocol. */
  readonly line: number;
  /**
   * Live: a command line of SMTP, and one of its AUTH exchanges, which may be longer (RFC 4954 section 4). Exim takes what is behind its own
   * bound of 16 KiB for another command.
   */
  readonly smtpCommand: number;
  readonly smtpAuth: number;
  readonly recipients: number;
  /** Dots stuffed into one message that are remembered: past them a part cannot be stripped, and the message is refused. */
  readonly stuffedDots: number;
  /** Lines of one reply of an FTP server. */
  readonly replyLines: number;
  /** Commands that may be under way without an answer. */
  readonly pipelined: number;
  /** Messages of an IMAP mailbox of which something is remembered, and characters of their headers and structures that are. */
  readonly mailboxMessages: number;
  readonly mailboxText: number;
  /** Messages and parts of one IMAP session that are being put together. */
  readonly openSlices: number;
  /** Bytes of judged messages that are kept for the slices that a client will ask for next. */
  readonly sliceKept: number;
  /** Text of one IMAP response or command, its literals counted but for those that are content. */
  readonly responseText: number;
  readonly mimeDepth: number;
  readonly mimeParts: number;
  /** One header block. */
  readonly mimeHeaders: number;
  /**
   * A message that readers may take differently is read in every way up to this size; up to the second where that shows only further on;
   * and in so many stretches between lines of dashes.
   */
  readonly readingBytes: number;
  readonly readingKept: number;
  /** All messages that are kept for that, in one thread. */
  readonly readingMemory: number;
  readonly readingRegions: number;

  // SMB 1
  /** Requests of one connection that may be under way without an answer. */
  readonly smb1Requests: number;
  /** Files and shares of one connection that are open at once. */
  readonly smb1Opens: number;
  /** A path or share name. */
  readonly smb1Path: number;
  /** Commands in one message (its AndX chain). */
  readonly smb1Chain: number;
  /** Transactions of one connection that are being put together. */
  readonly smb1Transactions: number;

  /** A sealed or compressed message of SMB, or a command that is read whole; and, of one session or connection, open files, requests, sessions. */
  readonly smbMessage: number;
  readonly smbHandles: number;
  readonly smbRequests: number;
  readonly smbSessions: number;
  /** Live: what is kept of one file that is read or written, until it is judged as oversize; and its stretches that the server has not got. */
  readonly smbHeld: number;
  readonly smbStretches: number;

  // content
  /** A file is collected in memory up to this size, then spooled. */
  readonly slot: number;
  /** All files being collected in memory, in one thread. */
  readonly slots: number;
  /** All files being spooled, in one thread. */
  readonly spool: number;
  /** One file. */
  readonly fileSize: number;
  /** Missing stretches of one file whose bytes come out of order, and their bytes together. */
  readonly holes: number;
  readonly holeBytes: number;
  /** Stretches of files that may be joined with later ones: all that is kept of them in one thread, how much of that in memory, of one file, and of a file that is complete already. */
  readonly joinedBytes: number;
  readonly joinedMemory: number;
  readonly joinedParts: number;
  readonly joinedWhole: number;
  /** Things found in one file that are kept, infections aside. */
  readonly findings: number;
  /** Everything unpacked out of one root file. */
  readonly unpackedBytes: number;
  /** Unpacked size over packed size of one archive, where the unpacked size is past `ratioFloor`. */
  readonly unpackRatio: number;
  readonly ratioFloor: number;
  readonly unpackedFiles: number;
  /** FortiOS's uncompressed-nest-limit. */
  readonly nesting: number;
  readonly unpackTime: number;
  readonly scanTime: number;
  /** Milliseconds that a file waits for a scanner that is busy with others, before its scan fails. A recording has time. */
  readonly scanWait: number;
  /** Files that one thread asks a clamd about at the same time. */
  readonly clamdConnections: number;
  /** Bytes of a file's head that decide its type. */
  readonly typeHead: number;
  /** A window of a spooled file that is scanned at once, and by how much windows overlap. */
  readonly scanWindow: number;
  readonly scanOverlap: number;
  /** What each scanner said of so many files is remembered, and believed for so many milliseconds: clamd's signatures change unseen. */
  readonly verdicts: number;
  readonly verdictTime: number;

  // live
  /** Announced connections of one session that are awaited, and how long each is, in milliseconds. */
  readonly expectationsPerFlow: number;
  readonly expectationTime: number;
  /** Milliseconds that the port of one that was used or is over stays open, so that whoever comes late is seen; and how many of these. */
  readonly expectationAfter: number;
  readonly expectationsAfter: number;
  /** Connections of one process that are open at once, those that are still being admitted included. */
  readonly sessions: number;
  /** TLS handshakes of one process that are under way at once; certificates of ours that are kept ready. */
  readonly handshakes: number;
  readonly certificates: number;
  /** Milliseconds to reach the server, for the server's first word, for a TLS handshake or a front door's request. */
  readonly dialTime: number;
  readonly greetingTime: number;
  readonly handshakeTime: number;
  /** Milliseconds that the reply which closes a transfer of FTP waits for a data connection that does not come, or on which nothing moves. */
  readonly dataTime: number;
  /** Milliseconds without a byte from either end. */
  readonly idleTime: number;
  /** In the middle of a line or file, fewer than `slowBytes` in `slowTime` milliseconds are too few. */
  readonly slowTime: number;
  readonly slowBytes: number;
  /** Milliseconds that sessions get to end by themselves when the daemon stops. */
  readonly drainTime: number;
  /** Bytes in quarantine where the configuration sets no quota; files in it; files of one process that wait to be put there; milliseconds for one. */
  readonly quarantineBytes: number;
  readonly quarantineFiles: number;
  readonly quarantineWaiting: number;
  readonly quarantineTime: number;

  // capture
  /** A handshake message of TLS; sessions of a capture that may be resumed; bytes of one key log. */
  readonly tlsHandshake: number;
  readonly tlsSessions: number;
  readonly keyLog: number;
  /** One captured packet; a record that claims more is damage. */
  readonly packet: number;
  readonly flows: number;
  /** Out-of-order bytes waiting in one flow, and in all. */
  readonly reorderPerFlow: number;
  readonly reorder: number;
  /** IP fragments waiting. */
  readonly fragments: number;
  /** A connection without a packet for this long has ended. */
  readonly flowIdle: number;
}

export const DEFAULT_LIMITS: Limits = {
  waiting: 1 * MiB,
  probe: 4 * KiB,
  detectTime: 1_000,
  heldPerFlow: 128 * MiB,
  heldInAll: 512 * MiB,
  comfortTail: 64 * KiB,
  unitsPerFlow: 65_536,
  anomaliesPerFlow: 100,
  expectations: 10_000,
  expectationLife: 30_000,

  line: 64 * KiB,
  smtpCommand: 2 * KiB,
  smtpAuth: 12 * KiB,
  recipients: 10_000,
  stuffedDots: 65_536,
  replyLines: 100_000,
  pipelined: 1_000,
  mailboxMessages: 10_000,
  mailboxText: 16 * MiB,
  openSlices: 64,
  sliceKept: 32 * MiB,
  responseText: 1 * MiB,
  mimeDepth: 50,
  mimeParts: 10_000,
  mimeHeaders: 1 * MiB,
  readingBytes: 16 * MiB,
  readingKept: 1 * MiB,
  readingMemory: 32 * MiB,
  readingRegions: 2_000,

  smb1Requests: 1_000,
  smb1Opens: 10_000,
  smb1Path: 8 * KiB,
  smb1Chain: 64,
  smb1Transactions: 1 * MiB,

  smbMessage: 16 * MiB,
  smbHandles: 65_536,
  smbRequests: 8_192,
  smbSessions: 10_000,
  smbHeld: 64 * MiB,
  smbStretches: 16_384,

  slot: 32 * MiB,
  slots: 96 * MiB,
  spool: 16 * GiB,
  fileSize: 16 * GiB,
  holes: 1_000,
  holeBytes: 16 * MiB,
  joinedBytes: 256 * MiB,
  joinedMemory: 16 * MiB,
  joinedParts: 1_000,
  joinedWhole: 1 * MiB,
  findings: 100,
  unpackedBytes: 1 * GiB,
  unpackRatio: 250,
  ratioFloor: 8 * MiB,
  unpackedFiles: 10_000,
  nesting: 12,
  unpackTime: 10_000,
  scanTime: 30_000,
  scanWait: Number.POSITIVE_INFINITY,
  clamdConnections: 4,
  typeHead: 4 * KiB,
  scanWindow: 64 * MiB,
  scanOverlap: 1 * MiB,
  verdicts: 10_000,
  verdictTime: 300_000,

  expectationsPerFlow: 32,
  expectationTime: 30_000,
  expectationAfter: 5_000,
  expectationsAfter: 256,
  sessions: 20_000,
  handshakes: 256,
  certificates: 1_000,
  dialTime: 30_000,
  greetingTime: 300_000,
  handshakeTime: 30_000,
  dataTime: 30_000,
  idleTime: 3_600_000,
  slowTime: 180_000,
  slowBytes: 1_024,
  drainTime: 60_000,
  quarantineBytes: 1 * GiB,
  quarantineFiles: 10_000,
  quarantineWaiting: 64,
  quarantineTime: 30_000,

  tlsHandshake: 256 * KiB,
  tlsSessions: 10_000,
  keyLog: 256 * MiB,
  packet: 16 * MiB,
  flows: 1_000_000,
  reorderPerFlow: 4 * MiB,
  reorder: 64 * MiB,
  fragments: 4 * MiB,
  flowIdle: 3_600_000,
};

/** Live, somebody waits for the verdict. */
export const LIVE_LIMITS: Limits = { ...DEFAULT_LIMITS, scanWait: 60_000 };
