/** Ends of POP3 and IMAP that are slow, silent or not there, and clients that do not read, before the daemon. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../testing/peers/daemon.js';
import { INFECTED_MAIL } from '../testing/peers/mailbox-messages.js';
import { freePort } from '../testing/peers/peers.js';
import { resident } from '../testing/peers/resident.js';
import { type MailboxKind, mailboxRig } from '../testing/peers/scripted-mailbox.js';
import { WireClient } from '../testing/peers/wire-client.js';

const MiB = 1 << 20;
const GREETINGS: Readonly<Record<MailboxKind, string>> = { pop3: '+OK here', imap: '* OK here' };
const FAREWELLS: Readonly<Record<MailboxKind, RegExp>> = {
  pop3: /^-ERR \[SYS\/TEMP\] [^\r]*\r\n$/,
  imap: /^\* BYE \[UNAVAILABLE\] [^\r]*\r\n$/,
};

/** Says a byte now and then, until nobody hears it any more. */
async function dribble(socket: Pick<Socket, 'destroyed'>, say: (byte: string) => void): Promise<void> {
  for (let said = 0; !socket.destroyed; said++) {
    assert.ok(said < 300, 'it is never ended');
    say('x');
    await sleep(100);
  }
}

for (const kind of ['pop3', 'imap'] as const) {
  const command = kind === 'pop3' ? 'RETR 1' : 'a FETCH 1 BODY[]';

  test(`FLT-016: ${kind}: a byte now and then keeps no session alive: in a command, a message, a greeting, a literal`, async (context) => {
    const settings = ['set slow-timeout 1', 'set idle-timeout 60'];
    const { mailbox, daemon, client } = await mailboxRig(
      context,
      kind,
      {
        messages: [INFECTED_MAIL],
        shape(answer, heard, { socket, say }) {
          if (heard !== command) return answer;
          say(answer.slice(0, 200));
          void dribble(socket, say);
          return '';
        },
      },
      { settings },
    );
    const inCommand = await client();
    const inMessage = await client();
    inMessage.say(`${command}\r\n`);
    const inLiteral = kind === 'imap' ? await client() : undefined;
    inLiteral?.say('a APPEND INBOX {500}\r\n');
    const quiet = await client();
    await Promise.all(
      [inCommand, inLiteral].map((each) => each === undefined || dribble(each, (byte) => each.say(byte))),
    );
    for (const each of [inCommand, inMessage]) await each.gone();
    assert.ok(!inMessage.received.includes('From: a@x.test'));
    assert.deepEqual(mailbox.heard, [command]);
    await daemon.record({ type: 'traffic', action: 'timeout', msg: 'too-slow' });
    // Who is in the middle of nothing may be silent.
    assert.ok(!quiet.destroyed);
    await quiet.ask(kind === 'pop3' ? 'NOOP' : 'a NOOP');
  });

  test(`FLT-016: ${kind}: a greeting, or a TLS handshake, that comes a byte now and then is not waited for`, async (context) => {
    const settings = ['set slow-timeout 1', 'set handshake-timeout 1'];
    const server = await listening(context, (socket) => {
      let said = 0;
      const all = `${GREETINGS[kind]}${'.'.repeat(1_000)}`;
      void dribble(socket, () => void socket.write(all[said++] ?? '.'));
    });
    const doors = [
      { kind, to: server },
      { kind: `${kind}s` as const, to: server },
    ];
    const daemon = await startDaemon(context, { doors, settings });
    const [plain, secure] = await Promise.all(daemon.ports.map((port) => WireClient.dial(context, port)));
    assert.ok(plain !== undefined && secure !== undefined);
    // The beginning of a handshake message of 512 bytes.
    secure.say(Buffer.from('160301020001', 'hex'));
    await dribble(secure, (byte) => secure.say(byte));
    await plain.gone();
    assert.equal(plain.received.length, 0);
    await daemon.record({ type: 'traffic', action: 'timeout', msg: 'too-slow' });
  });

  test(`FLT-017: ${kind}: a client that reads nothing stops the server, whatever it has to say; then it gets all of it`, async (context) => {
    const LINES = 200_000;
    const line = (number: number): string =>
      kind === 'pop3' ? `${number} ${'u'.repeat(490)}\r\n` : `* ${number} FETCH (FLAGS (${'f'.repeat(470)}))\r\n`;
    const end = kind === 'pop3' ? '.\r\n' : 'a OK done\r\n';
    const asked = kind === 'pop3' ? 'UIDL' : 'a FETCH 1:* FLAGS';
    const { mailbox, daemon } = await mailboxRig(context, kind, {
      answer(heard, { socket }) {
        if (heard !== asked) return undefined;
        pour(socket, LINES, line, kind === 'pop3' ? '+OK\r\n' : '', end);
        return '';
      },
    });
    const { socket, tail } = await silent(context, daemon.ports[0] ?? 0, asked);
    const before = resident(daemon.process.pid);
    const poured = await stalled(() => mailbox.connections[0]?.socket);
    assert.ok(poured < 40 * MiB, `${poured} bytes went nowhere`);
    assert.ok(resident(daemon.process.pid) - before < 64 * MiB);
    socket.resume();
    await once(socket, 'close');
    assert.ok(socket.bytesRead > LINES * 490);
    assert.equal(tail().slice(-end.length), end);
    assert.ok(resident(daemon.process.pid) - before < 128 * MiB);
  });

  test(`FLT-017: ${kind}: of messages that were judged no more waits for a client that does not read than one and what sockets hold`, async (context) => {
    const body = `${'A line of some text that is clean.\r\n'.repeat(30_000)}`;
    const message = `From: a@x.test\r\n\r\n${body}`;
    const { mailbox, daemon } = await mailboxRig(context, kind, {
      answer(heard, { socket }) {
        if (heard === 'QUIT') socket.end('+OK\r\n');
        if (!/^RETR|FETCH/.test(heard)) return '';
        const literal = `{${message.length}}\r\n${message}`;
        if (kind === 'pop3') return `+OK\r\n${message}.\r\n`;
        pour(socket, 100, (number) => `* ${number} FETCH (BODY[] ${literal})\r\n`, '', 'a OK done\r\n');
        return '';
      },
    });
    const commands = kind === 'imap' ? 'a FETCH 1:* BODY[]' : `${'RETR 1\r\n'.repeat(100)}QUIT`;
    const { socket } = await silent(context, daemon.ports[0] ?? 0, commands);
    const before = resident(daemon.process.pid);
    await stalled(() => mailbox.connections[0]?.socket);
    assert.ok(resident(daemon.process.pid) - before < 96 * MiB);
    socket.resume();
    await once(socket, 'close');
    assert.ok(socket.bytesRead > 100 * message.length);
  });

  test(`FLT-017: ${kind}: a message that never ends is held up to the limit, and no further`, async (context) => {
    const { daemon } = await mailboxRig(context, kind, {
      answer(heard, { socket }) {
        if (heard !== command) return undefined;
        const head = kind === 'pop3' ? '+OK\r\n' : '* 1 FETCH (BODY[] {4000000000}\r\n';
        pour(socket, 10_000, () => `${'A line of some text.\r\n'.repeat(3_000)}`, `${head}Subject: x\r\n\r\n`, '');
        return '';
      },
    });
    const before = resident(daemon.process.pid);
    const one = await WireClient.dial(context, daemon.ports[0] ?? 0);
    await one.until('\r\n');
    const greeting = one.received.length;
    one.say(`${command}\r\n`);
    await one.gone();
    assert.equal(one.received.length, greeting);
    assert.ok(resident(daemon.process.pid) - before < 400 * MiB);
    await daemon.record({ type: 'traffic' });
  });

  test(`FLT-018: ${kind}: a server that refuses or says nothing is told to the client in its words, and the next one is served`, async (context) => {
    const [refusing, silent] = [await freePort(), await listening(context, () => {})];
    const daemon = await startDaemon(context, {
      doors: [refusing, silent].map((to) => ({ kind, to })),
      settings: ['set greeting-timeout 1'],
    });
    for (const [at, record] of [{ action: 'ip-conn' }, { action: 'timeout', msg: 'no-greeting' }].entries()) {
      const one = await WireClient.dial(context, daemon.ports[at] ?? 0);
      // It is told so whatever it says in the meantime.
      one.say(kind === 'pop3' ? 'CAPA\r\n' : 'a CAPABILITY\r\n');
      await one.gone();
      assert.match(one.received.toString(), FAREWELLS[kind]);
      await daemon.record({ type: 'traffic', ...record });
    }
    await listening(context, (socket) => void socket.write(`${GREETINGS[kind]}\r\n`), refusing);
    const one = await WireClient.dial(context, daemon.ports[0] ?? 0);
    assert.equal(await one.until('\r\n'), `${GREETINGS[kind]}\r\n`);
  });

  test(`FLT-018: ${kind}: a server that does not answer any more is given up after idle-timeout`, async (context) => {
    const { daemon, client } = await mailboxRig(
      context,
      kind,
      { answer: () => '' },
      { settings: ['set idle-timeout 1'] },
    );
    const one = await client();
    one.say(`${command}\r\n`);
    await one.gone();
    await daemon.record({ type: 'traffic', action: 'timeout', msg: 'idle' });
  });
}

