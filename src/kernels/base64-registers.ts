/**
 * The state of a base64 body between two calls of a kernel: four 32-bit registers, because a line, a quad and a line end may each be cut
 * by the end of a chunk. assembly/base64.ts has the same numbers.
 */

/** The sixes of an unfinished quad. */
export const ACCUMULATOR = 0;
/** How many of them. */
export const COUNT = 1;
export const FLAGS = 2;
/** Set by `decode`: one past the last byte written. */
export const OUT = 3;
export const REGISTERS = 4;

// What the last byte was; none of them: something of a line.
export const LAST_CR = 1;
export const LAST_LF = 2;
/** The last LF had a CR before it. */
export const LAST_CRLF = 4;
export const LAST = LAST_CR | LAST_LF | LAST_CRLF;
// What was seen in the body so far.
export const SAW_CRLF = 8;
export const SAW_BARE_LF = 16;
export const SAW_BARE_CR = 32;
/** A quad was ended by padding. */
export const PADDED = 64;
/** The first of two `=` was seen. */
export const HALF_PADDED = 128;
/** A byte was skipped that is neither of the alphabet, nor padding, nor of a line end. */
export const JUNK = 256;
/** There were more quads after padding. */
export const AFTER_PADDING = 512;
/** A `=` stood where no padding can be. */
export const BAD_PADDING = 1024;
/** A line ended within a quad: readers that decode line by line see something else. */
export const RAGGED = 2048;
