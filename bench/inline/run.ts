/**
 * What inspection costs in the path: the same sessions through a plain relay and through the stage, in turn, in one process of their own
 * (proxy.ts), whose ends are here. `limitSeconds` is the relay's time.
 */
import type { Buffer } from 'node:buffer';
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, createServer as tlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import type { Moved } from '../../src/testing/file-sessions.js';
import { SeededRandom } from '../../src/testing/random.js';
import { type Mail, mimeMessage, smtpSession, type Turn } from '../../src/testing/sessions.js';
import { noise, sizeUpTo } from '../noise.js';
import { ftpClient, ftpServer } from './ftp.js';
import { playSide } from './player.js';
import type { FromProxy, ToProxy } from './proxy.js';
import { smbClient, smbServer } from './smb.js';

export const INLINE_CASES = ['inline-smtp', 'inline-smtps', 'inline-ftp', 'inline-smb'] as const;
export type InlineCase = (typeof INLINE_CASES)[number];

export interface InlineRun {
  /** Of files, as they cross the wire. */
  readonly bytes: number;
  readonly relaySeconds: number;
  readonly inspectedSeconds: number;
}

export interface Latency {
  /** Milliseconds that inspection adds to a mail of 4 KB, from its last byte to the server's answer. */
  readonly p50ms: number;
  readonly p99ms: number;
}

const ADDRESS = '127.0.0.1';
/** Sessions at once. */
const CONCURRENT = 4;
const LARGEST = 12 * 1024 * 1024;
const LATENCY_MAILS = 1_000;
/** Ends that move files by themselves. */
const FILE_PROTOCOLS = {
  'inline-ftp': { serve: ftpServer, move: ftpClient, port: 21 },
  'inline-smb': { serve: smbServer, move: smbClient, port: 445 },
};

/** One session: its client's side over a connection; its server is told by the order of arrival. */
interface Played {
  readonly turns: readonly Turn[];
  readonly bytes: number;
}

export class InlineBench {
  readonly #proxy: ChildProcess;
  readonly #awake: Promise<void>;
  readonly #answers: ((answer: FromProxy) => void)[] = [];

  constructor() {
    this.#proxy = fork(fileURLToPath(new URL('proxy.js', import.meta.url)), { stdio: 'inherit' });
    this.#awake = new Promise((resolve) => this.#answers.push(() => resolve()));
    this.#proxy.on('message', (message: FromProxy) => this.#answers.shift()?.(message));
  }

  async peakRssMb(): Promise<number> {
    const answer = await this.#ask({ kind: 'memory' });
    return answer.kind === 'memory' ? answer.peakRssMb : 0;
  }

  close(): void {
    this.#proxy.disconnect();
  }

