/** TLS 1.2 and 1.3 over real sockets: an end that was said is told from one that was not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';
import { HonestEnd } from './honest-end.js';

peerTest(
  'TLS-022: a close_notify is an end, a bare FIN is a cut, whatever was sent before it',
  ['openssl'],
  async (context) => {
    const directory = scratch(context, 'honest');
    const [key, certificate] = [join(directory, 'key'), join(directory, 'crt')];
    run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      certificate,
      '-subj',
      '/CN=a',
      '-days',
      '9',
    ]);
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
      for (const size of [0, 1, 100_000])
        for (const honest of [true, false]) {
          const secureContext = createSecureContext({
            key: readFileSync(key),
            cert: readFileSync(certificate),
            maxVersion,
          });
          const server = createServer({ allowHalfOpen: true }, (raw) => {
            raw.on('error', () => {});
            const tls = new TLSSocket(raw, { isServer: true, secureContext });
            tls.on('error', () => {});
            // From within the event itself Node 20 sends no close_notify in TLS 1.3.
            tls.once('secure', () =>
              setImmediate(() => {
                const body = Buffer.alloc(size, 'x');
                if (honest) tls.end(body);
                // What was written goes out through TLS, then the socket ends without a word of it.
                else tls.write(body, () => setImmediate(() => raw.end()));
              }),
            );
          }).listen(0, '127.0.0.1');
          await once(server, 'listening');
          const raw = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
          const end = new HonestEnd(raw);
          const client = tlsConnect({ socket: end, rejectUnauthorized: false });
          end.watch(client);
          client.on('error', () => {});
          let got = 0;
          client.on('data', (chunk: Buffer) => {
            got += chunk.length;
          });
          await new Promise((resolve) => client.once('close', resolve).once('end', resolve));
          const { truncated } = client as TLSSocket & { readonly truncated: boolean };
          const what = `${maxVersion}, ${size} bytes, ${honest ? 'said' : 'not said'}`;
          assert.equal(got, size, what);
          assert.equal(truncated, !honest, what);
          client.destroy();
          raw.destroy();
          server.close();
        }
  },
);
