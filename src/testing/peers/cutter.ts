/** A way between two programs that breaks where the test says: for resets at every byte of what either of them says. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { TestContext } from 'node:test';

export type Origin = 'client' | 'server';

export interface Cutter {
  readonly port: number;
  /** So many bytes of `origin` pass in each connection that comes from now on, then it is reset toward both ends. */
  cut(origin: Origin, bytes: number): void;
  /** The most that one connection carried of `origin` since the last `cut`. */
  carried(origin: Origin): number;
}

/** A way to `port` of loopback on which connections are reset at a byte. */
export async function startCutter(context: TestContext, port: number): Promise<Cutter> {
  let where: { readonly origin: Origin; readonly bytes: number } = {
    origin: 'client',
    bytes: Number.POSITIVE_INFINITY,
  };
  const carried = { client: 0, server: 0 };
  const cutter = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const { origin: cutOrigin, bytes } = where;
    const sockets = [client, server];
    context.after(() => sockets.map((socket) => socket.destroy()));
    const reset = (): void => {
      for (const socket of sockets) socket.resetAndDestroy();
    };
    for (const [origin, from, to] of [
      ['client', client, server],
      ['server', server, client],
    ] as const) {
      let passed = 0;
      from.on('data', (chunk) => {
        const most = origin === cutOrigin ? bytes - passed : Number.POSITIVE_INFINITY;
        passed += chunk.length;
        carried[origin] = Math.max(carried[origin], passed);
        if (chunk.length < most) to.write(chunk);
        else if (most > 0) to.write(chunk.subarray(0, most), reset);
        else reset();
      });
      from.on('end', () => to.end());
      from.on('error', () => to.resetAndDestroy());
    }
  });
  cutter.listen(0, '127.0.0.1');
  await once(cutter, 'listening');
  context.after(() => cutter.close());
  return {
    port: (cutter.address() as AddressInfo).port,
    cut(origin, bytes) {
      where = { origin, bytes };
      carried.client = 0;
      carried.server = 0;
    },
    carried: (origin) => carried[origin],
  };
}
