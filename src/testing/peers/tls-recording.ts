/** TLS on its way between two programs, written down, and read by the layer with what they logged. */
import { Buffer } from 'node:buffer';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { KeyLog } from '../../capture/tls/key-log.js';
import { SessionCache, TlsLayer } from '../../capture/tls/tls-layer.js';
import { CLIENT, SERVER, type Side } from '../../core/flow.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import type { TlsFacts } from '../../core/session.js';

/** Bytes of a connection, in the order in which they passed. */
export type Pieces = readonly (readonly [Side, Buffer])[];

export interface Relay {
  readonly port: number;
  /** Of each connection that came, in their order. */
  readonly connections: readonly Pieces[];
}

/** Hands connections on to `port` of loopback, and keeps what passes. */
export async function startRelay(context: TestContext, port: number): Promise<Relay> {
  const connections: [Side, Buffer][][] = [];
  const relay = createServer({ allowHalfOpen: true }, (near) => {
    const pieces: [Side, Buffer][] = [];
    connections.push(pieces);
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const [side, from, to] of [
      [CLIENT, near, far],
      [SERVER, far, near],
    ] as const) {
      from.on('data', (bytes) => {
        pieces.push([side, Buffer.from(bytes)]);
        to.write(bytes);
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  context.after(() => relay.close());
  return { port: (relay.address() as AddressInfo).port, connections };
}

/** The same bytes in pieces of `size`. */
export function cut(pieces: Pieces, size: number): Pieces {
  return pieces.flatMap(([side, chunk]) =>
    Array.from(
      { length: Math.ceil(chunk.length / size) },
      (_, i) => [side, chunk.subarray(i * size, (i + 1) * size)] as const,
    ),
  );
}

export interface ReadTls {
  /** What each side said; `[gap]` where something is missing. */
  readonly text: readonly [string, string];
  readonly facts: TlsFacts | undefined;
  readonly opaque: string | undefined;
  readonly odd: readonly string[];
}

/** What the layer makes of a connection. `lost` is the piece that is missing. */
export function readTls(pieces: Pieces, keys: string, sessions = new SessionCache(100), lost?: number): ReadTls {
  const log = new KeyLog();
  log.add(keys);
  const text: [string, string] = ['', ''];
  let facts: TlsFacts | undefined;
  let opaque: string | undefined;
  const odd: string[] = [];
  const layer = new TlsLayer({
    keys: log,
    sessions,
    limits: DEFAULT_LIMITS,
    inner: {
      receive: (side, chunk) => {
        text[side] += chunk.toString('latin1');
      },
      gap: (side) => {
        text[side] += '[gap]';
      },
      opaque: (reason) => {
        opaque ??= reason;
      },
    },
    events: {
      tls: (known) => {
        facts = known;
      },
      anomaly: (code) => odd.push(code),
      opaque: () => {},
    },
  });
  for (const [index, [side, chunk]] of pieces.entries()) {
    if (index === lost) layer.gap(side, chunk.length);
    else layer.receive(side, chunk);
  }
  return { text, facts, opaque, odd };
}
