/**
 * The edge to Node: two streams (sockets, TLS sockets, any Duplex), one for each end, joined through a connection of the stage. Looks after
 * back-pressure, half-closed ends, resets, and the change to TLS.
 */
import type { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Related, Side } from '../core/flow.js';
import { CLIENT, opposite, SERVER } from '../core/flow.js';
import type { Endpoint, TlsFacts } from '../core/session.js';
import type { StagedConnection } from './connection.js';
import type { ConnectionOutput, StageEvent } from './output.js';
import { wasReset } from './reset-end.js';

/** The ends of a connection, inside TLS, and what was agreed. */
export interface TlsEnds {
  readonly client: Duplex;
  readonly server: Duplex;
  readonly facts: TlsFacts;
}

export interface StreamHooks {
  /**
   * Both ends agreed to begin TLS: terminate it on both. `pass`: let it pass unread, as policy allows. Undefined when it fails, or when the
   * hook is left out: the connection ends.
   */
  startTls?(client: Duplex, server: Duplex): Promise<TlsEnds | 'pass' | undefined>;
  /** See ConnectionOutput. */
  expect?(related: Related, ready: (at: Endpoint | undefined) => void): void;
  event?(event: StageEvent): void;
  /** `bytes` came from `side`. */
  received?(side: Side, bytes: number): void;
  /** Bytes that count only if they end as they should (FTP data): an end whose TLS was cut without close_notify is no end, nor is a RST. */
  readonly strictEnd?: boolean;
}

/** How a connection ended. */
export interface Ended {
  /** `closed`: both ends said FIN. `reset`: policy or the engine. `lost`: an end went away (RST, an error). */
  readonly how: 'closed' | 'reset' | 'lost';
  /** Of a reset: why. Of a lost one: the error's code. */
  readonly reason: string | undefined;
  /** The end that was lost. */
  readonly side: Side | undefined;
}

/** A stream of ours that knows whether its peer ended it or it was cut off. */
interface MayBeTruncated {
  readonly truncated?: boolean;
}

/** So many bytes may wait for an end that does not read its own answers. */
const UNREAD_ANSWERS = 1 << 20;
/** Milliseconds that an end gets to take what was written before the reset that follows, or to say its own FIN when it was told that all is over. */
const LAST_WORDS = 5_000;
/** How often it is looked whether it has. */
const FLUSH_POLL = 10;

export class JoinedStreams {
  /** Settles when it is over, and never rejects. */
  readonly ended: Promise<Ended>;
  readonly connection: StagedConnection;
  readonly #hooks: StreamHooks;
  #ends: readonly [End, End];
  #over = false;
  #lingering: NodeJS.Timeout | undefined;
  #doubt: { readonly recheck: () => boolean; readonly refused: () => void } | 'refused' | undefined;
  #settle: (ended: Ended) => void = () => {};

  /** `open` is `stage.open` or `connection.related`, given the output. Nothing is read before the next tick. */
  constructor(
    client: Duplex,
    server: Duplex,
    open: (output: ConnectionOutput) => StagedConnection,
    hooks: StreamHooks = {},
  ) {
    this.#hooks = hooks;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#ends = [new End(client), new End(server)];
    const { expect, event } = hooks;
    this.connection = open({
      write: (toward, bytes) => this.#write(toward, bytes),
      finish: (toward) => this.#finish(toward),
      reset: (reason, only) => this.#reset(reason, only),
      pause: (side, paused) => this.#ends[side].hold('engine', paused),
      startTls: () => void this.#startTls(),
      ...(expect === undefined ? {} : { expect: (related, ready) => expect.call(hooks, related, ready) }),
      ...(event === undefined ? {} : { event: (each) => event.call(hooks, each) }),
    });
    for (const side of [CLIENT, SERVER] as const) this.#listen(side);
  }

