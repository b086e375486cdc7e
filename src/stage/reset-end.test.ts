import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { wasReset } from './reset-end.js';

/** Two sockets of loopback that are joined. */
async function pair(context: TestContext): Promise<[Socket, Socket]> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  context.after(() => listener.close());
  await once(listener, 'listening');
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null);
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  const far = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = await accepted;
  for (const each of [far, near]) {
    each.on('error', () => {});
    context.after(() => each.destroy());
  }
  return [far, near];
}

/** How it was over, as Node tells it. */
function over(socket: Socket): Promise<'end' | 'error'> {
  return new Promise((resolve) => {
    socket.once('end', () => resolve('end'));
    socket.once('error', () => resolve('error'));
    socket.resume();
  });
}

test('a reset that is told as an end is known for what it is, and an end is an end', async (context) => {
  const [far, near] = await pair(context);
  far.write('bytes, and ');
  await new Promise((resolve) => far.write('a reset at once', resolve));
  const closed = once(far, 'close');
  far.resetAndDestroy();
  await closed;
  if ((await over(near)) === 'end') assert.equal(wasReset(near), true);

  const [other, ours] = await pair(context);
  other.end('bytes, and FIN');
  assert.equal(await over(ours), 'end');
  assert.equal(wasReset(ours), false);
  assert.equal(wasReset(new PassThrough()), false);
});
