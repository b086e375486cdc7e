/**
 * Both ends of FTP played by a test: a server with files in memory that answers as it should unless the test says otherwise, and a client that
 * says one line at a time. In clear text or with AUTH TLS and PROT P. For peers that misbehave.
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { createSecureContext, type SecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { HonestEnd } from '../../live/tls/honest-end.js';
import { wasReset } from '../../stage/reset-end.js';
import { selfSigned } from './certificate.js';
import { scratch } from './peers.js';

/** An end of a data connection. `raw` is the socket below TLS: what is done to it is a cut. */
export interface DataEnd {
  readonly stream: Duplex;
  readonly raw: Socket;
}

/** What came, and whether it ended by FIN (within TLS by close_notify) or was cut. */
export interface Came {
  readonly bytes: Buffer;
  readonly how: 'ended' | 'cut';
}

export interface PlayedUpload extends Came {
  readonly name: string;
}

export interface PlayedFtpOptions {
  readonly address?: string;
  readonly tls?: boolean;
  /** Data connections have a certificate that is not the control connection's. */
  readonly otherDataCertificate?: boolean;
  readonly greeting?: string;
  /** Says something else than the server's own answer ('': nothing); undefined: its own. */
  answer?(command: string, session: ServedSession): string | undefined | Promise<string | undefined>;
}

export interface PlayedFtp {
  readonly port: number;
  /** Every command so far. */
  readonly heard: string[];
  /** A file is there, empty, as soon as its upload begins. */
  readonly files: Map<string, Buffer>;
  readonly uploads: PlayedUpload[];
}

export async function playedFtp(context: TestContext, options: PlayedFtpOptions = {}): Promise<PlayedFtp> {
  const address = options.address ?? '127.0.0.1';
  const secure = options.tls === true ? secureContext(context) : undefined;
  const ofData = options.otherDataCertificate === true ? secureContext(context) : secure;
  const served: Served = { address, options, secure, ofData, heard: [], files: new Map(), uploads: [], context };
  const server = createServer({ allowHalfOpen: true }, (socket) => new ServedSession(socket, served));
  const port = await listen(context, server, address);
  return { port, heard: served.heard, files: served.files, uploads: served.uploads };
}

interface Served extends Omit<PlayedFtp, 'port'> {
  readonly address: string;
  readonly options: PlayedFtpOptions;
  readonly secure: SecureContext | undefined;
  readonly ofData: SecureContext | undefined;
  readonly context: TestContext;
}

/** The server's side of one control connection. */
export class ServedSession {
  control: Duplex;
  readonly raw: Socket;
  readonly #served: Served;
  readonly #lines = new Lines((line) => void this.#hear(line));
  #data: Promise<DataEnd> | undefined;
  #protected = false;

  constructor(socket: Socket, served: Served) {
    this.#served = served;
    this.raw = socket;
    this.control = socket;
    served.context.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', this.#lines.take);
    this.say(served.options.greeting ?? '220 FTP here');
  }

  say(line: string): void {
    if (!this.control.destroyed && this.control.writable) this.control.write(`${line}\r\n`);
  }

  /** Its end of the data connection that was agreed on last. */
  data(): Promise<DataEnd> {
    return within(this.#data ?? Promise.reject(new Error('no data connection was agreed on')), 'a data connection');
  }

  async #hear(command: string): Promise<void> {
    this.#served.heard.push(command);
    try {
      const said = await this.#served.options.answer?.(command, this);
      if (said === undefined) await this.#answer(command);
      else if (said !== '') this.say(said);
    } catch {
      this.say('425 No data connection');
    }
  }

  async #answer(command: string): Promise<void> {
    const [verb = '', name = ''] = /^(\S+)(?: (.*))?$/.exec(command)?.slice(1) ?? [];
    const { files, uploads } = this.#served;
    const content = files.get(name);
    switch (verb.toUpperCase()) {
      case 'USER':
        return this.say('331 Password, please');
      case 'PASS':
        return this.say('230 In');
      case 'AUTH':
        return this.#secureControl();
      case 'PROT':
        this.#protected = name === 'P';
        return this.say('200 Ok');
      case 'PASV':
      case 'EPSV':
        return this.say(await this.#listen(verb));
      case 'PORT':
      case 'EPRT':
        this.#data = undefined;
        this.#dial(verb, name);
        return this.say('200 Ok');
      case 'RETR':
        if (content === undefined) return this.say('550 No such file');
        return this.send(content);
      case 'LIST':
      case 'NLST':
        return this.send(Buffer.from([...files.keys()].map((each) => `${each}\r\n`).join('')));
      case 'STOR': {
        files.set(name, Buffer.alloc(0));
        this.say('150 Go on');
        const came = await collect((await this.data()).stream);
        uploads.push({ name, ...came });
        files.set(name, came.bytes);
        return this.say(came.how === 'ended' ? '226 Stored' : '426 Cut');
      }
      case 'SIZE':
        return this.say(content === undefined ? '550 No such file' : `213 ${content.length}`);
      case 'DELE':
        return this.say(files.delete(name) ? '250 Gone' : '550 No such file');
      case 'QUIT':
        this.say('221 Bye');
        this.control.end();
        return;
      default:
        return this.say('200 Ok');
    }
  }

