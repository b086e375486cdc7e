/** Where dots were taken out of a message's text, so that an offset of the file can be found again in the bytes on the wire. */
export class StuffedDots {
  /** Offsets in the file of the bytes that had a stuffed dot in front, ascending. */
  readonly #at: number[] = [];
  readonly #limit: number;
  /** There were more than are remembered: nobody knows any longer where in the bytes a part of the file lies. */
  tooMany = false;

  /** `limit`: how many are remembered, eight bytes each. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** One stands where the file is `offset` bytes long. */
  note(offset: number): void {
    if (this.#at.length < this.#limit) this.#at.push(offset);
    else this.tooMany = true;
  }

  /** How many stand before those of the file's byte `offset`. */
  before(offset: number): number {
    let low = 0;
    let high = this.#at.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#at[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
