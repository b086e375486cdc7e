/** What is known of a session: its ends and its protocol always, the rest where the driver or the configuration tells. */
import { isIPv4 } from 'node:net';
import type { PolicyMatch } from '../config/match-policy.js';
import type { SessionInfo } from '../core/session.js';

/** FortiOS names an interface that it does not know `unknown-0`. */
const UNKNOWN = { name: 'unknown-0', role: 'undefined' } as const;

/** What the driver knows of a session. In a capture that is the two ends and what they speak. */
export type KnownFacts = Pick<SessionInfo, 'client' | 'server' | 'service' | 'tls'> &
  Partial<Pick<SessionInfo, 'id' | 'vdom' | 'srcIntf' | 'dstIntf' | 'user'>>;

export function sessionOf(known: KnownFacts, { facts, srcUuid, dstUuid }: PolicyMatch): SessionInfo {
  return {
    id: 0,
    vdom: 'root',
    srcIntf: UNKNOWN,
    dstIntf: UNKNOWN,
    user: {},
    ...known,
    policy: facts,
    srcCountry: reserved(known.client.address) ? 'Reserved' : undefined,
    dstCountry: reserved(known.server.address) ? 'Reserved' : undefined,
    ...(srcUuid === undefined ? {} : { srcUuid }),
    ...(dstUuid === undefined ? {} : { dstUuid }),
  };
}

/** Addresses that belong to no country: private, loopback, link-local, documentation, shared (RFC 6890). */
export function reserved(address: string): boolean {
  if (!isIPv4(address)) return /^(::1?$|f[cd]|fe[89ab]|2001:db8(:|$))/i.test(address);
  const [a = 0, b = 0, c = 0] = address.split('.').map(Number);
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && (b === 168 || (b === 0 && (c === 0 || c === 2)))) ||
    (a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) ||
    (a === 203 && b === 0 && c === 113)
  );
}
