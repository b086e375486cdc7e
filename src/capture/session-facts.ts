/** What a capture lets us say of a session: addresses and service are seen, interfaces and users are not. */
import { isIPv4 } from 'node:net';
import type { Endpoint, PolicyFacts, SessionInfo, TlsFacts } from '../core/session.js';

/** FortiOS names an interface that it does not know `unknown-0`. */
const UNKNOWN = { name: 'unknown-0', role: 'undefined' } as const;

/** What the configuration says of a session: the policy that it falls under, and the UUIDs of the address objects that matched. */
export interface ConfiguredFacts {
  readonly policy: PolicyFacts;
  readonly srcUuid: string | undefined;
  readonly dstUuid: string | undefined;
}

export function sessionOfCapture(
  client: Endpoint,
  server: Endpoint,
  service: string | undefined,
  tls: TlsFacts | undefined,
  { policy, srcUuid, dstUuid }: ConfiguredFacts,
): SessionInfo {
  return {
    id: 0,
    client,
    server,
    service,
    tls,
    vdom: 'root',
    policy,
    srcIntf: UNKNOWN,
    dstIntf: UNKNOWN,
    srcCountry: reserved(client.address) ? 'Reserved' : undefined,
    dstCountry: reserved(server.address) ? 'Reserved' : undefined,
    ...(srcUuid === undefined ? {} : { srcUuid }),
    ...(dstUuid === undefined ? {} : { dstUuid }),
    user: {},
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
