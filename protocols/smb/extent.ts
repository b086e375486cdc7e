/** Which bytes of a file have come, while they come in any order. In order it is one number. */

export class Extent {
  /** One past the last byte that came. */
  end = 0;
  readonly #most: number;
  /** Ascending, apart from each other: start, end, start, end, … */
  readonly #edges: number[] = [];
  #tooMany = false;

  /** `most`: stretches that are told apart; with more of them nothing is said to be complete. */
  constructor(most: number) {
    this.#most = most;
  }

  /** [start, end) came. */
  add(start: number, end: number): void {
    if (end <= start) return;
    this.end = Math.max(this.end, end);
    const edges = this.#edges;
    const last = edges.length - 1;
    // In order, as nearly always.
    if (last >= 0 && start <= edges[last]! && start >= edges[last - 1]!) {
      if (end > edges[last]!) edges[last] = end;
      return;
    }
    if (last < 0 || start > edges[last]!) {
      if (edges.length >= 2 * this.#most) this.#tooMany = true;
      else edges.push(start, end);
      return;
    }
    let from = 0;
    while (edges[from + 1]! < start) from += 2;
    let to = from;
    let low = start;
    let high = end;
    while (to < edges.length && edges[to]! <= end) {
      low = Math.min(low, edges[to]!);
      high = Math.max(high, edges[to + 1]!);
      to += 2;
    }
    if (to === from && edges.length >= 2 * this.#most) {
      this.#tooMany = true;
      return;
    }
    edges.splice(from, to - from, low, high);
  }

  /** Has everything from the first byte to `size` come? */
  covers(size: number): boolean {
    if (size === 0) return true;
    return !this.#tooMany && this.#edges[0] === 0 && this.#edges[1]! >= size;
  }
}
