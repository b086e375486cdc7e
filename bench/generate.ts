/**
 * Makes the benchmark's captures: mail sessions, several at a time, of mails with base64 attachments of mixed sizes. The same seed gives
 * the same bytes. Attachments are noise, as compressed documents are, so no engine can take a short cut.
 *   node dist/bench/generate.js FOLDER CASE MEGABYTES SEED
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { type CapturedFrame, Conversation, pcapFile } from '../src/testing/packets.js';
import { SeededRandom } from '../src/testing/random.js';
import { base64Lines, type Mail, play, pop3Session, smtpSession } from '../src/testing/sessions.js';
import { CASES, type CaptureShape } from './cases.js';
import { type Dataset, type DatasetFile, type DatasetIndex, datasetPaths } from './dataset.js';

/** Sessions under way at the same time. */
const CONCURRENT = 4;
/** Frames of one session before another's come: switching at 5 % or so of the packets, as on a real link. */
const LONGEST_RUN = 40;
const SMALLEST = 16 * 1024;
const LARGEST = 12 * 1024 * 1024;
const PCAP_HEADER = 24;
/** Frames behind the TCP, IP and Ethernet header carry data when they are longer than this. */
const BARE_FRAME = 80;

/** Writes what is not there yet. The index comes last: with it, all is there. */
export function generate(dataset: Dataset, shape: CaptureShape, megabytes: number, seed: number): void {
  if (existsSync(dataset.index)) return;
  mkdirSync(dirname(dataset.index), { recursive: true });
  const random = new SeededRandom(seed);
  const capture = new Output(dataset.capture);
  const bodies = new Output(dataset.bodies);
  const files: DatasetFile[] = [];
  capture.write(pcapFile([]));
  const wanted = megabytes * 1_000_000;
  let packets = 0;
  let sessions = 0;
  let rendered = 0;
  const active: CapturedFrame[][] = [];
  let time = 1_700_000_000_000_000_000n;

  while (rendered < wanted || active.length > 0) {
    while (active.length < CONCURRENT && rendered < wanted) {
      const frames = reorder(session(shape, sessions++, random, files, bodies), shape, random);
      rendered += frames.reduce((sum, frame) => sum + frame.bytes.length + 16, 0);
      active.push(frames.reverse());
    }
    const chosen = random.below(active.length);
    const frames = active[chosen]!;
    const run: CapturedFrame[] = [];
    for (let left = 1 + random.below(LONGEST_RUN); left > 0 && frames.length > 0; left--) {
      time += 10_000n;
      run.push({ time, bytes: frames.pop()!.bytes });
    }
    capture.write(pcapFile(run).subarray(PCAP_HEADER));
    packets += run.length;
    if (frames.length === 0) active.splice(chosen, 1);
  }
  const index: DatasetIndex = { captureBytes: capture.close(), packets, files };
  bodies.close();
  writeFileSync(`${dataset.index}.part`, `${JSON.stringify(index, undefined, 1)}\n`);
  renameSync(`${dataset.index}.part`, dataset.index);
}

/** The packets of one connection; its attachments go to `files` and `bodies`. */
function session(
  shape: CaptureShape,
  number: number,
  random: SeededRandom,
  files: DatasetFile[],
  bodies: Output,
): CapturedFrame[] {
  const mails: Mail[] = [];
  for (let count = 1 + random.below(3); count > 0; count--) mails.push(mail(number, random, files, bodies));
  const conversation = new Conversation({
    client: { address: `10.${1 + (number >> 8)}.${number & 0xff}.44`, port: 40_000 + (number % 20_000) },
    server: { address: '172.16.200.55', port: shape.protocol === 'smtp' ? 25 : 110 },
    clientIsn: random.below(2 ** 32),
    serverIsn: random.below(2 ** 32),
    mss: shape.segment,
  });
  const turns = shape.protocol === 'smtp' ? smtpSession(mails) : pop3Session(mails, `user${number}`);
  play(turns, conversation, shape.segment, shape.segment > 1448 ? 1 : 2);
  return conversation.packets;
}

function mail(number: number, random: SeededRandom, files: DatasetFile[], bodies: Output): Mail {
  const attachments = [];
  for (let count = 1 + random.below(3); count > 0; count--) {
    // As many of each order of magnitude: most attachments are small, most bytes are in large ones.
    const size = Math.floor(SMALLEST * (LARGEST / SMALLEST) ** (random.below(10_000) / 10_000));
    const bytes = noise(size, random);
    const name = `file-${files.length}.bin`;
    const text = base64Lines(bytes);
    files.push({ name, encoded: text.length, size, sha256: createHash('sha256').update(bytes).digest('hex') });
    bodies.write(text);
    attachments.push({ name, bytes });
  }
  return {
    from: `sender${number}@example.com`,
    to: [`recipient${number}@example.org`],
    subject: `mail of session ${number}`,
    text: 'See the attachments.\r\n.\r\nA line with a dot was above.',
    attachments,
  };
}

function noise(size: number, random: SeededRandom): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = random.below(2 ** 32 - 1) + 1;
  for (let index = 0; index < words.length; index++) {
    // xorshift32: a call of `random` a word would take most of the generator's time.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, size);
}

/** Lets one data segment in so many be overtaken by the next of its side. */
function reorder(frames: CapturedFrame[], shape: CaptureShape, random: SeededRandom): CapturedFrame[] {
  if (shape.reorderedOneIn === 0) return frames;
  for (let at = 4; at + 1 < frames.length; at++) {
    const [first, second] = [frames[at]!, frames[at + 1]!];
    if (first.bytes.length <= BARE_FRAME || second.bytes.length <= BARE_FRAME) continue;
    if (!random.once(shape.reorderedOneIn / 2)) continue;
    frames[at] = second;
    frames[at + 1] = first;
    at++;
  }
  return frames;
}

/** A file that is written in large pieces. */
class Output {
  readonly #file: number;
  #pieces: Buffer[] = [];
  #held = 0;
  #written = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  write(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#held += bytes.length;
    if (this.#held >= 4 * 1024 * 1024) this.#flush();
  }

  /** Its size. */
  close(): number {
    this.#flush();
    closeSync(this.#file);
    return this.#written;
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#pieces);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    this.#written += bytes.length;
    this.#pieces = [];
    this.#held = 0;
  }
}

const [folder, name, megabytes, seed] = process.argv.slice(2);
const found = CASES.find((one) => one.name === name);
if (folder === undefined || found === undefined) {
  console.error('usage: generate FOLDER CASE MEGABYTES SEED');
  process.exitCode = 2;
} else {
  const shape = found.capture;
  generate(datasetPaths(folder, shape, Number(megabytes), Number(seed)), shape, Number(megabytes), Number(seed));
}
