/**
 * TCP reassembly (RFC 9293) of what a camera saw, which may be less or other than what the ends saw. It delivers each byte once and in order, and says where it
 * cannot know: bytes that were never seen (`gap`), and bytes that were seen with two contents (`overlap`). Nobody's segments are believed alone:
 * - A RST closes once `LINGER` packets have passed and its sender sent nothing more; what follows it is delivered meanwhile.
 * - A FIN is the end once it is acknowledged. Data beyond a FIN that is not acknowledged is delivered, and is an `overlap`.
 * - A SYN with other numbers on a connection that is not over makes a new one when the other end answers it.
 * - What lies further than `REACH` from where the connection is counts only when `AGREEMENT` segments in a row agree.
 * Checksums, TTL, timestamps and MD5 are not looked at: a host may drop a segment for any of them, and then sends it again.
 * The client of a connection whose beginning is missing is the end with the higher port. Urgent data stays in line.
 *
 * The data path: consecutive payloads of one side are moved together in the read block and delivered as one run. A run ends at the first packet that is not
 * of its connection, wanted or not, so that runs (and the clock at delivery) do not depend on how many workers share the capture.
 */
import { Buffer } from 'node:buffer';
import type { Arena } from '../core/arena.js';
import { CLIENT, opposite, SERVER, type Side } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import { KiB, MiB } from '../core/limits.js';
import type { Endpoint } from '../core/session.js';
import {
  ACKED,
  ADDRESSES,
  ADDRESSES_BACK,
  FAMILY,
  HEARD,
  MARK_ENDS,
  MARK_NANOSECONDS,
  MARK_PACKETS,
  MARK_SECONDS,
  MARKS,
  MARKS_ROOM,
  MOST,
  NEXT,
  OTHER_ACKED,
  OTHER_HEARD,
  OTHER_NEXT,
  PACKET,
  PORTS,
  PORTS_BACK,
  RUN_END,
  RUN_START,
  TAKEN,
} from '../kernels/header-prediction-registers.js';
import type { CloseCause, OpenConnection, PacketClock } from './connection.js';
import { DeliveredBytes } from './delivered.js';
import { FlowTable } from './flow-table.js';
import { ipv4Text, ipv6Text } from './ip-address.js';
import type { RunMarks } from './run-marks.js';
import type { TcpStatistics } from './statistics.js';
import { CLOSED, type Half, type Held, OPEN, SKIPPED, TcpConnection } from './tcp-connection.js';

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const PSH = 0x08;
const ACK = 0x10;

/** Packets of the whole capture after which a RST that nothing contradicts is believed. */
const LINGER = 1024;
/** Packets of a connection in which bytes that were acknowledged before they were seen may still come: captures mix the two directions up. */
const PATIENCE = 32;
/** The largest window in real use; further away is no segment of this connection, unless `AGREEMENT` of them agree. */
const REACH = 16 * MiB;
const AGREEMENT = 64;
/** Idle connections are looked for at packets whose index is a multiple of this. */
const SWEEP = 65_536;
/** What a waiting segment costs beside its bytes. */
const HELD_OVERHEAD = 128;
/** Payloads from this size on are not moved. */
const LARGE = 16 * KiB;

export interface TcpOptions {
  readonly arena: Arena;
  readonly view: DataView;
  /** A region of RING bytes in it. */
  readonly ring: number;
  readonly limits: Limits;
  readonly clock: PacketClock;
  readonly marks: RunMarks;
  readonly open: OpenConnection;
  readonly statistics: TcpStatistics;
}

export class TcpReassembly {
  readonly #arena: Arena;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #limits: Limits;
  readonly #clock: PacketClock;
  readonly #marks: RunMarks;
  readonly #openConnection: OpenConnection;
  readonly #statistics: TcpStatistics;
  readonly #delivered: DeliveredBytes;

  readonly #table4 = new FlowTable(3);
  readonly #table6 = new FlowTable(9);
  readonly #key4 = new Int32Array(3);
  readonly #key6 = new Int32Array(9);
  /** The connection of the last packet, and its key. */
  #last: TcpConnection | undefined = undefined;
  #lastFamily = 0;
  readonly #lastKey = new Int32Array(9);

  // The run: bytes [runStart, runEnd) of the arena, all of one side of `#last`, not yet delivered.
  #run: Half | undefined = undefined;
  #runConnection: TcpConnection | undefined = undefined;
  #runSide: Side = CLIENT;
  #runSequence = 0;
  #runStart = 0;
  #runEnd = 0;

  #heldCost = 0;
  /** Connections of which segments wait whose bytes still lie in the block. */
  readonly #heldInBlock: TcpConnection[] = [];
  /** Connections that a RST ended, by the packet of it. */
  readonly #lingering: { readonly connection: TcpConnection; readonly packet: number }[] = [];
  #nextSweep = SWEEP;
  /** The packet at which `tick` has something to do. */
  #nextChore = SWEEP;