  /** Ends it now, from outside: a session that was cleared, a process that stops. */
  abort(reason: string): void {
    if (this.#over) return;
    this.connection.close();
    this.#reset(reason, undefined);
  }

  /** Ends it before another byte passes, what was written and has not left included: a session that is allowed no more. */
  cut(reason: string): void {
    if (this.#over) return;
    // The engine's last words stay unsaid.
    this.#conclude({ how: 'reset', reason, side: undefined });
    for (const { stream } of this.#ends) resetNow(stream);
    this.connection.close();
  }

  /** Nothing passes before `recheck` says so. It is asked once, when something would; `refused` is called soon after it said no. */
  doubt(recheck: () => boolean, refused: () => void): void {
    this.#doubt = { recheck, refused };
  }

  /** There is no doubt any more. */
  trust(): void {
    if (this.#doubt !== 'refused') this.#doubt = undefined;
  }

  #sure(): boolean {
    const doubt = this.#doubt;
    if (doubt === undefined) return true;
    if (doubt === 'refused') return false;
    this.#doubt = undefined;
    if (doubt.recheck()) return true;
    // Perhaps from within the engine, which must not be closed there.
    this.#doubt = 'refused';
    queueMicrotask(doubt.refused);
    return false;
  }

  #listen(side: Side): void {
    const end = this.#ends[side];
    const { stream } = end;
    const alive = (): boolean => !this.#over && this.#ends[side] === end;
    end.on('data', (chunk: Buffer) => {
      if (!alive() || !this.#sure()) return;
      this.#hooks.received?.(side, chunk.length);
      this.connection.receive(side, chunk);
    });
    end.on('drain', () => {
      if (!alive()) return;
      this.#ends[opposite(side)].hold('peer', false);
      end.hold('answers', false);
    });
    const ended = (): void => {
      if (!alive() || end.ended || !this.#sure()) return;
      end.ended = true;
      if (this.#hooks.strictEnd === true && ((stream as MayBeTruncated).truncated === true || wasReset(stream)))
        return this.#lost(side, 'truncated');
      this.connection.end(side);
      this.#closeIfDone();
    };
    end.on('end', ended);
    end.on('error', (error: NodeJS.ErrnoException) => {
      if (alive()) this.#lost(side, error.code ?? 'error');
    });
    end.on('close', () => {
      if (!alive()) return;
      end.gone = true;
      if (end.ended && end.finished) this.#closeIfDone();
      else this.#lost(side, 'closed');
    });
    end.hold('start', false);
    // It ended or went before anybody listened: its events are over.
    if (stream.readableEnded) setImmediate(ended);
    if (stream.destroyed)
      setImmediate(() => {
        if (alive()) this.#lost(side, 'closed');
      });
  }

  #write(toward: Side, bytes: Buffer): void {
    const end = this.#ends[toward];
    if (this.#over || end.finished || end.gone || !this.#sure()) return;
    // Node's TLS hands an empty write past itself, and then asserts that nothing else is written meanwhile.
    if (bytes.length === 0 || end.stream.write(bytes)) return;
    this.#ends[opposite(toward)].hold('peer', true);
    if (end.stream.writableLength > UNREAD_ANSWERS) end.hold('answers', true);
  }

  #finish(toward: Side): void {
    const end = this.#ends[toward];
    if (this.#over || end.finished) return;
    end.finished = true;
    if (!end.gone) end.stream.end();
    this.#closeIfDone();
    if (this.#ends.every((each) => each.finished)) this.#linger();
  }

  /** Both ends were told that all is over: what they still say goes nowhere, and whoever does not end keeps a session for nothing. */
  #linger(): void {
    if (this.#over) return;
    this.#lingering = setTimeout(() => {
      // A slow reader is not cut off from what was said to it.
      if (this.#ends.some(({ stream }) => !stream.destroyed && stream.writableLength > 0)) return this.#linger();
      this.connection.close();
      this.#conclude({ how: 'closed', reason: undefined, side: undefined });
      for (const { stream } of this.#ends) stream.destroy();
    }, LAST_WORDS);
  }

  #closeIfDone(): void {
    if (!this.#ends.every((end) => end.ended && end.finished)) return;
    this.connection.close();
    this.#conclude({ how: 'closed', reason: undefined, side: undefined });
  }

  #reset(reason: string, only: Side | undefined): void {
    if (this.#over) return;
    if (only !== undefined) {
      this.#ends[only].finished = true;
      this.#ends[only].ended = true;
      abortWhenFlushed(this.#ends[only].stream);
      this.#closeIfDone();
      return;
    }
    this.#conclude({ how: 'reset', reason, side: undefined });
    for (const { stream } of this.#ends) abortWhenFlushed(stream);
  }

  /** An end is gone without having said so: the other learns of it the same way, behind what was let through. */
  #lost(side: Side, reason: string): void {
    if (this.#over) return;
    this.connection.close();
    this.#conclude({ how: 'lost', reason, side });
    this.#ends[side].stream.destroy();
    abortWhenFlushed(this.#ends[opposite(side)].stream);
  }

  #conclude(ended: Ended): void {
    this.#over = true;
    clearTimeout(this.#lingering);
    for (const { stream } of this.#ends) stream.on('error', () => {});
    this.#settle(ended);
  }

  async #startTls(): Promise<void> {
    const [client, server] = this.#ends;
    // Nothing may have been read ahead: clear text behind the go-ahead is an injection.
    for (const end of this.#ends) end.detach();
    if (client.stream.readableLength > 0 || server.stream.readableLength > 0) {
      this.connection.reset('plaintext-before-tls');
      return;
    }
    const ends = await this.#hooks.startTls?.(client.stream, server.stream).catch(() => undefined);
    if (this.#over) {
      if (ends !== undefined && ends !== 'pass') for (const each of [ends.client, ends.server]) each.destroy();
      return;
    }
    if (ends === undefined) {
      this.connection.close();
      this.#reset('tls-failed', undefined);
      return;
    }
    this.#ends =
      ends === 'pass'
        ? [client.onto(client.stream), server.onto(server.stream)]
        : [client.onto(ends.client), server.onto(ends.server)];
    if (ends === 'pass') this.connection.tlsPassed();
    else this.connection.tlsReady(ends.facts);
    for (const side of [CLIENT, SERVER] as const) this.#listen(side);
  }
}

/** Why an end is not read from. */
type Hold = 'start' | 'engine' | 'peer' | 'answers';

class End {
  readonly stream: Duplex;
  /** It said FIN. */
  ended = false;
  /** FIN was sent to it. */
  finished = false;
  /** Its stream has closed. */
  gone = false;
  readonly #holds = new Set<Hold>(['start']);
  readonly #listeners: [event: string, listener: (...args: never[]) => void][] = [];

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.pause();
  }

  on(event: string, listener: (...args: never[]) => void): void {
    this.#listeners.push([event, listener]);
    this.stream.on(event, listener as (...args: unknown[]) => void);
  }

  hold(why: Hold, on: boolean): void {
    if (on) {
      if (this.#holds.size === 0) this.stream.pause();
      this.#holds.add(why);
    } else if (this.#holds.delete(why) && this.#holds.size === 0) this.stream.resume();
  }

  /** Somebody else reads it from now on. */
  detach(): void {
    this.hold('start', true);
    for (const [event, listener] of this.#listeners)
      this.stream.removeListener(event, listener as (...args: unknown[]) => void);
    this.#listeners.length = 0;
    this.stream.on('error', () => {});
  }

  /** The same end, inside TLS. */
  onto(stream: Duplex): End {
    const inner = new End(stream);
    if (this.#holds.has('engine')) inner.hold('engine', true);
    return inner;
  }
}

/** Resets an end once it has taken what was written to it. */
function abortWhenFlushed(stream: Duplex): void {
  if (stream.destroyed) return;
  stream.on('error', () => {});
  if (stream.writableLength === 0) return resetNow(stream);
  // An empty write would call back in time, but not through TLS: Node hands it past TLS, and then asserts that nothing else is written meanwhile.
  let left = LAST_WORDS / FLUSH_POLL;
  const poll = setInterval(() => {
    if (!stream.destroyed && stream.writableLength > 0 && --left > 0) return;
    clearInterval(poll);
    resetNow(stream);
  }, FLUSH_POLL);
}

function resetNow(stream: Duplex): void {
  if (stream.destroyed) return;
  // Node's own throws for TLS; without its close_notify it is a cut all the same.
  // One that is sending its FIN cannot be reset any more, and Node 20 would keep its descriptor open for ever.
  const able = !stream.writableEnded && (!(stream instanceof TLSSocket) || Object.hasOwn(stream, 'resetAndDestroy'));
  if (able && 'resetAndDestroy' in stream && typeof stream.resetAndDestroy === 'function') stream.resetAndDestroy();
  else stream.destroy();
}
