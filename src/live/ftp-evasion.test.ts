/** Servers and clients of FTP that misbehave, before the daemon: what the client is told, what the log has. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';

/** A server that answers each command with what `answer` says; what it heard. */
async function server(
  context: TestContext,
  answer: (command: string) => string,
): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = [];
  const listening = createServer((socket) => {
    socket.on('error', () => {});
    context.after(() => socket.destroy());
    socket.write('220 here\r\n');
    const lines = createInterface({ input: socket });
    // It tells of its input's errors as well.
    lines.on('error', () => {});
    lines.on('line', (line) => {
      heard.push(line);
      socket.write(`${answer(line)}\r\n`);
    });
  }).listen(0, '127.0.0.1');
  context.after(() => listening.close());
  await once(listening, 'listening');
  return { port: (listening.address() as AddressInfo).port, heard };
}

/** Says one line after the other, each when the one before was answered; the answers. */
async function talk(context: TestContext, daemon: RunningDaemon, lines: readonly string[]): Promise<string[]> {
  const socket = connect(daemon.ports[0] ?? 0, '127.0.0.1');
  context.after(() => socket.destroy());
  const answers: string[] = [];
  const said = createInterface({ input: socket })[Symbol.asyncIterator]();
  await said.next();
  for (const line of lines) {
    socket.write(`${line}\r\n`);
    const { value } = await said.next();
    answers.push(String(value));
  }
  return answers;
}

test('FTP-001, FTP-002, FTP-004, FTP-005, FTP-010: bad places and pieces are refused, and the session goes on', async (context) => {
  const places = ['(10,9,8,7,200,1)', '(127,0,0,1,0,22)', '(127,0,0,1,300,1)', '(127,0,0,1,200,1)'];
  const { port, heard } = await server(context, (command) =>
    command === 'PASV' ? `227 Entering Passive Mode ${places.shift()}` : '200 ok',
  );
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: port }] });
  const refused = [
    'PORT 10,9,8,7,200,1',
    'PORT 127,0,0,1,0,22',
    'PORT 127,0,0,1,256,1',
    'EPRT |3|x|1|',
    'REST 50',
    'APPE a',
  ];
  const answers = await talk(context, daemon, ['USER a', 'PASV', 'PASV', 'PASV', ...refused, 'XYZZY', 'NOOP', 'PASV']);
  const codes = answers.map((answer) => answer.slice(0, 3));
  assert.deepEqual(codes, ['200', '425', '425', '425', '500', '500', '501', '501', '502', '502', '500', '200', '227']);
  // The server never hears of what was refused.
  assert.deepEqual(heard, ['USER a', 'PASV', 'PASV', 'PASV', 'NOOP', 'PASV']);
  const refusal = { logdesc: 'Expectation session refused' };
  await daemon.record({ ...refusal, msg: 'foreign-address 10.9.8.7:51201' });
  await daemon.record({ ...refusal, msg: 'low-port 127.0.0.1:22' });
  const expectations = await daemon.ask('diagnose', 'sys', 'session', 'list', 'expectation');
  assert.match(expectations, /act=dnat 127\.0\.0\.1:0->127\.0\.0\.1:\d+\(127\.0\.0\.1:51201\)/);
  assert.match(expectations, /total session 1\n/);
});

test('FTP-017: a line without an end is no reason to wait: the session is cut', async (context) => {
  const { port } = await server(context, () => '200 ok');
  const daemon = await startDaemon(context, { doors: [{ kind: 'ftp', to: port }] });
  const socket = connect(daemon.ports[0] ?? 0, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'data');
  socket.write(`USER ${'a'.repeat(1 << 20)}`);
  await new Promise((resolve) => socket.once('close', resolve));
  await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-line-too-long, from the client' });
});
