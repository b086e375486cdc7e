/** The daemon's side of the control socket: one request a connection, several connections at once, none of which can harm the daemon. */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { ConfigError, SourceError } from '../core/errors.js';
import { type ControlCommand, findCommand, helpText } from './commands.js';
import { parseRequest, REQUEST_CHARACTERS, type Reply } from './protocol.js';

/** Characters that may wait for a client that does not read; more end it. */
const UNREAD = 16 * 1024 * 1024;
/** Milliseconds that a client has to say what it wants. */
const REQUEST_TIME = 10_000;

/** Listens at `path`, readable by its owner alone. Rejects with SourceError: another daemon has it, or it cannot be made. */
export async function serveControl(path: string, commands: readonly ControlCommand[]): Promise<Server> {
  if (await answers(path)) throw new SourceError(`control socket ${path}: another inspectd serves it`);
  rmSync(path, { force: true });
  const server = createServer((socket) => converse(socket, commands));
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new SourceError(`control socket ${path}: cannot be made: ${cause.message}`, { cause })),
    );
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  server.on('error', () => {});
  return server;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function converse(socket: Socket, commands: readonly ControlCommand[]): void {
  let received = '';
  const gone = new AbortController();
  // Who follows debug lines does not keep a daemon alive that stops.
  socket.unref();
  socket.setEncoding('utf8');
  socket.on('error', () => {});
  socket.on('close', () => gone.abort());
  socket.setTimeout(REQUEST_TIME, () => socket.destroy());
  const reply = (each: Reply): void => {
    if (socket.destroyed) return;
    socket.write(`${JSON.stringify(each)}\n`);
    if (socket.writableLength > UNREAD) socket.destroy();
  };
  const finish = (error?: string): void => {
    reply(error === undefined ? { end: 'done' } : { end: 'error', error });
    socket.end();
  };
  const onData = (text: string): void => {
    received += text;
    const end = received.indexOf('\n');
    if (end < 0) {
      if (received.length > REQUEST_CHARACTERS) socket.destroy();
      return;
    }
    socket.setTimeout(0);
    socket.removeListener('data', onData);
    socket.resume();
    const request = parseRequest(received.slice(0, end));
    if (request === undefined) return finish('this is no request of inspectd');
    const { words } = request;
    if (words.at(-1) === '?') {
      reply({ text: helpText(commands, words.slice(0, -1)) });
      return finish();
    }
    const found = findCommand(commands, words);
    if ('error' in found) return finish(`${found.error} ("?" behind the words lists what there is)`);
    const answer = { print: (printed: string) => reply({ text: printed }), signal: gone.signal };
    Promise.resolve()
      .then(() => found.command.run(found.rest, answer))
      .then(
        () => finish(),
        (error: unknown) => finish(error instanceof ConfigError ? error.message : `it failed: ${String(error)}`),
      );
  };
  socket.on('data', onData);
}
