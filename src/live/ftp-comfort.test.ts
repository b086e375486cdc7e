/**
 * Client comforting before a scanner that takes its time: what is being judged goes out in portions, its end never, and what turns out to be infected is
 * cut off. The scanner is a stand-in for clamd that answers when the test says so.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { collect, type DataEnd, FtpTalk, type PlayedFtp, playedFtp, within } from '../testing/peers/played-ftp.js';

const AMOUNT = 40_000;
/** So much of it may go before its verdict, and not a whole number of portions. */
const OPEN = 100_000;
const FILE = randomBytes(DEFAULT_LIMITS.comfortTail + OPEN);

/** A clamd that is asked about one file at a time, and answers when told. */
async function slowScanner(context: TestContext): Promise<{ port: number; answer(text: string): Promise<void> }> {
  const asked: Socket[] = [];
  let heard = (): void => {};
  const server = createServer((socket) => {
    socket.on('error', () => {});
    context.after(() => socket.destroy());
    let tail = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      tail = Buffer.concat([tail, bytes]).subarray(-4);
      // The stream ends with a length of zero.
      if (tail.readUInt32BE(0) !== 0) return;
      asked.push(socket);
      heard();
    });
  }).listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async answer(text) {
      while (asked.length === 0) {
        const next = new Promise<void>((resolve) => {
          heard = resolve;
        });
        await within(next, 'a question to the scanner');
      }
      asked.shift()?.end(`stream: ${text}\0`);
    },
  };
}

interface Behind {
  readonly server: PlayedFtp;
  readonly daemon: RunningDaemon;
  readonly client: FtpTalk;
  answer(text: string): Promise<void>;
}

async function behind(context: TestContext, secure: boolean): Promise<Behind> {
  const scanner = await slowScanner(context);
  const server = await playedFtp(context, { tls: secure });
  server.files.set('file.bin', FILE);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'ftp', to: server.port }],
    sections: `config antivirus settings\nset clamd "127.0.0.1:${scanner.port}"\nend\n`,
    options: [
      'config ftp',
      'set options clientcomfort',
      'set comfort-interval 1',
      `set comfort-amount ${AMOUNT}`,
      'end',
    ],
    ssl: secure ? ['config ftps', 'set untrusted-server-cert allow', 'end'] : [],
  });
  const client = await FtpTalk.signedIn(context, daemon.ports[0] ?? 0, secure);
  return { server, daemon, client, answer: (text) => scanner.answer(text) };
}

/** Settles when so many bytes have come. */
function bytesOf({ stream }: DataEnd, wanted: number): Promise<void> {
  let got = 0;
  const there = new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got >= wanted) resolve();
    });
  });
  return within(there, `${wanted} bytes`);
}

for (const secure of [false, true]) {
  const way = secure ? 'PROT P' : 'clear text';

  test(`${way}: a download trickles while it is judged, and its rest comes with the verdict`, async (context) => {
    const { client, answer } = await behind(context, secure);
    const data = await client.data();
    const came = collect(data.stream);
    const most = bytesOf(data, OPEN);
    const portions: number[] = [];
    data.stream.on('data', (chunk: Buffer) => portions.push(chunk.length));
    await client.say('RETR file.bin');
    await most;
    // Portions, and no more than that, however they were cut on their way.
    const before = portions.reduce((sum, each) => sum + each, 0);
    assert.equal(before, OPEN);
    await answer('OK');
    assert.match(await client.reply('RETR'), /^226/);
    const { bytes, how } = await came;
    assert.equal(how, 'ended');
    assert.ok(bytes.equals(FILE));
  });

  test(`${way}: of a download that is infected no more comes than had trickled, and it does not end like a whole one`, async (context) => {
    const { daemon, client, answer } = await behind(context, secure);
    const data = await client.data();
    const came = collect(data.stream);
    const some = bytesOf(data, AMOUNT);
    await client.say('RETR file.bin');
    await some;
    await answer('Test.Worm FOUND');
    assert.match(await client.reply('RETR'), /^550 .*Test\.Worm/);
    const { bytes, how } = await came;
    assert.equal(how, 'cut');
    assert.ok(bytes.length <= OPEN, String(bytes.length));
    assert.ok(bytes.equals(FILE.subarray(0, bytes.length)));
    await daemon.record({ action: 'blocked', virus: 'Test.Worm', filename: 'file.bin' });
  });

  test(`${way}: an upload does not trickle: the server has nothing before the verdict`, async (context) => {
    const { server, client, answer } = await behind(context, secure);
    // A download that is comforted meanwhile shows how the time goes by.
    const other = await FtpTalk.signedIn(context, Number(client.raw.remotePort), secure);
    const { stream } = await client.data();
    stream.resume();
    await client.say('STOR up.bin');
    // Other bytes: what is known is not asked again.
    const upload = randomBytes(FILE.length);
    stream.end(upload);
    const data = await other.data();
    const came = collect(data.stream);
    const some = bytesOf(data, AMOUNT + 1);
    await other.say('RETR file.bin');
    await some;
    assert.equal(server.files.get('up.bin')?.length, 0);
    await answer('OK');
    await answer('OK');
    assert.match(await client.reply('STOR'), /^226/);
    assert.match(await other.reply('RETR'), /^226/);
    assert.ok((await came).bytes.equals(FILE));
    assert.equal(server.files.get('up.bin')?.equals(upload), true);
  });
}