  constructor(options: TcpOptions) {
    this.#arena = options.arena;
    this.#bytes = options.arena.bytes;
    this.#view = options.view;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#marks = options.marks;
    this.#openConnection = options.open;
    this.#statistics = options.statistics;
    this.#delivered = new DeliveredBytes(options.arena, options.ring);
  }

  // ---- What the layers below call

  /** A packet comes; the clock was set to it. */
  tick(): void {
    if (this.#clock.packet >= this.#nextChore) this.#chores();
  }

  /** A packet came that is of no connection. */
  interrupt(): void {
    if (this.#run !== undefined) this.#flush();
  }

  /**
   * A segment over IPv4: addresses as little-endian words, and where in the arena they lie; the segment is [at, end), and `missing` more
   * bytes of it were not captured. `conflicting`: its IP fragments contradicted each other.
   */
  segment4(
    source: number,
    destination: number,
    addresses: number,
    at: number,
    end: number,
    missing: number,
    conflicting: boolean,
  ): void {
    if (!this.#headerFits(at, end)) return;
    const sourcePort = this.#view.getUint16(at);
    const destinationPort = this.#view.getUint16(at + 2);
    const swapped = source > destination || (source === destination && sourcePort > destinationPort);
    const key = this.#key4;
    key[0] = swapped ? destination : source;
    key[1] = swapped ? source : destination;
    key[2] = swapped ? (destinationPort << 16) | sourcePort : (sourcePort << 16) | destinationPort;
    const last = this.#lastKey;
    if (this.#lastFamily === 4 && key[0] === last[0] && key[1] === last[1] && key[2] === last[2]) {
      this.#arrive(this.#last!, swapped, at, end, missing, conflicting);
      return;
    }
    this.interrupt();
    this.#lookup(4, this.#table4, key, swapped, addresses, at, end, missing, conflicting);
  }

  /** The same over IPv6; the addresses lie at `addresses`, the source first. */
  segment6(addresses: number, at: number, end: number, missing: number, conflicting: boolean): void {
    if (!this.#headerFits(at, end)) return;
    const view = this.#view;
    const sourcePort = view.getUint16(at);
    const destinationPort = view.getUint16(at + 2);
    let order = 0;
    for (let i = 0; order === 0 && i < 16; i += 4)
      order = view.getUint32(addresses + i) - view.getUint32(addresses + 16 + i);
    const swapped = order > 0 || (order === 0 && sourcePort > destinationPort);
    const key = this.#key6;
    const last = this.#lastKey;
    const lower = swapped ? addresses + 16 : addresses;
    const higher = swapped ? addresses : addresses + 16;
    key[8] = swapped ? (destinationPort << 16) | sourcePort : (sourcePort << 16) | destinationPort;
    let same = this.#lastFamily === 6 && key[8] === last[8];
    for (let i = 0; i < 4; i++) {
      key[i] = view.getInt32(lower + 4 * i, true);
      key[i + 4] = view.getInt32(higher + 4 * i, true);
      same &&= key[i] === last[i] && key[i + 4] === last[i + 4];
    }
    if (same) {
      this.#arrive(this.#last!, swapped, at, end, missing, conflicting);
      return;
    }
    this.interrupt();
    this.#lookup(6, this.#table6, key, swapped, addresses, at, end, missing, conflicting);
  }

  /**
   * Tells header prediction what comes next if nothing happens: the state of the connection whose run is under way. False: none is, or something is under way in
   * it, such as bytes that wait or a FIN, for which more has to be looked at.
   */
  predict(registers: Int32Array): boolean {
    const mine = this.#run;
    const connection = this.#last;
    if (mine === undefined || connection === undefined || connection !== this.#runConnection) return false;
    const theirs = connection.half(opposite(this.#runSide));
    if (
      connection.state !== OPEN ||
      connection.resetPacket >= 0 ||
      mine.held.length > 0 ||
      mine.finSeen ||
      mine.ended ||
      !theirs.known ||
      (mine.patience | theirs.patience) !== 0
    )
      return false;
    // The key has the endpoints in the order of their addresses.
    const key = this.#lastKey;
    const words = this.#lastFamily === 4 ? 1 : 4;
    const ports = key[2 * words]!;
    const portsBack = (ports << 16) | (ports >>> 16);
    const first = this.#runSide === connection.firstSide ? 0 : words;
    registers[FAMILY] = this.#lastFamily;
    registers[PORTS] = first === 0 ? ports : portsBack;
    registers[PORTS_BACK] = first === 0 ? portsBack : ports;
    for (let word = 0; word < words; word++) {
      const own = key[first + word]!;
      const other = key[words - first + word]!;
      registers[ADDRESSES + word] = own;
      registers[ADDRESSES + words + word] = other;
      registers[ADDRESSES_BACK + word] = other;
      registers[ADDRESSES_BACK + words + word] = own;
    }
    registers[MOST] = this.#nextChore - this.#clock.packet - 1;
    registers[NEXT] = mine.next;
    registers[ACKED] = mine.acked;
    registers[HEARD] = mine.heard ? 1 : 0;
    registers[OTHER_NEXT] = theirs.next;
    registers[OTHER_ACKED] = theirs.acked;
    registers[OTHER_HEARD] = theirs.heard ? 1 : 0;
    registers[RUN_START] = this.#runStart;
    registers[RUN_END] = this.#runEnd;
    registers[PACKET] = this.#clock.packet - this.#marks.first;
    registers[MARKS] = this.#marks.count;
    registers[MARKS_ROOM] = this.#marks.room;
    registers[MARK_ENDS] = this.#marks.endsAt;
    registers[MARK_PACKETS] = this.#marks.packetsAt;
    registers[MARK_SECONDS] = this.#marks.secondsAt;
    registers[MARK_NANOSECONDS] = this.#marks.nanosecondsAt;
    return true;
  }

  /** What header prediction took behind the packet before; the clock was set to the last of it. */
  predicted(registers: Int32Array): void {
    const mine = this.#run!;
    const connection = this.#runConnection!;
    const theirs = connection.half(opposite(this.#runSide));
    const { packet, seconds } = this.#clock;
    this.#statistics.packets += registers[TAKEN]!;
    connection.lastPacket = packet;
    connection.lastSeconds = seconds;
    mine.acked = registers[ACKED]!;
    mine.heard = registers[HEARD] !== 0;
    theirs.acked = registers[OTHER_ACKED]!;
    theirs.heard = registers[OTHER_HEARD] !== 0;
    if (registers[NEXT] === mine.next) return;
    mine.next = registers[NEXT]!;
    mine.strangeCount = 0;
    this.#runEnd = registers[RUN_END]!;
    this.#marks.count = registers[MARKS]!;
  }

  /** The block will be overwritten: nothing may refer to it any more. */
  settle(): void {
    this.interrupt();
    for (const connection of this.#heldInBlock) {
      this.#copyHeld(connection, connection.client);
      this.#copyHeld(connection, connection.server);
    }
    this.#heldInBlock.length = 0;
    this.#delivered.settle();
  }

  /** The capture is at its end: closes all connections in the order of their first packets. */
  finish(): void {
    this.interrupt();
    const open = [...this.#connections()].filter((connection) => connection.state === OPEN);
    for (const connection of open.sort(byFirstPacket)) {
      if (connection.resetPacket >= 0) this.#closeReset(connection);
      else this.#close(connection, 'capture-end');
    }
  }

  // ---- Finding the connection

  #headerFits(at: number, end: number): boolean {
    if (end - at >= 20) {
      const length = (this.#view.getUint8(at + 12) >>> 4) << 2;
      if (length >= 20 && at + length <= end) return true;
    }
    this.interrupt();
    this.#statistics.stray++;
    return false;
  }

  #lookup(
    family: 4 | 6,
    table: FlowTable,
    key: Int32Array,
    swapped: boolean,
    addresses: number,
    at: number,
    end: number,
    missing: number,
    conflicting: boolean,
  ): void {
    let connection = table.find(key);
    if (connection === undefined) {
      if (!this.#opens(at, end)) {
        this.#statistics.stray++;
        return;
      }
      if (this.#table4.size + this.#table6.size >= this.#limits.flows) this.#evict();
      connection = this.#create(family, table.add(key), swapped, addresses, at, undefined);
      table.put(connection);
    } else {
      const again = this.#reopens(connection, family, swapped, addresses, at, end);
      if (again !== undefined) {
        table.put(again);
        connection = again;
      }
    }
    this.#last = connection;
    this.#lastFamily = family;
    this.#lastKey.set(key);
    this.#arrive(connection, swapped, at, end, missing, conflicting);
    // A connection that is over is looked up again, so that a new one of its ports is found to be one.
    if (connection.state !== OPEN || connection.candidate !== undefined) this.#forgetLast();
  }

  #forgetLast(): void {
    this.#last = undefined;
    this.#lastFamily = 0;
  }

  /** May a packet be the first that is seen of a connection? A bare ACK, FIN or RST tells nothing worth a session, nor does a keepalive. */
  #opens(at: number, end: number): boolean {
    const view = this.#view;
    const flags = view.getUint8(at + 13);
    if ((flags & RST) !== 0) return false;
    if ((flags & SYN) !== 0) return true;
    const payload = at + ((view.getUint8(at + 12) >>> 4) << 2);
    const length = end - payload;
    return length > 1 || (length === 1 && ((flags & PSH) !== 0 || view.getUint8(payload) !== 0));
  }

  /** Is the segment at `at` the first of a new connection of the same endpoints? That connection, then. */
  #reopens(
    connection: TcpConnection,
    family: 4 | 6,
    swapped: boolean,
    addresses: number,
    at: number,
    end: number,
  ): TcpConnection | undefined {
    const view = this.#view;
    const flags = view.getUint8(at + 13) & (SYN | RST | ACK);
    const sequence = view.getInt32(at + 4);
    const side = sideOf(connection, swapped);
    const mine = connection.half(side);
    const isSyn = (flags & (SYN | RST)) === SYN;
    if (connection.state === OPEN) {
      const { candidate } = connection;
      if (candidate === undefined) return undefined;
      // The other end answers the new SYN; or, where only one side was captured, the new SYN's sender goes on from it.
      const answered = isSyn && (flags & ACK) !== 0 && side !== candidate.side;
      const other = connection.half(opposite(candidate.side));
      const goesOn = flags === ACK && side === candidate.side && !other.known;
      const agrees = answered
        ? view.getInt32(at + 8) === ((candidate.isn + 1) | 0)
        : goesOn && sequence === ((candidate.isn + 1) | 0) && sequence !== mine.next;
      if (!agrees) return undefined;
      this.#close(connection, 'reuse');
      const again = this.#create(family, connection.slot, swapped, addresses, at, candidate);
      begin(again.client, candidate.isn);
      return again;
    }
    const fresh = isSyn && (!mine.known || sequence !== mine.isn);
    if (connection.state === SKIPPED && !(fresh && (flags & ACK) === 0)) return undefined;
    const distance = (sequence - mine.next) | 0;
    // After both FINs nothing new comes, unless of a later connection whose SYN was not captured.
    if (connection.finished && !fresh && distance <= REACH && distance >= -REACH) return undefined;
    // Given up before its end was certain: new bytes are not to be lost.
    if (!fresh && !(this.#opens(at, end) && (distance >= 0 || connection.finished))) return undefined;
    return this.#create(family, connection.slot, swapped, addresses, at, undefined);
  }

  /** A connection whose first packet is at `at`, or was the SYN `candidate`; asks whether it is wanted. */
  #create(
    family: 4 | 6,
    slot: number,
    swapped: boolean,
    addresses: number,
    at: number,
    candidate: TcpConnection['candidate'],
  ): TcpConnection {
    const view = this.#view;
    const clock = this.#clock;
    const flags = view.getUint8(at + 13) & (SYN | ACK);
    const sourcePort = view.getUint16(at);
    const destinationPort = view.getUint16(at + 2);
    const midstream = candidate === undefined && (flags & SYN) === 0;
    let sourceIsClient = flags === SYN;
    if (midstream) sourceIsClient = sourcePort >= destinationPort;
    else if (candidate !== undefined && (flags & SYN) === 0) sourceIsClient = true;
    const source: Endpoint = {
      address: family === 4 ? ipv4Text(view, addresses) : ipv6Text(view, addresses),
      port: sourcePort,
    };
    const destination: Endpoint = {
      address: family === 4 ? ipv4Text(view, addresses + 4) : ipv6Text(view, addresses + 16),
      port: destinationPort,
    };
    const { packet, seconds, nanoseconds } = candidate ?? clock;
    // Of the two endpoints of the key, the first is the source unless the key is swapped.
    const firstSide = sourceIsClient !== swapped ? CLIENT : SERVER;
    const connection = new TcpConnection(firstSide, slot, packet, seconds);
    this.#statistics.connections++;
    connection.sink = this.#openConnection({
      client: sourceIsClient ? source : destination,
      server: sourceIsClient ? destination : source,
      packet,
      time: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds),
      midstream,
    });
    if (connection.sink === undefined) connection.state = SKIPPED;
    return connection;
  }

  // ---- One segment of a connection

  #arrive(
    connection: TcpConnection,
    swapped: boolean,
    at: number,
    end: number,
    missing: number,
    conflicting: boolean,
  ): void {
    const view = this.#view;
    const clock = this.#clock;
    this.#statistics.packets++;
    connection.lastPacket = clock.packet;
    connection.lastSeconds = clock.seconds;
    const flags = view.getUint8(at + 13);
    let sequence = view.getInt32(at + 4);
    const side = sideOf(connection, swapped);
    const mine = connection.half(side);
    const theirs = connection.half(opposite(side));
    if (connection.state !== OPEN) {
      if (connection.state === CLOSED) this.#statistics.stray++;
      else if ((flags & SYN) !== 0 && !mine.known) begin(mine, sequence);
      return;
    }
    if ((flags & (SYN | RST)) !== 0) {
      if ((flags & RST) !== 0) {
        this.#reset(connection, side, sequence, flags);
        return;
      }
      if (!this.#synchronize(connection, side, sequence, flags)) return;
      sequence = (sequence + 1) | 0;
    }
    const payload = at + ((view.getUint8(at + 12) >>> 4) << 2);
    const length = end - payload;
    if ((flags & ACK) !== 0) this.#acknowledge(connection, side, theirs, view.getInt32(at + 8), length > 0);
    if (!mine.known && (length > 0 || (flags & FIN) !== 0)) begin(mine, (sequence - 1) | 0);
    if (
      length > 0 &&
      sequence === mine.next &&
      mine.held.length === 0 &&
      !mine.finSeen &&
      !mine.ended &&
      missing === 0 &&
      !conflicting &&
      (flags & FIN) === 0 &&
      connection.resetPacket < 0
    )
      this.#append(connection, side, mine, sequence, payload, end);
    else if (length > 0 || (flags & FIN) !== 0 || missing > 0)
      this.#irregular(connection, side, sequence, payload, end, missing, (flags & FIN) !== 0, conflicting);
    if ((connection.client.patience | connection.server.patience) !== 0) {
      this.#wait(connection, CLIENT);
      this.#wait(connection, SERVER);
    }
  }

  /** The next bytes of a side, in order: to the run. */
  #append(connection: TcpConnection, side: Side, mine: Half, sequence: number, start: number, end: number): void {
    const clock = this.#clock;
    const length = end - start;
    if (this.#run === mine && length < LARGE && this.#marks.count < this.#marks.room) {
      // Moving down never touches what waits out of order: that lies before the run, since `#hold` ends one.
      this.#arena.move(this.#runEnd, start, end);
      this.#runEnd += length;
    } else {
      this.interrupt();
      this.#run = mine;
      this.#runConnection = connection;
      this.#runSide = side;
      this.#runSequence = sequence;
      this.#runStart = start;
      this.#runEnd = end;
      this.#marks.clear();
    }
    this.#marks.add(this.#runEnd - this.#runStart, clock);
    mine.next = (sequence + length) | 0;
    mine.strangeCount = 0;
  }

  /** Something is to be told of a connection: its run first. Another's run goes on, since a chore that interrupts it depends on the share. */
  #flushOf(connection: TcpConnection): void {
    if (this.#run !== undefined && this.#runConnection === connection) this.#flush();
  }

  /** Delivers the run, at the time of its last packet. */
  #flush(): void {
    const run = this.#run!;
    const { sink } = this.#runConnection!;
    const clock = this.#clock;
    const { packet, seconds, nanoseconds } = clock;
    this.#run = undefined;
    this.#delivered.note(run, this.#runSequence, this.#runStart, this.#runEnd);
    this.#marks.last(clock);
    sink?.data(this.#runSide, this.#bytes.subarray(this.#runStart, this.#runEnd));
    clock.packet = packet;
    clock.seconds = seconds;
    clock.nanoseconds = nanoseconds;
  }

  /** A segment that is not simply the next: repeated, ahead, cut, with FIN, or on a connection where something of that kind is under way. */
  #irregular(
    connection: TcpConnection,
    side: Side,
    first: number,
    payload: number,
    end: number,
    missing: number,
    fin: boolean,
    conflicting: boolean,
  ): void {
    const mine = connection.half(side);
    this.#flushOf(connection);
    if (conflicting) this.#overlap(connection, side);
    if (mine.ended) {
      this.#statistics.repeated++;
      return;
    }
    const last = (first + end - payload + missing) | 0;
    if (!this.#isNear(mine, (first - mine.next) | 0, first)) return;
    if (((first - mine.next) | 0) > REACH) this.#gapTo(connection, side, first);
    if (connection.resetPacket >= 0 && connection.resetBy === side && ((last - mine.next) | 0) > 0)
      connection.resetPacket = -1;
    if (mine.finSeen && ((last - mine.fin) | 0) > 0) {
      mine.finSeen = false;
      this.#overlap(connection, side);
    }
    if (fin && !mine.finSeen) {
      const highest = mine.held.at(-1);
      mine.fin = last;
      mine.finSeen = highest === undefined || ((heldEnd(highest) - last) | 0) <= 0;
      if (!mine.finSeen) this.#overlap(connection, side);
    }
    this.#place(connection, side, first, payload, end);
    // What the capture cut off a packet will not come again. Ahead of order it is found missing when its turn comes.
    if (missing > 0 && ((last - missing - mine.next) | 0) === 0 && connection.state === OPEN)
      this.#gapTo(connection, side, last);
    this.#endIfDone(connection, side);
  }

  /** Delivers what is new of a payload, or keeps it for later. */
  #place(connection: TcpConnection, side: Side, first: number, payload: number, end: number): void {
    if (payload >= end) return;
    const mine = connection.half(side);
    const known = (mine.next - first) | 0;
    if (known < 0) {
      this.#hold(connection, side, first, payload, end);
      return;
    }
    let start = payload;
    if (known > 0) {
      const repeated = Math.min(known, end - payload);
      if (this.#delivered.differs(mine, first, this.#bytes, payload, payload + repeated))
        this.#overlap(connection, side);
      start += repeated;
      if (start === end) {
        this.#statistics.repeated++;
        return;
      }
    }
    for (const held of mine.held) {
      if (((held.sequence - mine.next) | 0) >= end - start) break;
      if (this.#contradicts(mine.next, start, end, held)) this.#overlap(connection, side);
    }
    this.#append(connection, side, mine, mine.next, start, end);
    if (mine.held.length > 0) this.#drain(connection, side);
  }

  // ---- Out of order

  /** Keeps a segment that is ahead. Bytes that wait already are compared and stay. */
  #hold(connection: TcpConnection, side: Side, first: number, payload: number, end: number): void {
    const mine = connection.half(side);
    let sequence = first;
    let start = payload;
    if (!connection.client.heldInBlock && !connection.server.heldInBlock) this.#heldInBlock.push(connection);
    mine.heldInBlock = true;
    let index = firstBeyond(mine.held, sequence);
    let news = 0;
    while (start < end) {
      const held = mine.held[index];
      const ahead = held === undefined ? end - start : (held.sequence - sequence) | 0;
      if (ahead > 0) {
        const piece = Math.min(ahead, end - start);
        const added: Held = { sequence, bytes: this.#bytes, start, end: start + piece };
        mine.held.splice(index, 0, added);
        this.#charge(connection, piece + HELD_OVERHEAD);
        news += piece;
        sequence = (sequence + piece) | 0;
        start += piece;
      } else {
        if (this.#contradicts(sequence, start, end, held!)) this.#overlap(connection, side);
        const past = Math.max(0, (heldEnd(held!) - sequence) | 0);
        sequence = (sequence + past) | 0;
        start += past;
      }
      index++;
    }
    if (news === 0) this.#statistics.repeated++;
    const { reorderPerFlow, reorder } = this.#limits;
    while (connection.heldCost > reorderPerFlow || (this.#heldCost > reorder && connection.heldCost > 0))
      this.#giveUpFirst(connection, mine.held.length > 0 ? side : opposite(side));
  }

  /** Does `arena[start, end)`, the bytes from `sequence`, differ from a waiting segment where both have some? */
  #contradicts(sequence: number, start: number, end: number, held: Held): boolean {
    const ahead = (held.sequence - sequence) | 0;
    const low = Math.max(ahead, 0);
    const high = Math.min(end - start, ahead + held.end - held.start);
    if (low >= high) return false;
    const from = held.start - ahead;
    return held.bytes.compare(this.#bytes, start + low, start + high, from + low, from + high) !== 0;
  }

  /** Delivers what waits and is next. */
  #drain(connection: TcpConnection, side: Side): void {
    const mine = connection.half(side);
    let count = 0;
    let cost = 0;
    for (; count < mine.held.length; count++) {
      const held = mine.held[count]!;
      const known = (mine.next - held.sequence) | 0;
      if (known < 0) break;
      cost += held.end - held.start + HELD_OVERHEAD;
      const start = held.start + known;
      if (start >= held.end) continue;
      this.#flushOf(connection);
      if (held.bytes === this.#bytes) this.#delivered.note(mine, mine.next, start, held.end);
      else this.#delivered.keep(mine, mine.next, held.bytes, start, held.end);
      mine.next = heldEnd(held);
      this.#marks.clear();
      this.#marks.add(held.end - start, this.#clock);
      connection.sink?.data(side, held.bytes.subarray(start, held.end));
    }
    mine.held.splice(0, count);
    this.#charge(connection, -cost);
  }

  /** The block will be overwritten: copies what waits in it, neighbours into one, so that a storm of small segments stays few. */
  #copyHeld(connection: TcpConnection, half: Half): void {
    if (!half.heldInBlock) return;
    half.heldInBlock = false;
    const kept: Held[] = [];
    for (let index = 0; index < half.held.length; ) {
      const first = half.held[index++]!;
      kept.push(first);
      if (first.bytes !== this.#bytes) continue;
      const from = index - 1;
      let end = heldEnd(first);
      while (index < half.held.length && half.held[index]!.sequence === end && half.held[index]!.bytes === this.#bytes)
        end = heldEnd(half.held[index++]!);
      const copy = Buffer.allocUnsafeSlow((end - first.sequence) | 0);
      let at = 0;
      for (const held of half.held.slice(from, index)) at += held.bytes.copy(copy, at, held.start, held.end);
      this.#charge(connection, -(index - from - 1) * HELD_OVERHEAD);
      first.bytes = copy;
      first.start = 0;
      first.end = copy.length;
    }
    half.held = kept;
  }

  #charge(connection: TcpConnection, cost: number): void {
    connection.heldCost += cost;
    this.#heldCost += cost;
  }

  // ---- Loss

  /** The bytes up to `to` will not come. */
  #gapTo(connection: TcpConnection, side: Side, to: number): void {
    const mine = connection.half(side);
    const length = (to - mine.next) | 0;
    if (length <= 0) return;
    this.#flushOf(connection);
    this.#statistics.gaps++;
    this.#statistics.gapBytes += length;
    mine.next = to;
    connection.sink?.gap(side, length);
    this.#drain(connection, side);
  }

  /** Gives up the bytes before the first that waits. */
  #giveUpFirst(connection: TcpConnection, side: Side): void {
    this.#gapTo(connection, side, connection.half(side).held[0]!.sequence);
  }

  /** Gives up all that was acknowledged and not seen. */
  #giveUpAcknowledged(connection: TcpConnection, side: Side): void {
    const mine = connection.half(side);
    mine.patience = 0;
    for (;;) {
      const lost = lostBytes(mine);
      const [first] = mine.held;
      // A single byte at the end is a FIN that was not captured.
      if (lost <= 0 || (lost === 1 && first === undefined)) break;
      if (first !== undefined && ((first.sequence - mine.next) | 0) < lost) this.#giveUpFirst(connection, side);
      else this.#gapTo(connection, side, (mine.next + lost) | 0);
    }
    this.#endIfDone(connection, side);
  }

  #wait(connection: TcpConnection, side: Side): void {
    const mine = connection.half(side);
    if (mine.patience === 0 || connection.state !== OPEN) return;
    if (lostBytes(mine) <= 0) mine.patience = 0;
    else if (--mine.patience === 0) this.#giveUpAcknowledged(connection, side);
  }

  /** `side` acknowledges the other's bytes up to `to`, in a packet that has data or not. */
  #acknowledge(connection: TcpConnection, side: Side, theirs: Half, to: number, withData: boolean): void {
    if (!theirs.known) {
      begin(theirs, (to - 1) | 0);
      theirs.heard = true;
      return;
    }
    const beyond = (to - theirs.next) | 0;
    if (beyond <= 0) {
      theirs.heard = true;
      if (((to - theirs.acked) | 0) > 0) theirs.acked = to;
      return;
    }
    const other = opposite(side);
    if (!this.#isNear(theirs, beyond, to)) return;
    theirs.heard = true;
    if (((to - theirs.acked) | 0) > 0) theirs.acked = to;
    if (theirs.finSeen && theirs.next === theirs.fin) this.#endIfDone(connection, other);
    else if (lostBytes(theirs) > 0) {
      // An answer to bytes that are missing: they are told missing before it.
      if (withData) this.#giveUpAcknowledged(connection, other);
      else if (theirs.patience === 0) theirs.patience = PATIENCE;
    }
  }

  /** Can `sequence`, `distance` from where `mine` is, be of this connection? */
  #isNear(mine: Half, distance: number, sequence: number): boolean {
    if (distance <= REACH && distance >= -REACH) {
      mine.strangeCount = 0;
      return true;
    }
    this.#statistics.outOfWindow++;
    if (distance < 0) return false;
    const step = (sequence - mine.strange) | 0;
    mine.strangeCount = mine.strangeCount > 0 && step <= REACH && step >= -REACH ? mine.strangeCount + 1 : 1;
    mine.strange = sequence;
    if (mine.strangeCount < AGREEMENT) return false;
    mine.strangeCount = 0;
    return true;
  }

  #overlap(connection: TcpConnection, side: Side): void {
    this.#flushOf(connection);
    this.#statistics.overlaps++;
    connection.sink?.overlap(side);
  }

  // ---- Beginning and end

  /** A SYN. Is the rest of the segment to be looked at? */
  #synchronize(connection: TcpConnection, side: Side, isn: number, flags: number): boolean {
    const mine = connection.half(side);
    if (!mine.known) {
      begin(mine, isn);
      return true;
    }
    if (isn === mine.isn) return true;
    const theirs = connection.half(opposite(side));
    const untouched = mine.next === ((mine.isn + 1) | 0) && mine.held.length === 0 && !mine.heard;
    if ((flags & ACK) !== 0 ? untouched : untouched && !theirs.known) {
      // Another attempt before anything came of the first.
      begin(mine, isn);
      return true;
    }
    if ((flags & ACK) === 0) {
      const { packet, seconds, nanoseconds } = this.#clock;
      connection.candidate = { side, isn, packet, seconds, nanoseconds };
      this.#flushOf(connection);
      this.#forgetLast();
    }
    return false;
  }

  #reset(connection: TcpConnection, side: Side, sequence: number, flags: number): void {
    const mine = connection.half(side);
    const theirs = connection.half(opposite(side));
    // In window: what its sender sent or was acknowledged last, or, of a sender that never spoke, an answer to the SYN.
    const near = mine.known
      ? ((sequence - (mine.heard ? mine.acked : mine.next)) | 0) >= 0 && ((sequence - mine.next) | 0) <= REACH
      : (flags & ACK) !== 0 || !theirs.known;
    if (!near) {
      this.#statistics.outOfWindow++;
      return;
    }
    if (connection.resetPacket >= 0) return;
    this.#flushOf(connection);
    const { packet, seconds, nanoseconds } = this.#clock;
    connection.resetPacket = packet;
    connection.resetBy = side;
    connection.resetSeconds = seconds;
    connection.resetNanoseconds = nanoseconds;
    this.#lingering.push({ connection, packet });
    this.#planChores();
  }

