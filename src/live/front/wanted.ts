/** Where an explicit client wants to go, and what it is told then. */
import type { Buffer } from 'node:buffer';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Endpoint } from '../../core/session.js';
import { plainAddress } from '../addresses.js';

export interface Wanted {
  /** Its address may be a name. */
  readonly to: Endpoint;
  readonly ahead: Buffer;
  /** Said when the server was reached, and when it cannot be. */
  readonly accept: Buffer;
  readonly unreachable: Buffer;
}

/** By name or address; policy is asked about the address. Undefined: there is no such host. */
export async function resolved({ address, port }: Endpoint): Promise<Endpoint | undefined> {
  if (isIP(address) !== 0) return { address: plainAddress(address), port };
  if (!/^[A-Za-z0-9._-]{1,253}$/.test(address)) return undefined;
  try {
    return { address: (await lookup(address)).address, port };
  } catch {
    return undefined;
  }
}
