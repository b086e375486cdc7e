/** `config firewall profile-protocol-options`. */
import { MiB } from '../../core/limits.js';
import {
  DEFAULT_PROTOCOL_PORTS,
  forEachProtocol,
  type ProtocolKey,
  type ProtocolOptionsProfile,
} from '../../policy/profiles.js';
import { accepted, choice, flags, integer, ports, text, toggle, unsupported, withoutEffect } from '../options.js';
import { type Entry, nameKey, singleSection, tableSection } from '../section.js';

/** What all protocols that are scanned share; `words`: what `set options` may name. */
function protocol<const W extends readonly string[], M extends object>(
  key: ProtocolKey,
  words: W,
  more: M,
  skipped: readonly string[] = [],
) {
  return singleSection(
    {
      ports: ports(DEFAULT_PROTOCOL_PORTS[key]),
      status: toggle(true),
      'inspect-all': accepted,
      'proxy-after-tcp-handshake': accepted,
      options: flags(words),
      'oversize-limit': integer(1, 4095, 10, MiB),
      'uncompressed-oversize-limit': integer(1, 4095, 10, MiB),
      'uncompressed-nest-limit': integer(2, 100, 12),
      'scan-bzip2': toggle(true),
      'ssl-offloaded': accepted,
      ...more,
    },
    {},
    skipped,
  );
}

const window = {
  'tcp-window-type': accepted,
  'tcp-window-minimum': accepted,
  'tcp-window-maximum': accepted,
  'tcp-window-size': accepted,
};
const comfort = {
  /** Milliseconds. */
  'comfort-interval': integer(1, 900, 10, 1000),
  'comfort-amount': integer(1, 65_535, 1),
};
const stream = { 'stream-based-uncompressed-limit': accepted };

export const profileProtocolOptions = tableSection(
  {
    comment: text(255),
    'replacemsg-group': unsupported('replacement message groups'),
    'feature-set': accepted,
    'oversize-log': toggle(false),
    'switching-protocols-log': accepted,
    'rpc-over-http': withoutEffect(toggle(false), 'RPC over HTTP'),
  },
  {
    nested: {
      http: protocol('http', ['clientcomfort', 'servercomfort', 'oversize', 'chunkedbypass'], {
        ...window,
        ...comfort,
        ...stream,
        'range-block': accepted,
        'strip-x-forwarded-for': accepted,
        'post-lang': accepted,
        'streaming-content-bypass': accepted,
        'switching-protocols': accepted,
        'unknown-http-version': accepted,
        'unknown-content-encoding': accepted,
        'tunnel-non-http': accepted,
        'verify-dns-for-policy-matching': accepted,
        'block-page-status-code': accepted,
        'retry-count': accepted,
        'address-ip-rating': accepted,
        h2c: accepted,
        'http-policy': accepted,
        'fortinet-bar': accepted,
        'fortinet-bar-port': accepted,
      }),
      ftp: protocol('ftp', ['clientcomfort', 'oversize', 'splice', 'bypass-rest-command', 'bypass-mode-command'], {
        ...window,
        ...comfort,
        ...stream,
        'explicit-ftp-tls': toggle(false),
      }),
      imap: protocol('imap', ['fragmail', 'oversize'], {}),
      pop3: protocol('pop3', ['fragmail', 'oversize'], {}),
      smtp: protocol('smtp', ['fragmail', 'oversize', 'splice'], { 'server-busy': toggle(false) }),
      mapi: protocol('mapi', ['fragmail', 'oversize'], {}),
      nntp: protocol('nntp', ['oversize', 'splice'], {}),
      cifs: protocol(
        'cifs',
        ['oversize'],
        {
          ...window,
          'server-credential-type': accepted,
          'domain-controller': accepted,
          /** Our own: sealed sessions that no account of `config inspectd smb-account` opens. */
          'encrypted-session': choice(['block', 'pass'], 'block'),
        },
        ['server-keytab'],
      ),
      ssh: protocol('ssh', ['clientcomfort', 'servercomfort', 'oversize'], { ...window, ...comfort, ...stream }),
      'mail-signature': singleSection({
        status: withoutEffect(toggle(false), 'mail signature'),
        signature: accepted,
      }),
    },
    skipped: ['dns', 'rtmp'],
    key: nameKey(47),
  },
);

export function toProtocolOptionsProfile(entry: Entry<typeof profileProtocolOptions>): ProtocolOptionsProfile {
  return {
    name: entry.key,
    oversizeLog: entry.oversizeLog,
    protocols: forEachProtocol((key) => {
      const section = entry[key];
      const options: ReadonlySet<string> = section.options;
      return {
        ports: section.ports,
        status: section.status,
        blockOversize: options.has('oversize'),
        passFragmented: options.has('fragmail'),
        oversizeLimit: section.oversizeLimit,
        uncompressedOversizeLimit: section.uncompressedOversizeLimit,
        uncompressedNestLimit: section.uncompressedNestLimit,
        scanBzip2: section.scanBzip2,
        // FortiOS's default profile has it; only who writes a list can leave it out.
        ...(key === 'smtp' && section.given.has('options') && !options.has('splice') ? { mends: true } : {}),
        ...('encryptedSession' in section ? { passEncrypted: section.encryptedSession === 'pass' } : {}),
        ...(options.has('clientcomfort') && 'comfortInterval' in section
          ? { comfort: { interval: section.comfortInterval, amount: section.comfortAmount } }
          : {}),
      };
    }),
  };
}
