/** A list of MAPI properties as TNEF carries it ([MS-OXTNEF] §2.1.3.4, MsgPropertyList): where each value of variable length lies. */
import type { Content } from '../../core/file.js';

export interface Property {
  readonly type: number;
  readonly id: number;
  /** Where the value lies. */
  readonly at: number;
  readonly length: number;
}

/** Bytes of a value of fixed length; what is shorter than four is filled up. */
const FIXED: ReadonlyMap<number, number> = new Map([
  [0x0000, 4],
  [0x0001, 4],
  [0x0002, 4],
  [0x0003, 4],
  [0x0004, 4],
  [0x0005, 8],
  [0x0006, 8],
  [0x0007, 8],
  [0x000a, 4],
  [0x000b, 4],
  [0x0014, 8],
  [0x0040, 8],
  [0x0048, 16],
]);
const VARIABLE = [0x000d, 0x001e, 0x001f, 0x0102];
const MULTIPLE = 0x1000;
/** From here on a property is known by a GUID and a number or a name. */
const NAMED = 0x8000;
/** Properties, and values of one, that are looked at. */
const MOST = 10_000;

/** `whole` is false when the list cannot be read to its end; what was read so far is there. */
export function propertiesOf(
  content: Content,
  start: number,
  end: number,
): { readonly properties: readonly Property[]; readonly whole: boolean } {
  const properties: Property[] = [];
  const reader = new Reader(content, start, end);
  const count = reader.u32();
  let whole = count <= MOST;
  for (let i = 0; whole && i < count; i++) whole = readProperty(reader, properties);
  return { properties, whole: whole && !reader.past };
}

/** False when it cannot be read. */
function readProperty(reader: Reader, into: Property[]): boolean {
  const written = reader.u16();
  const id = reader.u16();
  if (id >= NAMED) {
    reader.skip(16);
    if (reader.u32() === 0) reader.skip(4);
    else reader.skip(padded(reader.u32()));
  }
  const type = written & ~MULTIPLE;
  const fixed = FIXED.get(type);
  if (fixed !== undefined) {
    reader.skip(fixed * ((written & MULTIPLE) !== 0 ? reader.u32() : 1));
    return !reader.past;
  }
  if (!VARIABLE.includes(type)) return false;
  const values = reader.u32();
  for (let i = 0; i < values && !reader.past; i++) {
    if (i === MOST) return false;
    const length = reader.u32();
    const at = reader.at;
    reader.skip(padded(length));
    if (!reader.past) into.push({ type, id, at, length });
  }
  return !reader.past;
}

function padded(length: number): number {
  return length + ((4 - (length % 4)) % 4);
}

class Reader {
  readonly #content: Content;
  readonly #end: number;
  at: number;

  constructor(content: Content, at: number, end: number) {
    this.#content = content;
    this.#end = end;
    this.at = at;
  }

  /** More was read than is there. */
  get past(): boolean {
    return this.at > this.#end;
  }

  skip(length: number): void {
    this.at += length;
  }

  u16(): number {
    const bytes = this.#content.read(this.at, 2);
    this.at += 2;
    return bytes.length < 2 || this.past ? 0 : bytes.readUInt16LE(0);
  }

  u32(): number {
    const bytes = this.#content.read(this.at, 4);
    this.at += 4;
    return bytes.length < 4 || this.past ? 0 : bytes.readUInt32LE(0);
  }
}
