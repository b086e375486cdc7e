/** What lies between a socket and TLS: it tells ends from cuts, and takes what Node's TLS makes of bytes that come too late. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { selfSigned } from '../../testing/peers/certificate.js';
import { scratch } from '../../testing/peers/peers.js';
import { within } from '../../testing/peers/played-ftp.js';
import { HonestEnd } from './honest-end.js';

interface Joined {
  readonly ours: TLSSocket;
  readonly honest: HonestEnd;
  readonly peer: TLSSocket;
  /** Below ours. */
  readonly near: Duplex;
  /** Our FIN is out. */
  finished(): void;
}

/** TLS in memory. A FIN of ours stays under way, as it does before a peer that does not read. */
async function joined(context: TestContext): Promise<Joined> {
  let finished = (): void => {};
  const end = (toward: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        toward().push(chunk);
        done();
      },
      final(done) {
        finished = done;
      },
    });
  const near: Duplex = end(() => far);
  const far: Duplex = end(() => near);
  const { key, certificate } = selfSigned(scratch(context, 'certificate'), 'ec');
  const secureContext = createSecureContext({ key: readFileSync(key), cert: readFileSync(certificate) });
  const honest = new HonestEnd(near);
  const ours = new TLSSocket(honest as never, { isServer: true, secureContext });
  honest.watch(ours);
  const peer = tlsConnect({ socket: far, rejectUnauthorized: false });
  for (const each of [ours, peer]) each.on('error', () => {});
  await within(once(peer, 'secureConnect'), 'a handshake');
  ours.resume();
  return { ours, honest, peer, near, finished: () => finished() };
}

test('nonsense behind our own end ends the connection, and nothing else', async (context) => {
  const { ours, honest, near, finished } = await joined(context);
  const over = new Promise((resolve) => honest.once('close', resolve));
  ours.end();
  // It is handed down in steps.
  const turn = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
  };
  await turn();
  // To a record that cannot be opened, TLS would answer with an alert.
  near.push(Buffer.from(`\x17\x03\x03\x00\x20${'nonsense'.repeat(4)}`, 'latin1'));
  await turn();
  finished();
  await within(over, 'the end of a connection with nonsense in it');
});

test('an end is told from a cut', async (context) => {
  for (const how of ['close_notify', 'FIN'] as const) {
    const { ours, peer, near } = await joined(context);
    const ended = once(ours, 'end');
    if (how === 'close_notify') peer.end('all of it');
    else peer.write('a part of it', () => near.push(null));
    await within(ended, how);
    assert.equal((ours as { truncated?: boolean }).truncated ?? false, how === 'FIN', how);
  }
});
