/**
 * What FortiOS has no words for, in sections of our own: `config inspectd settings` (files and bounds of the daemon),
 * `config inspectd listener` (clients that say where they want to go) and `config inspectd smb-account` (whose sealed and signed sessions are read).
 */
import { isIP } from 'node:net';
import type { Endpoint } from '../../core/session.js';
import { choice, integer, ipAddresses, type OptionKind, parsed, reference, secret, text } from '../options.js';
import { nameKey, singleSection, tableSection } from '../section.js';

/** `10.0.0.1:25`, `[fd00::1]:25`. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const address = found?.[1] ?? found?.[2] ?? '';
  const port = Number(found?.[3] ?? Number.NaN);
  if (isIP(address) === 0 || (found?.[1] !== undefined) !== (isIP(address) === 6) || !(port <= 65_535))
    return undefined;
  return { address, port };
}

const endpoint = (): OptionKind<Endpoint | undefined> => parsed('ADDRESS:PORT or [IPV6]:PORT', parseEndpoint);

export const inspectdSettings = singleSection({
  /** Certificates and keys of our own authority, quarantine. */
  'state-directory': text(1023),
  'control-socket': text(1023),
  'log-file': text(1023),
  'log-format': choice(['default', 'csv', 'cef', 'rfc5424', 'json'], 'default'),
  /** Processes; 0: one a core. */
  workers: integer(0, 256, 0),
  /** Open at once, in each process. */
  'max-sessions': integer(1, 1_000_000, 20_000),
  /** Seconds. */
  'dial-timeout': integer(1, 3600, 30, 1000),
  'handshake-timeout': integer(1, 3600, 30, 1000),
  'greeting-timeout': integer(1, 3600, 300, 1000),
  'idle-timeout': integer(1, 604_800, 3600, 1000),
  /** In the middle of a line or file: 1,024 bytes have to come in so many. */
  'slow-timeout': integer(1, 86_400, 180, 1000),
  'drain-timeout': integer(0, 86_400, 60, 1000),
  /** Where Prometheus finds us. */
  metrics: endpoint(),
  /** Addresses of endpoints that EMS has in quarantine: `refuse`: they get no session; `ignore`: only policies that ask for tags know of it. */
  'quarantined-addresses': choice(['refuse', 'ignore'], 'refuse'),
  /** Where incidents and stitches are told of by others, over HTTPS, and the token that they must bring. */
  'automation-webhook': endpoint(),
  'automation-token': secret('16 to 255 letters, digits and signs', /^[\x21-\x7e]{16,255}$/),
  /** Bans, calls and endpoints are shared with the other daemons at this Redis: `redis://HOST:PORT`, `rediss://USER:PASSWORD@HOST:PORT/DATABASE`. */
  'redis-url': secret(
    'redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT/DATABASE',
    /^rediss?:\/\/[^\s/]{1,900}(\/\d{0,5})?$/,
  ),
});

/** Without a domain: whatever domain the client names. A hash is MD4 of the password, 32 hex digits, and stands in its place. */
export const inspectdSmbAccount = tableSection(
  {
    username: text(255),
    domain: text(255),
    password: secret('text of at most 255 characters', /^.{0,255}$/s),
    'nt-hash': secret('32 hex digits', /^[0-9a-f]{32}$/i),
  },
  { key: nameKey(63) },
);

export const inspectdListener = tableSection(
  {
    /** Our own words for what stands in front. */
    type: choice(['proxy-protocol', 'socks5', 'http-connect', 'sslproxy'], 'proxy-protocol'),
    listen: endpoint(),
    /** Where its clients are led when the header does not name a VIP. */
    vip: reference('firewall vip'),
    /** Who may introduce clients; nobody else is answered. */
    trusted: ipAddresses(),
  },
  { key: nameKey(35) },
);
