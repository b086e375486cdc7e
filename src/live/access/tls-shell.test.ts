// TLS that comes off: what follows the last record in the same packet is not lost, and is not TLS's.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { EndpointAuthority } from '../../testing/peers/access-proxy.js';
import { scratch } from '../../testing/peers/peers.js';
import { openForwarding } from './forwarding-client.js';
import { TlsShell } from './tls-shell.js';

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';

test('a server that speaks in the same packet as the answer is heard, with its FIN', {
  timeout: 20_000,
}, async (context) => {
  const authority = new EndpointAuthority(scratch(context, 'shell'));
  const own = authority.issue('gateway', { purpose: 'serverAuth', names: 'IP:127.0.0.1' });
  const secureContext = createSecureContext({ key: own.key, cert: own.certificate });
  const serve = async (wire: Socket): Promise<void> => {
    const shell = new TlsShell(wire);
    const tls = new TLSSocket(shell as never, { isServer: true, secureContext });
    tls.on('error', () => {});
    await once(tls, 'data');
    // One packet: the record of the answer, then what is none.
    wire.cork();
    tls.write(SWITCHING);
    await new Promise((resolve) => setImmediate(resolve));
    wire.write('220 first words\r\n');
    wire.end();
    wire.uncork();
  };
  const server = createServer({ allowHalfOpen: true }, (wire) => void serve(wire));
  context.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stream = await openForwarding({
    gateway: { address: '127.0.0.1', port },
    to: { address: '10.0.0.1', port: 25 },
    authorities: authority.certificate,
    encrypted: false,
    patience: 10_000,
  });
  const got: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => got.push(chunk));
  stream.resume();
  await once(stream, 'end');
  assert.equal(Buffer.concat(got).toString(), '220 first words\r\n');
  stream.destroy();
});
