/** Literals (RFC 9051 §4.3, RFC 7888, RFC 3516): a line that ends in a count is followed by as many bytes, and goes on behind them. */

export interface LiteralMark {
  readonly size: number;
  /** The client does not wait for a go-ahead. */
  readonly nonSynchronizing: boolean;
  /** The line without the mark. */
  readonly before: string;
  /** Written in a way that some readers may take for another size, or for none. */
  readonly odd: boolean;
}

/** Some readers keep sizes in 32 bits. */
const MOST_SIZE = 0xffff_ffff;

/** The mark at the end of a line; `bad`: a number that is no size; undefined: there is none. */
export function literalAt(line: string): LiteralMark | 'bad' | undefined {
  if (!line.endsWith('}')) return undefined;
  const found = /~?\{([-+]?)(\d{1,30})([+-]?)\}$/.exec(line);
  if (found === null) return undefined;
  const [, sign = '', digits = '', after = ''] = found;
  const size = Number(digits);
  if (sign !== '' || !Number.isSafeInteger(size)) return 'bad';
  return {
    size,
    nonSynchronizing: after !== '',
    before: line.slice(0, found.index),
    odd: size > MOST_SIZE || (digits.length > 1 && digits.startsWith('0')),
  };
}
