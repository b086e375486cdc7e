import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ConfigError, SourceError } from '../core/errors.js';
import { ask } from './client.js';
import { type ControlCommand, findCommand, helpText } from './commands.js';
import { parseRequest, REQUEST_CHARACTERS } from './protocol.js';
import { serveControl } from './server.js';

const COMMANDS: readonly ControlCommand[] = [
  {
    words: 'diagnose sys session list',
    rest: '[expectation]',
    help: 'lists',
    run: ([what], { print }) => print(`list ${what ?? ''}\n`),
  },
  { words: 'diagnose sys session clear', help: 'clears', run: (_, { print }) => print('cleared\n') },
  {
    words: 'diagnose sys session',
    rest: '[x]',
    help: 'shorter',
    run: (rest) => {
      throw new ConfigError(`no ${rest.join(' ')}`);
    },
  },
  {
    words: 'execute broken',
    help: 'fails',
    run: () => {
      throw new TypeError('our bug');
    },
  },
  {
    words: 'diagnose follow',
    help: 'goes on',
    run: (_, { print, signal }) =>
      new Promise<void>((resolve) => {
        print('first\n');
        signal.addEventListener('abort', () => resolve());
      }),
  },
];

const found = (...words: string[]): string => {
  const result = findCommand(COMMANDS, words);
  return 'error' in result ? result.error : [result.command.words, ...result.rest].join(' | ');
};

test('words are understood in full and abbreviated, and the command with the most words is meant', () => {
  assert.equal(found('diagnose', 'sys', 'session', 'list'), 'diagnose sys session list');
  assert.equal(found('diag', 'sys', 'ses', 'lis', 'expectation'), 'diagnose sys session list | expectation');
  assert.equal(found('dia', 'sys', 'session', 'nothing'), 'diagnose sys session | nothing');
  assert.equal(found('exec', 'broken'), 'execute broken');
  assert.match(found('di', 'sys', 'session', 'list'), /^unknown command: di sys/);
  assert.match(found('diagnose', 'sys', 'session', 'clear', 'all'), /^unknown command/);
  assert.match(found('diagnose', 'sys', 'sesion', 'list'), /session list/);
  assert.match(found(), /^unknown command/);
  assert.match(found('__proto__', 'constructor'), /^unknown command/);
});

test('help lists what there is below the words typed so far', () => {
  assert.equal(helpText(COMMANDS, []).split('\n').length, COMMANDS.length + 1);
  assert.equal(helpText(COMMANDS, ['exec']), 'execute broken  fails\n');
  assert.match(helpText(COMMANDS, ['diag', 'sys', 'session']), /^diagnose sys session list \[expectation\] {2}lists\n/);
  assert.equal(helpText(COMMANDS, ['nothing']), '');
});

test('a request is words, or nothing', () => {
  assert.deepEqual(parseRequest('{"words":["a","b"]}'), { words: ['a', 'b'] });
  for (const bad of ['', 'x', 'null', '[]', '7', '{}', '{"words":"a"}', '{"words":[1]}', '{"words":[["a"]]}'])
    assert.equal(parseRequest(bad), undefined, bad);
});

async function serving(context: TestContext): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'inspectd-control-'));
  const path = join(directory, 'control.sock');
  const server: Server = await serveControl(path, COMMANDS);
  context.after(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return path;
}

async function said(path: string, ...words: string[]): Promise<string> {
  let text = '';
  await ask(path, words, (more) => {
    text += more;
  });
  return text;
}

test('a command is answered, its mistakes are told, and ours are too', async (context) => {
  const path = await serving(context);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(await said(path, 'diag', 'sys', 'session', 'list'), 'list \n');
  assert.match(await said(path, 'execute', '?'), /^execute broken/);
  await assert.rejects(said(path, 'diagnose', 'sys', 'session', 'x'), { name: 'ConfigError', message: 'no x' });
  await assert.rejects(said(path, 'execute', 'broken'), /it failed: TypeError: our bug/);
  await assert.rejects(said(path, 'nothing'), /unknown command: nothing .*\?/);
  assert.equal(await said(path, 'diagnose', 'sys', 'session', 'clear'), 'cleared\n');
});

test('a command that goes on ends when whoever asked has gone', async (context) => {
  const path = await serving(context);
  const socket = connect(path);
  socket.write('{"words":["diagnose","follow"]}\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  assert.match(first.toString(), /first/);
  socket.destroy();
  // The server goes on serving.
  assert.equal(await said(path, 'diagnose', 'sys', 'session', 'clear'), 'cleared\n');
});

/** Everything that is answered to these bytes, until the daemon closes. */
async function answered(path: string, bytes: string | Buffer): Promise<string> {
  const socket = connect(path);
  let text = '';
  socket.on('data', (more: Buffer) => {
    text += more.toString();
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return text;
}

test('requests that are none are answered or cut off, one connection at a time, and harm nobody', async (context) => {
  const path = await serving(context);
  for (const bad of [
    '\n',
    'GET / HTTP/1.0\r\n\r\n',
    '{"words":[1]}\n',
    '\u0000\u0001\n',
    Buffer.from([0xff, 0xfe, 0x0a]),
  ])
    assert.match(await answered(path, bad), /"end":"error".*no request/);
  assert.equal(await answered(path, 'x'.repeat(REQUEST_CHARACTERS + 1)), '');
  // What follows a request is not read.
  const two = await answered(path, '{"words":["diagnose","sys","session","clear"]}\n{"words":["execute","broken"]}\n');
  assert.equal(two, '{"text":"cleared\\n"}\n{"end":"done"}\n');
  const many = Array.from({ length: 100 }, () => connect(path));
  for (const each of many) each.on('error', () => {});
  await Promise.race(many.map((each) => once(each, 'close')));
  for (const each of many) each.destroy();
  await Promise.all(many.map((each) => (each.closed ? undefined : once(each, 'close'))));
  for (let tries = 0; ; tries++) {
    try {
      assert.equal(await said(path, 'diagnose', 'sys', 'session', 'clear'), 'cleared\n');
      break;
    } catch (error) {
      if (tries > 50) throw error;
      await new Promise(setImmediate);
    }
  }
});

test('a socket that another daemon serves is left to it, one that nobody serves is taken over', async (context) => {
  const path = await serving(context);
  await assert.rejects(serveControl(path, COMMANDS), SourceError);
  assert.equal(await said(path, 'diagnose', 'sys', 'session', 'clear'), 'cleared\n');
  const left = `${path}.left`;
  writeFileSync(left, '');
  const server = await serveControl(left, COMMANDS);
  assert.equal(await said(left, 'diagnose', 'sys', 'session', 'clear'), 'cleared\n');
  server.close();
});

test('without a daemon that is said', async () => {
  const nowhere = join(tmpdir(), 'inspectd-no-such.sock');
  assert.equal(existsSync(nowhere), false);
  await assert.rejects(said(nowhere, 'x'), { name: 'SourceError' });
});
