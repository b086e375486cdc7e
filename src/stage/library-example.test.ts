/** The example of docs/library.md, as it stands there, between a client and a server of ours. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Conversation } from '../testing/peers/conversation.js';
import { startMailSink } from '../testing/peers/mail-sink.js';
import { ended, freePort, scratch } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

test('the proxy of docs/library.md works as it is written there', async (context) => {
  const document = readFileSync(join(ROOT, 'docs/library.md'), 'utf8');
  const [, example] = /```js\n(.*?)```/s.exec(document) ?? [];
  assert.ok(example !== undefined && example.split('\n').length < 35);
  // Its import is found as a user's would be, but that the package is this checkout.
  const path = join(scratch(context, 'library'), 'proxy.mjs');
  writeFileSync(path, example.replace("from 'inspectd'", `from '${join(ROOT, 'dist/src/index.js')}'`));
  const sink = await startMailSink(context);
  const port = await freePort();
  const proxy = spawn(process.execPath, [path], {
    env: { ...process.env, LISTEN: String(port), SERVER: String(sink.port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => ended(proxy));
  let log = '';
  proxy.stdout.on('data', (text: Buffer) => {
    log += text.toString();
  });
  await new Promise<void>((resolve, reject) => {
    proxy.stderr.on('data', (text: Buffer) => {
      if (text.includes('listening on')) resolve();
    });
    proxy.once('exit', () => reject(new Error('it did not start')));
  });
  const client = await Conversation.open(context, port);
  await client.reply();
  const envelope = ['HELO here', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.org>', 'DATA'];
  assert.deepEqual(await client.codes(...envelope), ['250', '250', '250', '354']);
  assert.match(await client.say(`Subject: bad\r\n\r\n${EICAR}\r\n.\r\n`), /^554 /);
  assert.deepEqual(await client.codes(...envelope.slice(1)), ['250', '250', '354']);
  assert.match(await client.say('Subject: good\r\n\r\nhello\r\n.\r\n'), /^250 /);
  assert.deepEqual(sink.mails, ['Subject: good\r\n\r\nhello']);
  assert.match(log, /subtype="virus".*virus="EICAR_TEST_FILE"/);
});