/** A server that does what `serve` does. */
async function listening(context: TestContext, serve: (socket: Socket) => void, port = 0): Promise<number> {
  const server = createServer((socket) => {
    context.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.resume();
    serve(socket);
  }).listen(port, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** As fast as it is taken, then FIN. */
function pour(socket: Socket, count: number, line: (number: number) => string, before: string, end: string): void {
  let number = 0;
  const more = (): void => {
    while (number < count) {
      if (socket.destroyed) return;
      if (socket.write(Buffer.from(line(++number), 'latin1'))) continue;
      socket.once('drain', more);
      return;
    }
    socket.end(end);
  };
  socket.write(before);
  more();
}

/** A client that says something and reads nothing of the answer. */
async function silent(context: TestContext, port: number, says: string) {
  const socket = connect(port, '127.0.0.1');
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  let last = '';
  socket.on('data', (chunk: Buffer) => {
    last = (last + chunk.toString('latin1')).slice(-100);
  });
  socket.pause();
  socket.write(`${says}\r\n`);
  return { socket, tail: () => last };
}

/** What a server has said, as soon as nobody takes more of it. */
async function stalled(server: () => Socket | undefined): Promise<number> {
  let said = 0;
  let still = 0;
  for (let tries = 0; tries < 600; tries++) {
    const now = server()?.bytesWritten ?? 0;
    still = now > 0 && now === said && (server()?.writableLength ?? 0) > 0 ? still + 1 : 0;
    if (still === 20) return said;
    said = now;
    await sleep(50);
  }
  return assert.fail('it is never stopped');
}
