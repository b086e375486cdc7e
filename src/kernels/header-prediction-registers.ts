/**
 * What header prediction is told of the connection whose run is under way, and what it tells of the packets that it took: 32-bit words.
 * assembly/header-prediction.ts has the same numbers.
 */

/** 4 or 6. */
export const FAMILY = 0;
/** Where in a frame its EtherType is; -1: it has none. */
export const TYPE_AT = 1;
export const LINK_HEADER = 2;
/** Nanoseconds of one unit of the capture's clock; a second is a whole number of them. */
export const UNIT = 3;
export const MAX_PACKET = 4;
/** The most packets to take. */
export const MOST = 5;
/** Source port << 16 | destination port of the side whose run it is, and of the other. */
export const PORTS = 6;
export const PORTS_BACK = 7;
/** Source and destination address of the run's side as they lie in its packets, and of the other's: eight words each, the first two of them in IPv4. */
export const ADDRESSES = 8;
export const ADDRESSES_BACK = 16;
/** `next`, `acked` and `heard` of the run's side, then of the other. */
export const NEXT = 24;
export const ACKED = 25;
export const HEARD = 26;
export const OTHER_NEXT = 27;
export const OTHER_ACKED = 28;
export const OTHER_HEARD = 29;
/** Where in the arena the run begins and ends. */
export const RUN_START = 30;
export const RUN_END = 31;
/** How many marks it has, for how many there is room, and where their columns lie in the arena. */
export const MARKS = 32;
export const MARKS_ROOM = 33;
export const MARK_ENDS = 34;
export const MARK_PACKETS = 35;
export const MARK_SECONDS = 36;
export const MARK_NANOSECONDS = 37;
/** Told: how many packets were taken, and their captured bytes. */
export const TAKEN = 38;
export const CAPTURED = 39;
/** Not 0: blocks of a pcapng, of the interface INTERFACE; else records of a pcap. */
export const BLOCKS = 40;
export const INTERFACE = 41;

/** Index of the packet before, counted from the run's first. */
export const PACKET = 42;

// 64-bit floating-point numbers, by their places among such.

/** Told: the time of the last packet that was taken. */
export const SECONDS = 22;
export const NANOSECONDS = 23;
/** Seconds that are added to all times. */
export const OFFSET = 24;
export const REGISTERS = 50;