  /** `runs` runs, relay and inspection in turn, over about `megabytes` of files. One more run warms up. */
  async measure(name: InlineCase, runs: number, megabytes: number): Promise<InlineRun[]> {
    const random = new SeededRandom(1);
    if (name === 'inline-ftp' || name === 'inline-smb') return this.#measureFiles(name, random, runs, megabytes);
    const sessions: Played[] = [];
    let bytes = 0;
    while (bytes < megabytes * 1e6) {
      const session = smtpPlayed(sessions.length, random);
      sessions.push(session);
      bytes += session.bytes;
    }
    const tls = name === 'inline-smtps' ? certificate() : undefined;
    // One connects at a time, so that the server knows whose connection has come.
    let arrived: ((stream: Duplex) => void) | undefined;
    let turn: Promise<unknown> = Promise.resolve();
    const serve = (stream: Duplex): void => arrived?.(stream);
    const server = tls === undefined ? createServer({ noDelay: true }, serve) : tlsServer(tls, serve);
    const { relay, inspected } = await this.#open(await listen(server), 25, tls);
    const through = (port: number): Promise<number> =>
      this.#timed(sessions, async (session) => {
        const connected = turn.then(async () => {
          const served = new Promise<Duplex>((resolve) => {
            arrived = resolve;
          });
          const raw = connect({ host: ADDRESS, port, noDelay: true });
          const stream = tls === undefined ? raw : tlsConnect({ socket: raw, rejectUnauthorized: false });
          stream.pause();
          void playSide(await served, session.turns, SERVER).catch(() => {});
          return stream;
        });
        turn = connected;
        await playSide(await connected, session.turns, CLIENT);
      });
    return alternate(
      runs,
      bytes,
      () => through(relay),
      () => through(inspected),
    ).finally(() => server.close());
  }

  /** Small mails, one at a time, over one connection each way. */
  async latency(): Promise<Latency> {
    const mail: Mail = {
      from: 'a@example.com',
      to: ['b@example.org'],
      subject: 'small',
      text: 'A line of a small mail.\r\n'.repeat(40),
      attachments: [{ name: 'small.bin', bytes: noise(2_000, new SeededRandom(1)) }],
    };
    const turns = smtpSession(Array.from({ length: LATENCY_MAILS }, () => mail));
    const server = createServer({ noDelay: true }, (stream) => void playSide(stream, turns, SERVER).catch(() => {}));
    const { relay, inspected } = await this.#open(await listen(server), 25, undefined);
    const times = async (port: number): Promise<number[]> => {
      const socket = connect({ host: ADDRESS, port, noDelay: true });
      await new Promise((resolve) => socket.once('connect', resolve));
      const found: number[] = [];
      let sent = 0;
      await playSide(
        watched(
          socket,
          (bytes) => {
            if (bytes > 1_000) sent = performance.now();
          },
          () => {
            if (sent > 0) found.push(performance.now() - sent);
            sent = 0;
          },
        ),
        turns,
        CLIENT,
      );
      // What is compiled yet is not what is measured.
      return found.slice(LATENCY_MAILS / 4).sort((a, b) => a - b);
    };
    await times(relay);
    await times(inspected);
    const plain = await times(relay);
    const judged = await times(inspected);
    server.close();
    const added = (share: number): number =>
      Math.max(0, (judged[Math.floor(judged.length * share)] ?? 0) - (plain[Math.floor(plain.length * share)] ?? 0));
    return { p50ms: added(0.5), p99ms: added(0.99) };
  }

  async #measureFiles(
    name: 'inline-ftp' | 'inline-smb',
    random: SeededRandom,
    runs: number,
    megabytes: number,
  ): Promise<InlineRun[]> {
    const sessions: Moved[][] = [];
    const files = new Map<string, Buffer>();
    let bytes = 0;
    while (bytes < megabytes * 1e6) {
      const moved = movedFiles(sessions.length, random);
      for (const each of moved) {
        files.set(each.name, each.bytes);
        bytes += each.bytes.length;
      }
      sessions.push(moved);
    }
    const { serve, move, port: service } = FILE_PROTOCOLS[name];
    const server = serve(files);
    const { relay, inspected } = await this.#open(await listen(server), service, undefined);
    const through = (port: number): Promise<number> =>
      this.#timed(sessions, async (moved) => {
        const socket = connect({ host: ADDRESS, port, noDelay: true });
        await move(socket, moved);
      });
    return alternate(
      runs,
      bytes,
      () => through(relay),
      () => through(inspected),
    ).finally(() => server.close());
  }

  async #timed<T>(sessions: readonly T[], play: (session: T) => Promise<void>): Promise<number> {
    const left = [...sessions].reverse();
    const started = performance.now();
    await Promise.all(
      Array.from({ length: CONCURRENT }, async () => {
        for (let session = left.pop(); session !== undefined; session = left.pop()) await play(session);
      }),
    );
    return (performance.now() - started) / 1000;
  }

  async #open(
    server: number,
    service: number,
    tls: { key: string; cert: string } | undefined,
  ): Promise<{ relay: number; inspected: number }> {
    const answer = await this.#ask({ kind: 'open', server, service, ...(tls === undefined ? {} : { tls }) });
    if (answer.kind !== 'ports') throw new Error('the proxy answered something else');
    return answer;
  }

  async #ask(message: ToProxy): Promise<FromProxy> {
    await this.#awake;
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#proxy.send(message);
    });
  }
}

async function alternate(
  runs: number,
  bytes: number,
  relay: () => Promise<number>,
  inspected: () => Promise<number>,
): Promise<InlineRun[]> {
  await relay();
  await inspected();
  const found: InlineRun[] = [];
  for (let run = 0; run < runs; run++)
    found.push({ bytes, relaySeconds: await relay(), inspectedSeconds: await inspected() });
  return found;
}

function smtpPlayed(number: number, random: SeededRandom): Played {
  const mails = Array.from(
    { length: 1 + random.below(3) },
    (_, at): Mail => ({
      from: `sender${number}@example.com`,
      to: [`recipient${number}@example.org`],
      subject: `mail ${at} of session ${number}`,
      text: 'See the attachment.',
      attachments: [{ name: `file-${number}-${at}.bin`, bytes: noise(sizeUpTo(LARGEST, random), random) }],
    }),
  );
  return { turns: smtpSession(mails), bytes: mails.reduce((sum, mail) => sum + mimeMessage(mail).length, 0) };
}

function movedFiles(number: number, random: SeededRandom): Moved[] {
  return Array.from(
    { length: 2 + random.below(5) },
    (_, at): Moved => ({
      name: `file-${number}-${at}.bin`,
      bytes: noise(sizeUpTo(LARGEST, random), random),
      upload: (number + at) % 2 === 0,
    }),
  );
}

/** The stream, with every write and every piece that comes told of. */
function watched(stream: Duplex, wrote: (bytes: number) => void, came: () => void): Duplex {
  const write = stream.write.bind(stream) as (chunk: Buffer) => boolean;
  stream.write = ((chunk: Buffer) => {
    wrote(chunk.length);
    return write(chunk);
  }) as typeof stream.write;
  stream.on('data', came);
  return stream;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, ADDRESS, () => {
      const at = server.address();
      resolve(typeof at === 'object' && at !== null ? at.port : 0);
    }),
  );
}

/** A certificate of its own for both servers: what it says is not what is measured. */
function certificate(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'inspectd-bench-'));
  try {
    const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
    const subject = ['-subj', '/CN=bench.example', '-days', '2'];
    spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject]);
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
