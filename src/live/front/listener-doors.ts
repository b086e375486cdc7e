/** `config inspectd listener`: the doors of clients that say where they want to go, or that are introduced by a proxy in front. */
import type { Socket } from 'node:net';
import type { Config } from '../../config/config.js';
import { ConfigError } from '../../core/errors.js';
import { type Endpoint, endpointText } from '../../core/session.js';
import { plainAddress } from '../addresses.js';
import type { Door, Introduced } from '../process-share.js';
import { readConnect } from './http-connect.js';
import { readProxyHeader } from './proxy-protocol.js';
import { readSocks } from './socks5.js';
import { readSslProxy } from './sslproxy.js';
import { resolved, type Wanted } from './wanted.js';

type Listener = Config['sections']['inspectd listener'] extends ReadonlyMap<string, infer L> ? L : never;

/** `vips`: the doors of VIPs, by which clients that were introduced find their servers. Throws ConfigError. */
export function listenerDoors(config: Config, vips: readonly Door[]): Door[] {
  const doors: Door[] = [];
  const problems: string[] = [];
  for (const listener of config.sections['inspectd listener'].values()) {
    const { listen, trusted, type } = listener;
    const where = `line ${listener.at.line}: listener ${listener.key}`;
    if (listen === undefined) problems.push(`${where}: set listen ADDRESS:PORT`);
    else if (trusted.length === 0 && (type === 'proxy-protocol' || type === 'sslproxy'))
      problems.push(
        `${where}: set trusted to the addresses of the proxies in front; whoever else says who a client is lies`,
      );
    else if ([...vips, ...doors].some((door) => endpointText(door.listen) === endpointText(listen)))
      problems.push(`${where}: ${endpointText(listen)} is taken already`);
    else {
      const name = `listener ${listener.key}`;
      doors.push({ name, listen, server: undefined, receive: (socket) => received(listener, vips, socket) });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return doors;
}

async function received(listener: Listener, vips: readonly Door[], socket: Socket): Promise<Introduced | undefined> {
  const by = plainAddress(socket.remoteAddress ?? '');
  if (listener.trusted.length > 0 && !listener.trusted.includes(by)) return undefined;
  switch (listener.type) {
    case 'proxy-protocol':
      return introduced(listener, vips, socket);
    case 'sslproxy':
      return decrypted(by, socket);
    case 'socks5':
      return led(socket, await readSocks(socket));
    case 'http-connect':
      return led(socket, await readConnect(socket));
  }
}

async function introduced({ vip }: Listener, vips: readonly Door[], socket: Socket): Promise<Introduced | undefined> {
  const presented = await readProxyHeader(socket);
  if (presented === undefined) return undefined;
  const { client, dialled, ahead } = presented;
  const door = vips.find(
    (each) =>
      (vip !== undefined && each.name === `vip ${vip}`) ||
      (dialled !== undefined && endpointText(each.listen) === endpointText(dialled)),
  );
  const server = door?.server ?? dialled;
  if (server === undefined) return undefined;
  return {
    server,
    dialled: dialled ?? door?.listen ?? server,
    ...(client === undefined ? {} : { client }),
    ahead,
  };
}

/** The other half lies with whoever sent it: no header may have us dial somebody else. */
async function decrypted(by: string, socket: Socket): Promise<Introduced | undefined> {
  const found = await readSslProxy(socket);
  if (found === undefined || found.back.address !== by) return undefined;
  const { back, client, dialled, tls, ahead } = found;
  return {
    client,
    dialled,
    server: dialled,
    via: back,
    ahead,
    decrypted: tls ? { version: undefined, cipher: undefined, sni: undefined, decrypted: true } : undefined,
  };
}

async function led(socket: Socket, wanted: Wanted | undefined): Promise<Introduced | undefined> {
  if (wanted === undefined) return undefined;
  const server: Endpoint | undefined = await resolved(wanted.to);
  if (server === undefined) {
    socket.write(wanted.unreachable);
    return undefined;
  }
  const { ahead, accept, unreachable } = wanted;
  return { server, dialled: server, ahead, accept, unreachable };
}
