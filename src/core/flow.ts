/**
 * The contract between a protocol decoder and the connection it decodes.
 *
 * Input: within `push` a decoder *takes* bytes from the front (`pass`, `drop`); what it leaves comes again in front of what follows.
 * Partial lines, waiting (`stop`, `resume`) and layer changes are this one mechanism. Output: each direction is one line of bytes, units,
 * layer marks and FIN. Guard: `openFile(meta, unit)` ties the two: a unit cannot be released before the verdict of its file.
 * Services answer later, by a callback. src/ARCHITECTURE.md tells why.
 */
import type { Buffer } from 'node:buffer';
import type { Crypto } from './crypto.js';
import type { FileId, FileMeta, FileStream, Verdict } from './file.js';
import type { Limits } from './limits.js';
import type { Secret } from './secret.js';
import type { Endpoint } from './session.js';

/** The end that opened the connection, and the other. In an expected flow: the sides of the flow that announced it. */
export const CLIENT = 0;
export const SERVER = 1;
export type Side = typeof CLIENT | typeof SERVER;

/** The other end. */
export function opposite(side: Side): Side {
  return side === CLIENT ? SERVER : CLIENT;
}

/**
 * A protocol state machine for one connection. Synchronous; holds no socket, timer, clock or file. A byte is understood and
 * disposed of in one step: act only on bytes that you take; what you leave comes again. Peer bytes never make it throw.
 */
export interface Decoder {
  /**
   * The next untaken bytes of `side`. `chunk` is valid for this call only: copy what you keep. What you leave, the engine keeps
   * and offers again with the bytes that follow, up to `Protocol.maxUntaken`.
   */
  push(side: Side, chunk: Buffer): void;
  /** `side` sent FIN and all it sent was offered. What it left untaken is dropped. Passing FIN on is `flow.finish()`. */
  end(side: Side): void;
  /** Whose bytes they are is not known yet: live, what was left untaken is kept behind a FIN too. */
  undecided?(): boolean;
  /**
   * `length` bytes of `side` are missing here (capture loss); what was untaken before them is dropped. 0: unknown how many,
   * told once before the first `push` when the capture began in the middle of the connection. Passive flows only.
   */
  gap(side: Side, length: number): void;
  /** The answer to a file this decoder ended; never earlier, never from inside another Decoder method. */
  verdict(file: FileId, verdict: Verdict): void;
  /**
   * Passive flows only: the answer that stopped `side` waits for was lost in the capture and will not come. Decide what its
   * bytes are; a `stop` for the same answer is a bug.
   */
  unanswered(side: Side): void;
  /** The connection is gone before both sides said FIN (a reset, or the recording's end); `end` follows for the sides that did not. */
  cut?(): void;
  /** The moment asked for with `flow.wakeAt()` has come. `now` is flow time in milliseconds, not the wall clock. */
  wake(now: number): void;
}

/** What a decoder may do to its connection. All calls return at once; the driver does the I/O later. */
export interface Flow {
  readonly id: number;
  /** A recording: what is sent reaches nobody, and every verdict comes as `monitor`. Ask before asking a peer anything. */
  readonly passive: boolean;
  /** The bounds that hold for this connection: a decoder takes its own from here. */
  readonly limits: Limits;

  // Input, only inside `push`, about the chunk being pushed; `end` is an index in it and only grows.

  /** Take up to `end`; they go to the peer at the end of the line, or into `into`. */
  pass(end: number, into?: Unit): void;
  /** Take up to `end`; they go nowhere. */
  drop(end: number): void;

  // Input, at any time.

  /** Offer nothing more of `side` for now (pipelined commands, a layer change under way). Its bytes wait with the driver. */
  stop(side: Side): void;
  /** Offer `side` again, from its first untaken byte, after the present event; sides in the order in which they were resumed. */
  resume(side: Side): void;
  /**
   * Both directions change after what was taken and sent so far; return from `push` at once: the rest is the new layer's.
   * Untaken bytes that the layer forbids there (any, for 'tls') end the flow: nothing crosses a TLS boundary.
   */
  layer(kind: LayerKind): void;

  // Output, at any time, also from an event of a related flow.

  /** Bytes of our own, at the end of the line to `toward`, or in `into`. They are the engine's from now on. */
  send(toward: Side, bytes: Buffer, into?: Unit): void;
  /** Open a unit of output: a message, a literal, a reply. Nothing else can land inside it. */
  unit(toward: Side, way: Way): Unit;
  /** FIN to `toward` when all before it has gone. */
  finish(toward: Side): void;
  /** Abort the connection with `only`, or both. What had not gone is dropped. */
  reset(reason: string, only?: Side): void;
  /** Stop decoding: later bytes pass untouched, behind whatever is held (only where policy allows an uninspected flow). */
  bypass(reason: BypassReason): void;

