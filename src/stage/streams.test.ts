import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { after, before, type TestContext, test } from 'node:test';
import { CLIENT, SERVER } from '../core/flow.js';
import { EICAR } from '../testing/inspecting.js';
import { FACTS } from '../testing/staged.js';
import type { ConnectionFacts } from './connection.js';
import type { ConnectionOutput } from './output.js';
import { InspectionStage } from './stage.js';
import { JoinedStreams, type StreamHooks, type TlsEnds } from './streams.js';

let stage: InspectionStage;
before(async () => {
  stage = await InspectionStage.start();
});
after(() => stage.close());

/** The far ends of two streams that a stage joins, and the near ones. */
interface Joined {
  readonly client: Duplex;
  readonly server: Duplex;
  readonly near: readonly [Duplex, Duplex];
  readonly joined: JoinedStreams;
}

/** A port where none of our protocols is at home: all passes. */
const ANY_PORT: Partial<ConnectionFacts> = { port: 4711 };

function joinedInMemory(hooks: StreamHooks = {}, facts: Partial<ConnectionFacts> = {}): Joined {
  const [client, nearClient] = duplexPair();
  const [server, nearServer] = duplexPair();
  return { client, server, near: [nearClient, nearServer], joined: join([nearClient, nearServer], hooks, facts) };
}

function join(near: readonly [Duplex, Duplex], hooks: StreamHooks, facts: Partial<ConnectionFacts>): JoinedStreams {
  const open = (output: ConnectionOutput) => stage.open({ ...FACTS, ...facts }, output);
  return new JoinedStreams(near[0], near[1], open, hooks);
}

/** With sockets of loopback, where there is RST. */
async function joinedSockets(
  context: TestContext,
  facts: Partial<ConnectionFacts> = {},
): Promise<Joined & { client: Socket; server: Socket }> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  context.after(() => listener.close());
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null);
  const pair = async (): Promise<[far: Socket, near: Socket]> => {
    const accepted = once(listener, 'connection') as Promise<[Socket]>;
    const far = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
    far.on('error', () => {});
    context.after(() => far.destroy());
    const [near] = await accepted;
    return [far, near];
  };
  const [client, nearClient] = await pair();
  const [server, nearServer] = await pair();
  const near = [nearClient, nearServer] as const;
  return { client, server, near, joined: join(near, {}, facts) };
}

/** Reads until `wanted` has come; all that came. */
async function heard(stream: Duplex, wanted: string): Promise<string> {
  let got = '';
  while (!got.includes(wanted)) {
    const chunk = stream.read() as Buffer | null;
    if (chunk !== null) got += chunk.toString('latin1');
    else if (stream.readableEnded || stream.destroyed) assert.fail(`ended behind ${JSON.stringify(got)}`);
    else await once(stream, 'readable');
  }
  return got;
}

/** Everything up to the end, or up to where it was cut. Its other direction stays as it is. */
function rest(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const done = (): void => resolve(Buffer.concat(chunks));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    if (stream.readableEnded || stream.destroyed) done();
    stream.once('end', done).once('close', done);
    stream.resume();
  });
}

/** Up to the answer to the last RCPT. */
async function greet({ client, server }: Joined): Promise<void> {
  server.write('220 mail ESMTP\r\n');
  await heard(client, '220');
  for (const line of ['EHLO a', 'MAIL FROM:<a@example.test>', 'RCPT TO:<b@example.test>']) {
    client.write(`${line}\r\n`);
    await heard(server, line);
    server.write('250 ok\r\n');
    await heard(client, '250');
  }
}

async function data({ client }: Joined, body: string): Promise<void> {
  client.write('DATA\r\n');
  await heard(client, '354');
  client.write(`Subject: x\r\n\r\n${body}`);
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a session goes through and ends when both ends have said so', async () => {
  const session = joinedInMemory();
  const { client, server, joined } = session;
  await greet(session);
  await data(session, 'hello\r\n.\r\n');
  assert.equal(await heard(server, 'DATA'), 'DATA\r\n');
  server.write('354 go\r\n');
  assert.match(await heard(server, '\r\n.\r\n'), /hello/);
  server.write('250 taken\r\n');
  await heard(client, '250 taken');
  client.end('QUIT\r\n');
  await heard(server, 'QUIT');
  server.end('221 bye\r\n');
  assert.equal((await rest(client)).toString(), '221 bye\r\n');
  assert.deepEqual(await joined.ended, { how: 'closed', reason: undefined, side: undefined });
});

