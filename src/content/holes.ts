/** The stretches of a file that have not come, while its bytes come at positions (SMB writes and reads overtake each other). */

export class Holes {
  /** Bytes missing in all. */
  total = 0;
  /** Ascending, apart from each other: start, end, start, end, … */
  readonly #edges: number[] = [];

  get count(): number {
    return this.#edges.length / 2;
  }

  /** [start, end) is missing; it lies behind every other hole. */
  open(start: number, end: number): void {
    this.#edges.push(start, end);
    this.total += end - start;
  }

  /** [start, end) has come. */
  fill(start: number, end: number): void {
    const edges = this.#edges;
    if (edges.length === 0) return;
    let from = this.#firstEndingAfter(start);
    while (from < edges.length && edges[from]! < end) {
      const holeStart = edges[from]!;
      const holeEnd = edges[from + 1]!;
      const before = holeStart < start;
      const after = holeEnd > end;
      this.total -= Math.min(holeEnd, end) - Math.max(holeStart, start);
      if (before && after) edges.splice(from, 2, holeStart, start, end, holeEnd);
      else if (before) edges[from + 1] = start;
      else if (after) edges[from] = end;
      else {
        edges.splice(from, 2);
        continue;
      }
      from += 2;
    }
  }

  #firstEndingAfter(position: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#edges[middle * 2 + 1]! > position) high = middle;
      else low = middle + 1;
    }
    return low * 2;
  }
}