  /** A part of what comes cannot be read, though all else is: the connection says why. */
  unread(reason: BypassReason): void;

  // Services.

  /**
   * Announce a related connection. `ready` comes later with the place where its dialling side must be sent: our pinhole;
   * `related.target` itself in a passive flow; `undefined` when none can be opened.
   */
  expect(related: Related, ready: (at: Endpoint | undefined) => void): void;
  /** Start extracting a file or message. `guards` waits for it and cannot be released before its verdict. */
  openFile(meta: FileMeta, guards?: Unit): FileStream;
  /**
   * A file that a related flow opened goes on here (SMB multichannel): where it ends is told by this flow, and its verdict comes here.
   * Passive flows only: live, its guard lies in the line of the flow that opened it.
   */
  adopt(file: FileStream): void;
  /** Note a protocol oddity at the first untaken byte of `side`. Never changes the byte stream by itself. */
  anomaly(code: string, side: Side): void;
  /** Ask for `Decoder.wake` at flow time `ms`; a later call replaces an earlier one. */
  wakeAt(ms: number): void;
}

/**
 * `through`: its bytes go as they come. `held`: they, and all that follows towards that side, wait for it.
 * `aside`: it joins the end of the line when released, only where the protocol lets messages overtake (SMB2).
 */
export type Way = 'through' | 'held' | 'aside';

/** A stretch of output settled as one, once, by `release` or `replace`. A flow that dies drops its held and aside units. */
export interface Unit {
  /** Bytes put into it so far. */
  readonly length: number;
  /** It is complete and may go. Before the verdict of a file that it guards: our bug, and the flow fails closed. */
  release(): void;
  /** Drop what it has and send `instead` (or nothing). Once bytes of it have gone (comforting) it resets the flow. */
  replace(instead?: Buffer): void;
  /** Exchange its bytes [start, end), counted from its first, when it is released: a stripped part of a message. */
  edit(start: number, end: number, instead: Buffer): void;
}

/**
 * Layers lie upon each other (COMPRESS inside TLS). `deflate` is a raw stream (RFC 1951), `zlib` one with its header (RFC 1950);
 * `clear` takes the TLS layer off, after its close_notify (FTP's CCC, the access proxy's tls=0).
 */
export type LayerKind = 'tls' | 'deflate' | 'zlib' | 'clear';

/** Why a flow goes on uninspected; shows as the reason of an `opaque` connection. */
export const BYPASS_REASONS = [
  'tls-no-keys',
  'smb-encrypted',
  'unknown-protocol',
  'desync',
  'switched-protocol',
  'policy',
] as const;
export type BypassReason = (typeof BYPASS_REASONS)[number];

/** A connection that this one announced (FTP data). Its decoder may hold a reference to its parent's. */
export interface Related {
  readonly dials: Side;
  /** An empty address: that of the end of this connection that does not dial; port 0 (recordings only): likewise its port. */
  readonly target: Endpoint;
  /**
   * It starts with a TLS handshake; CLIENT is the TLS client whoever dials; sessions resume from this flow's. Undefined: it may, if this
   * connection is inside TLS, and its first bytes tell.
   */
  readonly tls: boolean | undefined;
  decode(flow: Flow): Decoder;
  /** Live: it is gone, however it ended, or could not be joined: no verdict comes from it any more. */
  over?(): void;
}

/** What `probe` says of the first bytes of a side. */
export type Likeness = 'yes' | 'no' | 'more';

/** One protocol: how to recognise it and how to decode it. */
export interface Protocol {
  /** Lower case, the folder's name: `smtp`. */
  readonly name: string;
  /** As FortiOS logs it without TLS: `SMTP`. With TLS the session gets the S-name. */
  readonly service: string;
  /** TCP ports where it is expected, and those where it starts inside TLS. */
  readonly ports: readonly number[];
  readonly tlsPorts: readonly number[];
  /** Its connections announce others, which may lie between other hosts. */
  readonly announces?: boolean;
  /** How many untaken bytes of a side the engine keeps under these limits; past it the flow is `desync`. */
  maxUntaken(limits: Limits): number;
  /**
   * Is this how `side` of this protocol begins? `head` holds all that the side sent so far. `no` is certain;
   * `yes` must be rare on other protocols; `more` when either is possible. Called again as `head` grows.
   */
  probe(side: Side, head: Buffer): Likeness;
  /**
   * What makes a decoder for each connection of one driver. It is made anew for each capture and kept as long as the driver, so that
   * connections can know of each other (an SMB session over several channels, a transfer that is resumed on another connection).
   */
  decoders(context: DecoderContext): (flow: Flow) => Decoder;
}

/** What a driver has for the decoders of its connections. */
export interface DecoderContext {
  /** For protocols that seal or sign messages themselves (SMB). */
  readonly crypto: Crypto;
  readonly secrets: readonly Secret[];
}
