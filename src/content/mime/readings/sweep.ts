/**
 * Every reading of an ambiguous message, without regard to its structure: each stretch that somebody may take for a part, decoded in each
 * way in which somebody may decode it. Nothing is believed, neither boundary nor encoding nor where a header ends, so there is nothing to
 * lie about; the price is that most of what comes out is noise, which is why only canonical messages are spared it.
 * Linear in the message's size: a fixed number of passes over each stretch, and bounded numbers of stretches, layers and bytes.
 */
import type { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { beginnings } from '../../types/beginnings.js';
import { BASE64_WAYS, decodeBase64, SKIPPING, WHOLE_LINES } from './base64-readings.js';
import { bodyStarts, type Region, stretches } from './regions.js';
import { BAD_ESCAPES, decodeQuotedPrintable, decodeUuLines, hasEscapes } from './text-readings.js';

/** One reading of one stretch. */
export interface View {
  /** In words: `base64, line by line`. */
  readonly how: string;
  readonly bytes: Buffer;
  /** Every name that stands in the stretch. */
  readonly names: readonly string[];
  /** `message/rfc822`: it looks like a message of its own. `text/plain`: it is what was read already, and no more than text. */
  readonly declaredType: 'message/rfc822' | 'text/plain' | undefined;
}

export interface SweepLimits {
  /** Stretches that are looked at. */
  readonly regions: number;
  /** Bytes of all views together. */
  readonly bytes: number;
}
/** `regions`, `bytes`: there was more than that. */
export type SweepEnd = 'complete' | keyof SweepLimits;

/** What was decoded and is text may be encoded once more, so often. */
const LAYERS = 2;
/** Shorter than this nothing is worth looking at. */
const LEAST = 16;
const HEAD = 4096;
const NAMES = 32;
const MESSAGE = /^(content-[a-z-]+|mime-version)[ \t]*:/im;

/** Calls `give` for each reading, each content once. */
export function sweep(message: Buffer, limits: SweepLimits, give: (view: View) => void): SweepEnd {
  return new Sweep(limits, give).run(message);
}

class Sweep {
  readonly #limits: SweepLimits;
  readonly #give: (view: View) => void;
  readonly #seen = new Set<string>();
  #regions = 0;
  #bytes = 0;
  #end: SweepEnd = 'complete';

  constructor(limits: SweepLimits, give: (view: View) => void) {
    this.#limits = limits;
    this.#give = give;
  }

  run(message: Buffer): SweepEnd {
    this.#text(message, 0, '');
    return this.#end;
  }

  /** A text, the message itself first: as a whole, and stretch by stretch. */
  #text(text: Buffer, layer: number, before: string): void {
    const regions = stretches(text, this.#limits.regions - this.#regions);
    if (regions === undefined) {
      this.#end = 'regions';
      return;
    }
    this.#regions += regions.length;
    const whole = { start: 0, end: text.length };
    const names = namesIn(text, whole);
    const starts = bodyStarts(text, whole);
    if (regions.length === 0) this.#stretch(text, whole, layer, before);
    else {
      this.#skipping(text, whole, names, layer, before);
      for (const region of regions) this.#stretch(text, region, layer, before);
    }
    // A payload may stand in the clear.
    for (const start of [0, ...starts]) this.#view('as it is', text.subarray(start), names, LAYERS, before);
  }

  /** Where the stretch begins does not matter to these. */
  #skipping(text: Buffer, { start, end }: Region, names: readonly string[], layer: number, before: string): void {
    for (let skip = 0; skip < 4; skip++)
      this.#view(SKIPPING.name, decodeBase64(text, start, end, SKIPPING, skip), names, layer, before);
    this.#view(WHOLE_LINES.name, decodeBase64(text, start, end, WHOLE_LINES), names, layer, before);
  }

  #stretch(text: Buffer, region: Region, layer: number, before: string): void {
    const { start, end } = region;
    if (end - start < LEAST || this.#end !== 'complete') return;
    const names = namesIn(text, region);
    this.#skipping(text, region, names, layer, before);
    const starts = bodyStarts(text, region);
    if (starts.length === 0) starts.push(start);
    for (const from of starts) {
      if (end - from < LEAST) continue;
      this.#view('as it is', text.subarray(from, end), names, LAYERS, before);
      for (const way of BASE64_WAYS) this.#view(way.name, decodeBase64(text, from, end, way), names, layer, before);
      if (hasEscapes(text, from, end))
        for (const bad of BAD_ESCAPES)
          this.#view(
            `quoted-printable, bad escapes ${bad}`,
            decodeQuotedPrintable(text, from, end, bad),
            names,
            layer,
            before,
          );
    }
    const uu = decodeUuLines(text, start, end);
    if (uu !== undefined) this.#view('uuencode, line by line', uu, names, layer, before);
  }

  #view(how: string, bytes: Buffer, names: readonly string[], layer: number, before: string): void {
    if (bytes.length < LEAST || this.#end !== 'complete') return;
    const digest = createHash('sha1').update(bytes).digest('base64');
    if (this.#seen.has(digest)) return;
    this.#seen.add(digest);
    if (!this.#count(bytes.length)) return;
    const words = before + how;
    const text = isText(bytes);
    const decoded = layer < LAYERS;
    const message = decoded && text && MESSAGE.test(bytes.toString('latin1', 0, HEAD));
    this.#give({
      how: words,
      bytes,
      names,
      declaredType: message ? 'message/rfc822' : decoded ? undefined : 'text/plain',
    });
    if (text) {
      // Decoded text may be encoded text.
      if (layer + 1 < LAYERS) this.#text(bytes, layer + 1, `${words}; then `);
      return;
    }
    // The beginning of a file, behind what was the header and decoded to noise.
    for (const at of beginnings(bytes)) {
      if (!this.#count(bytes.length - at)) return;
      this.#give({ how: words, bytes: bytes.subarray(at), names, declaredType: undefined });
    }
  }

  #count(length: number): boolean {
    this.#bytes += length;
    if (this.#bytes > this.#limits.bytes) this.#end = 'bytes';
    return this.#end === 'complete';
  }
}

/** Its beginning has no NUL and is printable but for one byte in ten. */
function isText(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, HEAD);
  let odd = 0;
  for (let at = 0; at < length; at++) {
    const byte = bytes[at]!;
    if (byte === 0) return false;
    if (byte > 0x7e || (byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) odd++;
  }
  return odd * 10 <= length;
}

/** What follows `name=` or `filename=`, in whatever way it is written. */
function namesIn(text: Buffer, { start, end }: Region): string[] {
  const head = text.toString('latin1', start, Math.min(end, start + HEAD));
  const names = new Set<string>();
  for (const match of head.matchAll(/name[*\d]*[ \t]*=[ \t]*(?:"([^"\r\n]{1,255})|([^\s";]{1,255}))/gi)) {
    if (names.size >= NAMES) break;
    const name = match[1] ?? match[2] ?? '';
    names.add(name);
    // RFC 2231: a charset and a language in front, bytes in percent.
    const extended = name
      .slice(name.lastIndexOf("'") + 1)
      .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    names.add(extended);
  }
  return [...names];
}