test('FLT-017: an end that does not read stops the other, in both directions, and every byte arrives when it does', async () => {
  const piece = Buffer.alloc(64 * 1024, 'the quick brown fox ');
  const pieces = 200;
  const digest = createHash('sha256');
  for (let at = 0; at < pieces; at++) digest.update(piece);
  const wanted = digest.digest('hex');
  for (const from of [CLIENT, SERVER] as const) {
    const { client, server, near, joined } = joinedInMemory({}, ANY_PORT);
    const [source, sink] = from === CLIENT ? [client, server] : [server, client];
    let sent = 0;
    const sending = (async () => {
      for (; sent < pieces; sent++) if (!source.write(piece)) await once(source, 'drain');
      source.end();
    })();
    // Nobody reads: as long as anything moves it is waited for.
    for (let before = -1; before !== sent; ) {
      before = sent;
      for (let turns = 0; turns < 50; turns++) await settled();
    }
    assert.ok(sent < pieces / 10, `${sent} pieces`);
    assert.ok(near.every((stream) => stream.writableLength < 2 * piece.length));
    assert.equal(
      createHash('sha256')
        .update(await rest(sink))
        .digest('hex'),
      wanted,
    );
    await sending;
    sink.end();
    await rest(source);
    assert.equal((await joined.ended).how, 'closed');
  }
});

test('an end that does not read our own answers is not read from', async () => {
  const { client, server, near } = joinedInMemory();
  server.write('220 mail ESMTP\r\n');
  await heard(client, '220');
  const commands = Buffer.from('XYZZY\r\n'.repeat(10_000));
  let written = 0;
  for (let before = -1; before !== written && written < 1_000; ) {
    before = written;
    for (let turns = 0; turns < 50; turns++) {
      if (client.writableLength === 0) {
        client.write(commands);
        written++;
      }
      await settled();
    }
  }
  assert.ok(written < 1_000, 'it never stopped');
  assert.ok(near[CLIENT].writableLength < 8 * 1024 * 1024, String(near[CLIENT].writableLength));
});

test('FLT-015: an end that said FIN still gets its answer', async (context) => {
  const session = await joinedSockets(context);
  const { client, server, joined } = session;
  await greet(session);
  client.write('DATA\r\n');
  await heard(client, '354');
  client.end('Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n');
  await heard(server, 'DATA');
  server.write('354 go\r\n');
  await heard(server, '\r\n.\r\n');
  server.write('250 taken\r\n');
  await heard(server, 'QUIT');
  server.end('221 bye\r\n');
  assert.match((await rest(client)).toString(), /^250 taken\r\n221 bye\r\n$/);
  assert.equal((await joined.ended).how, 'closed');
});

test('FLT-015: FIN of both at once ends it', async (context) => {
  const { client, server, joined } = await joinedSockets(context, ANY_PORT);
  client.end('one');
  server.end('two');
  assert.deepEqual([(await rest(client)).toString(), (await rest(server)).toString()], ['two', 'one']);
  assert.equal((await joined.ended).how, 'closed');
});

test('a client that resets in the middle of a message leaves nothing of it with the server, which is reset as well', async (context) => {
  const session = await joinedSockets(context);
  await greet(session);
  await data(session, `${EICAR.toString('latin1')}\r\nhalf a mess`);
  // A reset that comes together with bytes looks like FIN to Node (libuv makes POLLHUP behind a short read an end).
  while (stage.held === 0) await settled();
  await settled();
  session.client.resetAndDestroy();
  const ended = await session.joined.ended;
  assert.deepEqual([ended.how, ended.side], ['lost', CLIENT]);
  assert.equal((await rest(session.server)).includes('EICAR'), false);
});

test('FLT-014: a server that resets is an end that was lost, at every point of a session, and nothing hangs', async (context) => {
  for (const point of ['greeting', 'commands', 'message', 'delivery'] as const) {
    const session = await joinedSockets(context);
    if (point !== 'greeting') await greet(session);
    if (point === 'message') await data(session, 'half');
    if (point === 'delivery') {
      await data(session, 'hello\r\n.\r\n');
      await heard(session.server, 'DATA');
      session.server.write('354 go\r\n');
      await heard(session.server, 'hello');
    }
    await settled();
    session.server.resetAndDestroy();
    const ended = await session.joined.ended;
    assert.deepEqual([ended.how, ended.side], ['lost', SERVER], point);
    await rest(session.client);
    assert.equal(stage.held, 0, point);
  }
});