  #endIfDone(connection: TcpConnection, side: Side): void {
    const mine = connection.half(side);
    if (!mine.finSeen || mine.ended || mine.next !== mine.fin || connection.state !== OPEN) return;
    if (mine.heard && ((mine.acked - mine.fin) | 0) <= 0) return;
    this.#end(connection, side);
    if (connection.client.ended && connection.server.ended) this.#close(connection, 'fin');
  }

  #end(connection: TcpConnection, side: Side): void {
    const mine = connection.half(side);
    this.#flushOf(connection);
    mine.ended = true;
    mine.patience = 0;
    mine.next = (mine.fin + 1) | 0;
    connection.sink?.end(side);
  }

  /** Tells what is still to be told of a connection, and that it is over. */
  #close(connection: TcpConnection, cause: CloseCause): void {
    this.#flushOf(connection);
    this.#tellRest(connection, CLIENT);
    this.#tellRest(connection, SERVER);
    connection.state = CLOSED;
    connection.finished = connection.client.ended && connection.server.ended;
    const reset = connection.resetPacket >= 0 && cause !== 'limit';
    const { sink } = connection;
    connection.sink = undefined;
    if (this.#last === connection) this.#forgetLast();
    sink?.close(connection.finished ? 'fin' : reset ? 'reset' : cause);
  }

  #tellRest(connection: TcpConnection, side: Side): void {
    const mine = connection.half(side);
    while (mine.held.length > 0) this.#giveUpFirst(connection, side);
    const lost = lostBytes(mine);
    if (lost > 1) this.#gapTo(connection, side, (mine.next + lost) | 0);
    // What was too far away to be believed, and came last: that much may be missing.
    if (mine.strangeCount > 0) this.#gapTo(connection, side, mine.strange);
    if (!mine.finSeen || mine.ended) return;
    this.#gapTo(connection, side, mine.fin);
    if (mine.next === mine.fin) this.#end(connection, side);
  }

  // ---- Chores, at packets that do not depend on the share

  #chores(): void {
    const { packet } = this.#clock;
    let over = 0;
    while (over < this.#lingering.length && this.#lingering[over]!.packet + LINGER <= packet) {
      const { connection, packet: reset } = this.#lingering[over++]!;
      if (connection.state === OPEN && connection.resetPacket === reset) this.#closeReset(connection);
    }
    if (over > 0) this.#lingering.splice(0, over);
    if (packet >= this.#nextSweep) {
      this.interrupt();
      this.#nextSweep = packet - (packet % SWEEP) + SWEEP;
      this.#sweep();
    }
    this.#planChores();
  }

  #planChores(): void {
    const [first] = this.#lingering;
    this.#nextChore = first === undefined ? this.#nextSweep : Math.min(this.#nextSweep, first.packet + LINGER);
  }

  /** At the time of its RST, though later: what it ends ended then. The packet stays the present one, so that the clock's packets only grow. */
  #closeReset(connection: TcpConnection): void {
    const clock = this.#clock;
    const { seconds, nanoseconds } = clock;
    clock.seconds = connection.resetSeconds;
    clock.nanoseconds = connection.resetNanoseconds;
    this.#close(connection, 'reset');
    clock.seconds = seconds;
    clock.nanoseconds = nanoseconds;
  }

  /** Closes what is idle, and forgets what was over by the time of the last sweep. */
  #sweep(): void {
    const { packet, seconds } = this.#clock;
    const idleSeconds = this.#limits.flowIdle / 1000;
    const isIdle = (connection: TcpConnection): boolean => seconds - connection.lastSeconds > idleSeconds;
    const idle: TcpConnection[] = [];
    for (const connection of this.#connections())
      if (connection.state === OPEN && isIdle(connection)) idle.push(connection);
    for (const connection of idle.sort(byFirstPacket)) this.#close(connection, 'idle');
    this.#remove(
      (connection) => connection.state !== OPEN && (connection.lastPacket < packet - SWEEP || isIdle(connection)),
    );
  }

  /** Makes room for new connections: those that are over go, and the eighth that was silent longest. */
  #evict(): void {
    const silent = [...this.#connections()].filter((connection) => connection.state !== CLOSED);
    const lastPackets = Float64Array.from(silent, (connection) => connection.lastPacket).sort();
    const newest = lastPackets[Math.floor(lastPackets.length / 8)] ?? 0;
    const leaving = silent.filter((connection) => connection.lastPacket <= newest);
    for (const connection of leaving.sort(byFirstPacket)) {
      if (connection.state === OPEN) this.#close(connection, 'limit');
      connection.state = CLOSED;
      this.#statistics.evicted++;
    }
    this.#remove((connection) => connection.state === CLOSED);
  }

  #remove(gone: (connection: TcpConnection) => boolean): void {
    this.#forgetLast();
    this.#table4.removeAll(gone);
    this.#table6.removeAll(gone);
  }

  *#connections(): Generator<TcpConnection> {
    yield* this.#table4.connections();
    yield* this.#table6.connections();
  }
}

/** The first byte of `half` comes after `isn`. */
function begin(half: Half, isn: number): void {
  half.known = true;
  half.isn = isn;
  half.next = (isn + 1) | 0;
  half.acked = half.next;
}

/** Which side sent a packet whose key is swapped or not. */
function sideOf(connection: TcpConnection, swapped: boolean): Side {
  return swapped ? opposite(connection.firstSide) : connection.firstSide;
}

function heldEnd(held: Held): number {
  return (held.sequence + held.end - held.start) | 0;
}

/** The index of the first that ends after `sequence`. By halves: thousands may wait, and come in any order. */
function firstBeyond(held: readonly Held[], sequence: number): number {
  let low = 0;
  let high = held.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (((heldEnd(held[middle]!) - sequence) | 0) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** How many bytes from `next` on were acknowledged although they were not seen; its FIN is none of them. */
function lostBytes(half: Half): number {
  const to = half.finSeen && ((half.acked - half.fin) | 0) > 0 ? half.fin : half.acked;
  return half.heard ? (to - half.next) | 0 : 0;
}

function byFirstPacket(one: TcpConnection, other: TcpConnection): number {
  return one.packet - other.packet;
}