  /** A whole transfer toward the client. */
  async send(content: Buffer): Promise<void> {
    this.say('150 Here it comes');
    const { stream } = await this.data();
    const done = new Promise((resolve) => stream.once('close', resolve));
    stream.resume();
    stream.end(content);
    await within(done, 'the end of a download');
    this.say('226 Sent');
  }

  async #listen(verb: string): Promise<string> {
    const server = createServer({ allowHalfOpen: true });
    const port = await listen(this.#served.context, server, this.#served.address);
    this.#data = once(server, 'connection').then(([socket]) => {
      server.close();
      return this.#end(socket as Socket);
    });
    this.#data.catch(() => {});
    if (verb === 'EPSV') return `229 Entering Extended Passive Mode (|||${port}|)`;
    return `227 Entering Passive Mode (${this.#served.address.replaceAll('.', ',')},${port >> 8},${port & 255})`;
  }

  /** When it is wanted. */
  #dial(verb: string, place: string): void {
    const at = verb === 'PORT' ? place.split(',') : place.split('|');
    const [host, port] =
      verb === 'PORT' ? [at.slice(0, 4).join('.'), Number(at[4]) * 256 + Number(at[5])] : [at[2], Number(at[3])];
    const socket = connect({ host: host ?? '', port, allowHalfOpen: true });
    this.#data = once(socket, 'connect').then(() => this.#end(socket));
    this.#data.catch(() => {});
  }

  #end(raw: Socket): DataEnd {
    raw.on('error', () => {});
    this.#served.context.after(() => raw.destroy());
    if (!this.#protected) return { stream: raw, raw };
    return { stream: inTls(raw, { isServer: true, secureContext: this.#served.ofData }), raw };
  }

  #secureControl(): void {
    const { secure } = this.#served;
    if (secure === undefined) return this.say('502 No TLS here');
    this.raw.removeListener('data', this.#lines.take);
    this.say('234 Begin');
    const inner = inTls(this.raw, { isServer: true, secureContext: secure });
    inner.on('data', this.#lines.take);
    this.control = inner;
  }
}

export interface FtpTalkOptions {
  readonly address?: string;
  /** Where it comes from. */
  readonly local?: string;
}

/** A client that has said nothing yet, or (`signedIn`) has a session. */
export class FtpTalk {
  control: Duplex;
  greeting = '';
  readonly raw: Socket;
  readonly #context: TestContext;
  readonly #address: string;
  readonly #lines = new Lines((line) => this.#hear(line));
  /** Replies that came, and who waits for the next. */
  readonly #replies: string[] = [];
  #waiting: ((reply: string) => void) | undefined;
  #open: string[] = [];
  #closed = (): void => {};
  #secured: { readonly session: () => Buffer | undefined } | undefined;
  /** Settles when the connection is over, however it ended. */
  readonly over: Promise<void>;

  static async open(context: TestContext, port: number, options: FtpTalkOptions = {}): Promise<FtpTalk> {
    const talk = new FtpTalk(context, port, options);
    talk.greeting = await talk.reply();
    return talk;
  }

  /** `secure`: with AUTH TLS and PROT P. */
  static async signedIn(
    context: TestContext,
    port: number,
    secure = false,
    options: FtpTalkOptions = {},
  ): Promise<FtpTalk> {
    const talk = await FtpTalk.open(context, port, options);
    if (secure) await talk.secure();
    for (const line of ['USER tester', 'PASS only-for-this-test', ...(secure ? ['PBSZ 0', 'PROT P'] : []), 'TYPE I'])
      await talk.say(line);
    return talk;
  }

  private constructor(context: TestContext, port: number, { address = '127.0.0.1', local }: FtpTalkOptions) {
    this.#context = context;
    this.#address = address;
    this.raw = connect({
      host: address,
      port,
      allowHalfOpen: true,
      ...(local === undefined ? {} : { localAddress: local }),
    });
    this.control = this.raw;
    this.raw.on('error', () => {});
    this.over = new Promise((resolve) => {
      this.#closed = resolve;
    });
    this.raw.once('close', () => this.#closed());
    this.raw.on('end', () => this.raw.end());
    this.raw.on('data', this.#lines.take);
    context.after(() => this.raw.destroy());
  }

  /** Says a line; the next reply, whole. */
  say(line: string): Promise<string> {
    this.control.write(`${line}\r\n`);
    return this.reply(line);
  }

  /** The next reply; lines of one are joined. 'closed' when none comes any more. */
  reply(to = 'the greeting'): Promise<string> {
    const known = this.#replies.shift();
    if (known !== undefined) return Promise.resolve(known);
    const next = new Promise<string>((resolve) => {
      this.#waiting = resolve;
    });
    return within(Promise.race([next, this.over.then(() => this.#replies.shift() ?? 'closed')]), `a reply to ${to}`);
  }

  async secure(): Promise<void> {
    await this.say('AUTH TLS');
    this.raw.removeListener('data', this.#lines.take);
    const inner = inTls(this.raw, {});
    inner.on('data', this.#lines.take);
    inner.once('close', () => this.#closed());
    this.control = inner;
    let session: Buffer | undefined;
    inner.on('session', (each: Buffer) => {
      session = each;
    });
    this.#secured = { session: () => session };
    await within(once(inner, 'secureConnect'), 'TLS on the control connection');
  }

  /** Asks for a place and dials it. `clear`: no TLS, whatever was agreed on. */
  async data(verb: 'PASV' | 'EPSV' = 'EPSV', clear = false): Promise<DataEnd> {
    return this.dial(portOf(await this.say(verb)), clear);
  }

  /** Dials a port of the server's side; what fails shows on the stream. */
  dial(port: number, clear = false, local?: string): DataEnd {
    const raw = connect({
      host: this.#address,
      port,
      allowHalfOpen: true,
      ...(local === undefined ? {} : { localAddress: local }),
    });
    raw.on('error', () => {});
    this.#context.after(() => raw.destroy());
    if (this.#secured === undefined || clear) return { stream: raw, raw };
    return { stream: inTls(raw, { session: this.#secured.session() }), raw };
  }

  /** A whole download; `reply` is the closing one, or the first that refuses it. */
  async fetch(name: string): Promise<Came & { readonly reply: string }> {
    const { stream } = await this.data();
    const came = collect(stream);
    const reply = await this.say(`RETR ${name}`);
    if (!reply.startsWith('1')) return { bytes: Buffer.alloc(0), how: 'cut', reply };
    return { ...(await came), reply: await this.reply(`RETR ${name}`) };
  }

  /** A whole upload; its closing reply. */
  async store(name: string, bytes: Buffer): Promise<string> {
    const { stream } = await this.data();
    stream.resume();
    const reply = await this.say(`STOR ${name}`);
    if (!reply.startsWith('1')) return reply;
    stream.end(bytes);
    return this.reply(`STOR ${name}`);
  }

  #hear(line: string): void {
    this.#open.push(line);
    const [first = ''] = this.#open;
    if (/^\d{3}-/.test(first) && !line.startsWith(`${first.slice(0, 3)} `)) return;
    const whole = this.#open.join('\n');
    this.#open = [];
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#replies.push(whole);
    else waiting(whole);
  }
}

/** The port in a reply to PASV or EPSV. */
export function portOf(reply: string): number {
  const numbers = /\((?:\d+,){4}(\d+),(\d+)\)/.exec(reply);
  if (numbers !== null) return Number(numbers[1]) * 256 + Number(numbers[2]);
  return Number(/\|\|\|(\d+)\|/.exec(reply)?.[1] ?? assertPlace(reply));
}

function assertPlace(reply: string): never {
  throw new Error(`no place in ${reply}`);
}

/** All that comes, to its end. */
export function collect(stream: Duplex): Promise<Came> {
  const parts: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => parts.push(chunk));
  return within(
    new Promise<Came>((resolve) => {
      const settle = (how: Came['how']) => resolve({ bytes: Buffer.concat(parts), how });
      stream.once('end', () => {
        settle((stream as { truncated?: boolean }).truncated === true || wasReset(stream) ? 'cut' : 'ended');
        if (stream.writable) stream.end();
      });
      stream.once('error', () => settle('cut'));
      stream.once('close', () => settle('cut'));
      // It is over already.
      if (stream.readableEnded) settle('ended');
      else if (stream.destroyed) settle('cut');
    }),
    'the end of a data connection',
  );
}

/** Fails what does not come to be: long past what a busy machine needs. */
export function within<T>(promise: Promise<T>, what: string, ms = 20_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** TLS over a socket that can still be cut below it. */
function inTls(
  raw: Socket,
  options: { isServer: true; secureContext: SecureContext | undefined } | { session?: Buffer | undefined },
): TLSSocket {
  const honest = new HonestEnd(raw);
  const { session } = options as { session?: Buffer };
  const inner =
    'isServer' in options
      ? new TLSSocket(honest as unknown as Socket, options as never)
      : tlsConnect({ socket: honest, rejectUnauthorized: false, ...(session === undefined ? {} : { session }) });
  honest.watch(inner);
  inner.on('error', () => {});
  return inner;
}

function secureContext(context: TestContext): SecureContext {
  const { key, certificate } = selfSigned(scratch(context, 'certificate'), 'ec');
  return createSecureContext({ key: readFileSync(key), cert: readFileSync(certificate) });
}

async function listen(context: TestContext, server: Server, address: string): Promise<number> {
  server.listen(0, address);
  context.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Cuts what comes into lines. */
class Lines {
  #rest = '';
  readonly #line: (line: string) => void;

  constructor(line: (line: string) => void) {
    this.#line = line;
  }

  readonly take = (chunk: Buffer): void => {
    this.#rest += chunk.toString('latin1');
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n')) {
      const line = this.#rest.slice(0, end).replace(/\r$/, '');
      this.#rest = this.#rest.slice(end + 1);
      this.#line(line);
    }
  };
}
