/** Literals (RFC 9051 §4.3, RFC 7888, RFC 3516): a line that ends in a count is followed by as many bytes, and goes on behind them. */

export interface LiteralMark {
  readonly size: number;
  /** The client does not wait for a go-ahead. */
  readonly nonSynchronizing: boolean;
  /** The line without the mark. */
  readonly before: string;
}

/** The mark at the end of a line, `bad` when it is none that everybody reads alike, undefined when there is none. */
export function literalAt(line: string): LiteralMark | 'bad' | undefined {
  if (!line.endsWith('}')) return undefined;
  const found = /~?\{([^{}]*)\}$/.exec(line);
  if (found === null) return undefined;
  const number = /^(0|[1-9]\d{0,14})([+-]?)$/.exec(found[1] ?? '');
  // Not a number at all: text that ends so.
  if (number === null) return /^[-+]?\d+[-+]?$/.test(found[1] ?? '') ? 'bad' : undefined;
  return { size: Number(number[1]), nonSynchronizing: number[2] !== '', before: line.slice(0, found.index) };
}
