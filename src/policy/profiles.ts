/**
 * What an administrator decides, as policy reads it: the antivirus profile, the file-filter profile and the protocol options that
 * apply to one session. Names and defaults are FortiOS's (7.x); config/ fills these from the CLI syntax. Options of engines that
 * inspectd does not have (sandbox, outbreak prevention, content disarm) are accepted by config/ and not kept here.
 */
import { ARCHIVE_REASONS, type ArchiveReason } from '../core/file.js';
import { MiB } from '../core/limits.js';
import type { ReplacementMessages } from './replacement-messages.js';
import { BUILT_IN_MESSAGES } from './replacement-messages.js';

/** The protocols that a profile speaks of. S-names and their plain forms share one: SMTPS is `smtp`, SMB is `cifs`. */
export const PROTOCOL_KEYS = ['http', 'ftp', 'imap', 'pop3', 'smtp', 'mapi', 'nntp', 'cifs', 'ssh'] as const;
export type ProtocolKey = (typeof PROTOCOL_KEYS)[number];

/** `av-scan`. */
export const SCAN_ACTIONS = ['disable', 'block', 'monitor'] as const;
export type ScanAction = (typeof SCAN_ACTIONS)[number];

/** `config antivirus profile / config smtp` and its like. */
export interface AntivirusProtocol {
  readonly avScan: ScanAction;
  readonly archiveBlock: ReadonlySet<ArchiveReason>;
  readonly archiveLog: ReadonlySet<ArchiveReason>;
  /** Treat Windows executables as viruses (mail only). */
  readonly executables: 'default' | 'virus';
  readonly quarantine: boolean;
}

export interface AntivirusProfile {
  readonly name: string;
  readonly protocols: Readonly<Record<ProtocolKey, AntivirusProtocol>>;
}

/** Protocols that a file-filter rule may name. */
export const FILTER_PROTOCOLS = ['http', 'ftp', 'smtp', 'imap', 'pop3', 'mapi', 'cifs', 'ssh'] as const;
export type FilterProtocol = (typeof FILTER_PROTOCOLS)[number];

export interface FileFilterRule {
  readonly name: string;
  readonly protocols: ReadonlySet<ProtocolKey>;
  readonly action: 'log-only' | 'block';
  /** Of the transfer: `outgoing` is client to server. Mail protocols ignore it. */
  readonly direction: 'incoming' | 'outgoing' | 'any';
  /** Match only what needs a password. */
  readonly passwordProtected: boolean;
  /** FortiOS type names. */
  readonly fileTypes: ReadonlySet<string>;
}

export interface FileFilterProfile {
  readonly name: string;
  /** Write records at all. */
  readonly log: boolean;
  /** Look at what archives hold, too. */
  readonly scanArchiveContents: boolean;
  /** In order. */
  readonly rules: readonly FileFilterRule[];
}

/** Client comforting: `amount` bytes every `interval` milliseconds. */
export interface Comfort {
  readonly interval: number;
  readonly amount: number;
}

/** `config firewall profile-protocol-options / config smtp` and its like. Sizes are bytes, `Infinity` without a limit. */
export interface ProtocolOptions {
  /** TCP ports where the protocol is expected; empty: any. */
  readonly ports: readonly number[];
  /** Scanned at all. */
  readonly status: boolean;
  /** Block what is over a size limit; without it such a file passes unscanned. */
  readonly blockOversize: boolean;
  /** Let fragments of mail (message/partial) pass unscanned. */
  readonly passFragmented: boolean;
  readonly oversizeLimit: number;
  readonly uncompressedOversizeLimit: number;
  readonly uncompressedNestLimit: number;
  readonly scanBzip2: boolean;
  /** SMTP without `splice`: what is bad is taken out of a message, and the rest delivered. */
  readonly mends?: boolean;
  /** `clientcomfort`: what is still being scanned goes out in portions, so that its receiver does not give up. */
  readonly comfort?: Comfort | undefined;
  /** SMB: let sealed sessions pass that nobody here has the keys of. */
  readonly passEncrypted?: boolean;
}

export interface ProtocolOptionsProfile {
  readonly name: string;
  /** Record also what passed for its size. What was blocked for it is always recorded. */
  readonly oversizeLog: boolean;
  readonly protocols: Readonly<Record<ProtocolKey, ProtocolOptions>>;
}

/** What applies to one session. */
export interface SessionProfiles {
  /** undefined: the firewall policy names none, and nothing is done about viruses. */
  readonly antivirus: AntivirusProfile | undefined;
  readonly fileFilter: FileFilterProfile | undefined;
  readonly protocolOptions: ProtocolOptionsProfile;
  readonly replacementMessages: ReplacementMessages;
  /** What a scanner that failed (is down, hangs, answers oddly) could not judge passes, and is on record. Otherwise it is blocked. */
  readonly failOpen?: boolean;
}

/** What FortiOS takes where a profile leaves an option unset. */
export const DEFAULT_ANTIVIRUS_PROTOCOL: AntivirusProtocol = {
  avScan: 'disable',
  archiveBlock: new Set(),
  archiveLog: new Set(),
  executables: 'default',
  quarantine: false,
};

export const DEFAULT_PROTOCOL_PORTS: Readonly<Record<ProtocolKey, readonly number[]>> = {
  http: [80],
  ftp: [21],
  imap: [143],
  pop3: [110],
  smtp: [25],
  mapi: [135],
  nntp: [119],
  cifs: [445],
  ssh: [22],
};

export const DEFAULT_PROTOCOL_OPTIONS: Omit<ProtocolOptions, 'ports'> = {
  status: true,
  blockOversize: false,
  passFragmented: false,
  oversizeLimit: 10 * MiB,
  uncompressedOversizeLimit: 10 * MiB,
  uncompressedNestLimit: 12,
  scanBzip2: true,
};

/** The same for each protocol. */
export function forEachProtocol<T>(make: (key: ProtocolKey) => T): Record<ProtocolKey, T> {
  return Object.fromEntries(PROTOCOL_KEYS.map((key) => [key, make(key)])) as Record<ProtocolKey, T>;
}

/** FortiOS's protocol options where a firewall policy names none. */
export const DEFAULT_PROTOCOL_OPTIONS_PROFILE: ProtocolOptionsProfile = {
  name: 'default',
  oversizeLog: false,
  protocols: forEachProtocol((key) => ({ ...DEFAULT_PROTOCOL_OPTIONS, ports: DEFAULT_PROTOCOL_PORTS[key] })),
};

/**
 * Without a configuration: block viruses and whatever could not be inspected, on every protocol; no size limit, no file filter.
 * The engine's own limits (core/limits.ts) hold all the same.
 */
export const BUILT_IN_PROFILES: SessionProfiles = {
  antivirus: {
    name: 'default',
    protocols: forEachProtocol(() => ({
      avScan: 'block',
      archiveBlock: new Set(ARCHIVE_REASONS),
      archiveLog: new Set(ARCHIVE_REASONS),
      executables: 'default',
      quarantine: false,
    })),
  },
  fileFilter: undefined,
  protocolOptions: {
    name: 'default',
    oversizeLog: true,
    protocols: forEachProtocol((key) => ({
      ...DEFAULT_PROTOCOL_OPTIONS,
      ports: DEFAULT_PROTOCOL_PORTS[key],
      blockOversize: true,
      oversizeLimit: Number.POSITIVE_INFINITY,
      uncompressedOversizeLimit: Number.POSITIVE_INFINITY,
    })),
  },
  replacementMessages: BUILT_IN_MESSAGES,
};