test('words that end a session are heard, and nothing behind what brought them about reaches the server', async (context) => {
  const session = await joinedSockets(context);
  await greet(session);
  await data(session, 'hello\n.\nMAIL FROM:<smuggled@example.test>\r\n');
  assert.match((await rest(session.client)).toString(), /^521 /);
  session.client.end();
  assert.equal((await rest(session.server)).includes('smuggled'), false);
  session.server.end();
  await session.joined.ended;
});

test('an end that was told that all is over, and says no FIN of its own, is not waited for', async (context) => {
  const session = await joinedSockets(context);
  await greet(session);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  await data(session, 'one\n.\r\n');
  assert.match((await rest(session.client)).toString(), /^521 /);
  await rest(session.server);
  assert.ok(session.joined.connection.alive);
  context.mock.timers.tick(5_000);
  assert.deepEqual(await session.joined.ended, { how: 'closed', reason: undefined, side: undefined });
  assert.ok(session.near.every((stream) => stream.destroyed));
});

test('abort ends both ends, and what was held is dropped', async () => {
  const session = joinedInMemory();
  await greet(session);
  await data(session, 'hello\r\n');
  await settled();
  session.joined.abort('cleared');
  assert.deepEqual(await session.joined.ended, { how: 'reset', reason: 'cleared', side: undefined });
  session.joined.abort('again');
  await settled();
  assert.ok(session.near.every((stream) => stream.destroyed));
  assert.equal(session.server.read(), null);
  assert.equal(stage.held, 0);
});

test('a cut throws away what an end has not taken yet, and the last words of the engine', async (context) => {
  const { client, server, joined } = await joinedSockets(context, ANY_PORT);
  client.resume();
  server.pause();
  const much = Buffer.alloc(1 << 20, 'x');
  // As much as the system and the server's end take, and more.
  for (let sent = 0; sent < 32; sent++) client.write(much);
  while (joined.connection.alive && client.writableLength === 32 * much.length) await settled();
  joined.cut('posture');
  assert.deepEqual(await joined.ended, { how: 'reset', reason: 'posture', side: undefined });
  assert.ok((await rest(server)).length < 32 * much.length);
});

for (const [title, allowed] of [
  ['goes on where policy allows it', true],
  ['ends before another byte where it does not', false],
] as const)
  test(`a session in doubt ${title}: policy is asked once`, async () => {
    const { client, server, joined } = joinedInMemory({}, ANY_PORT);
    client.write('\x01before\r\n');
    await heard(server, 'before');
    let asked = 0;
    let refused = 0;
    const recheck = (): boolean => {
      asked++;
      return allowed;
    };
    joined.doubt(recheck, () => {
      refused++;
      joined.cut('block');
    });
    await settled();
    assert.equal(asked, 0);
    server.write('after\r\n');
    client.write('after\r\n');
    if (allowed) {
      await heard(client, 'after');
      await heard(server, 'after');
    } else {
      await joined.ended;
      await settled();
      assert.deepEqual([client.read(), server.read()], [null, null]);
    }
    assert.deepEqual([asked, refused], [1, allowed ? 0 : 1]);
  });

test('what a verdict lets go of a session in doubt does not go either', async () => {
  const session = joinedInMemory();
  const { client, server, joined } = session;
  await greet(session);
  await data(session, 'secret\r\n');
  // The stage has the whole message; what it is about to say has to wait for policy.
  client.write('.\r\n');
  joined.doubt(
    () => false,
    () => joined.cut('block'),
  );
  await joined.ended;
  await settled();
  assert.equal(server.read(), null);
});

test('an end that was cut is no end where that counts', async () => {
  for (const strictEnd of [true, false]) {
    const { client, server, near, joined } = joinedInMemory({ strictEnd }, ANY_PORT);
    Object.assign(near[SERVER], { truncated: true });
    client.end();
    server.end('half');
    client.resume();
    server.resume();
    const ended = await joined.ended;
    assert.deepEqual([ended.how, ended.reason], strictEnd ? ['lost', 'truncated'] : ['closed', undefined]);
  }
});

test('bytes of both ends are counted as they come', async () => {
  const counts = [0, 0];
  const hooks: StreamHooks = {
    received: (side, bytes) => {
      counts[side]! += bytes;
    },
  };
  const { client, server, joined } = joinedInMemory(hooks, ANY_PORT);
  client.end('12345');
  server.end('123');
  client.resume();
  server.resume();
  await joined.ended;
  assert.deepEqual(counts, [5, 3]);
});

/** Up to the server's answer to STARTTLS, with this behind it and behind the command. */
async function upgrade({ client, server }: Joined, behind = ''): Promise<void> {
  server.write('220 mail ESMTP\r\n');
  await heard(client, '220');
  client.write('EHLO a\r\n');
  await heard(server, 'EHLO');
  server.write('250-mail\r\n250 STARTTLS\r\n');
  await heard(client, '250 STARTTLS');
  client.write('STARTTLS\r\n');
  await heard(server, 'STARTTLS');
  server.write(`220 go\r\n${behind}`);
}

const TLS = { version: 'TLSv1.3', cipher: 'x', sni: undefined, decrypted: true } as const;

test('behind the go-ahead the streams of the hook are joined, and the session is known to lie in TLS', async () => {
  const [innerClient, nearClient] = duplexPair();
  const [innerServer, nearServer] = duplexPair();
  let asked = 0;
  const session = joinedInMemory({
    startTls: (client, server) => {
      asked++;
      assert.deepEqual([client, server], session.near);
      return Promise.resolve({ client: nearClient, server: nearServer, facts: TLS });
    },
  });
  await upgrade(session);
  await heard(session.client, '220 go');
  innerClient.write('EHLO b\r\n');
  assert.equal(await heard(innerServer, 'EHLO'), 'EHLO b\r\n');
  innerServer.write('250 inside\r\n');
  await heard(innerClient, '250 inside');
  assert.equal(asked, 1);
  assert.equal(session.joined.connection.session.tls, TLS);
  innerClient.end('QUIT\r\n');
  await heard(innerServer, 'QUIT');
  innerServer.end('221 bye\r\n');
  await rest(innerClient);
  assert.equal((await session.joined.ended).how, 'closed');
});

test('clear text behind the go-ahead, in one piece with it or behind it, ends the session before TLS begins', async () => {
  for (const how of ['one piece', 'two pieces', 'from the client'] as const) {
    let asked = 0;
    const session = joinedInMemory({
      startTls: () => {
        asked++;
        return Promise.resolve(undefined);
      },
    });
    const { client, server, joined } = session;
    if (how === 'one piece') await upgrade(session, '250 injected\r\n');
    else {
      await upgrade(session, '');
      if (how === 'two pieces') server.write('250 injected\r\n');
      else client.write('EHLO injected\r\n');
    }
    const ended = await joined.ended;
    assert.equal(ended.how, 'reset', how);
    if (asked === 0) assert.equal(ended.reason, 'plaintext-before-tls', how);
    client.resume();
    server.resume();
  }
});

test('TLS that fails, or a hook that does, ends the session; one that may pass unread passes as it comes', async () => {
  for (const startTls of [() => Promise.resolve(undefined), () => Promise.reject(new Error('handshake'))]) {
    const session = joinedInMemory({ startTls });
    await upgrade(session);
    assert.equal((await session.joined.ended).reason, 'tls-failed');
  }
  const session = joinedInMemory({ startTls: () => Promise.resolve('pass' as const) });
  await upgrade(session);
  await heard(session.client, '220 go');
  session.client.write(`\x16${EICAR.toString('latin1')}`, 'latin1');
  await heard(session.server, 'EICAR');
  session.server.write('\x16back', 'latin1');
  await heard(session.client, '\x16back');
  session.client.end();
  session.server.end();
  await Promise.all([rest(session.client), rest(session.server)]);
  assert.equal((await session.joined.ended).how, 'closed');
});

test('TLS that stands when the session is over already is taken down', async () => {
  let ready = (_: TlsEnds): void => {};
  const session = joinedInMemory({
    startTls: () =>
      new Promise((resolve) => {
        ready = resolve;
      }),
  });
  await upgrade(session);
  await heard(session.client, '220 go');
  await settled();
  session.joined.abort('cleared');
  const [, client] = duplexPair();
  const [, server] = duplexPair();
  ready({ client, server, facts: TLS });
  await settled();
  assert.ok(client.destroyed && server.destroyed);
});
