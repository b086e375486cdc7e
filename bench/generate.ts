/**
 * Makes the benchmark's captures: sessions, several at a time, of mails with base64 attachments, or of files, of mixed sizes. The same seed
 * gives the same bytes. The files are noise, as compressed documents are, so no engine can take a short cut.
 *   node dist/bench/generate.js FOLDER CASE MEGABYTES SEED
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ftpFrames, type Moved, smbSession } from '../src/testing/file-sessions.js';
import { type CapturedFrame, Conversation, pcapFile } from '../src/testing/packets.js';
import { SeededRandom } from '../src/testing/random.js';
import {
  base64Lines,
  imapSession,
  type Mail,
  play,
  pop3Session,
  smtpSession,
  type Turn,
} from '../src/testing/sessions.js';
import { CASES, type CaptureShape, type Protocol, SIZE_CASES } from './cases.js';
import { type Dataset, type DatasetFile, type DatasetIndex, datasetPaths } from './dataset.js';
import { noise, sizeUpTo } from './noise.js';

/** Sessions under way at the same time. */
const CONCURRENT = 4;
/** Frames of one session before another's come: switching at 5 % or so of the packets, as on a real link. */
const LONGEST_RUN = 40;
const LARGEST_ATTACHMENT = 12 * 1024 * 1024;
/** What people keep on servers is larger than what they mail; so large were the files that the prototype was measured with. */
const LARGEST_FILE = 20 * 1024 * 1024;
const SERVER_PORT: Readonly<Record<Protocol, number>> = { smtp: 25, pop3: 110, imap: 143, ftp: 21, smb: 445 };
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

/** The packets of one session; its files go to `files` and `bodies`. */
function session(
  shape: CaptureShape,
  number: number,
  random: SeededRandom,
  files: DatasetFile[],
  bodies: Output,
): CapturedFrame[] {
  const protocol = shape.protocols[number % shape.protocols.length]!;
  const cut = { mss: shape.segment, segmentsPerAck: shape.segment > 1448 ? 1 : 2 };
  const connect = (clientPort: number, serverPort: number): Conversation =>
    new Conversation({
      client: { address: `10.${1 + (number >> 8)}.${number & 0xff}.44`, port: clientPort },
      server: { address: '172.16.200.55', port: serverPort },
      clientIsn: random.below(2 ** 32),
      serverIsn: random.below(2 ** 32),
      mss: shape.segment,
    });
  const conversation = connect(40_000 + (number % 20_000), SERVER_PORT[protocol]);
  if (protocol === 'ftp') {
    const data = (port: number): Conversation => connect(10_000 + port - 50_000, port);
    return ftpFrames(movedFiles(shape, number, random, files, bodies), conversation, data, cut);
  }
  let turns: Turn[];
  if (protocol === 'smb') turns = smbSession(movedFiles(shape, number, random, files, bodies), number + 1);
  else {
    const mails: Mail[] = [];
    for (let count = 1 + random.below(3); count > 0; count--) mails.push(mail(shape, number, random, files, bodies));
    if (protocol === 'smtp') turns = smtpSession(mails);
    else if (protocol === 'pop3') turns = pop3Session(mails, `user${number}`);
    else {
      turns = imapSession(mails, `user${number}`);
      // It crosses the wire once more, as the copy that the client stores.
      for (const { name, bytes } of mails.at(-1)!.attachments) keepAttachment(name, bytes, files, bodies);
    }
  }
  play(turns, conversation, cut.mss, cut.segmentsPerAck);
  return conversation.packets;
}

function mail(shape: CaptureShape, number: number, random: SeededRandom, files: DatasetFile[], bodies: Output): Mail {
  const attachments = [];
  for (let count = 1 + random.below(3); count > 0; count--) {
    const bytes = noise(shape.fileSize ?? sizeUpTo(LARGEST_ATTACHMENT, random), random);
    const name = `file-${files.length}.bin`;
    keepAttachment(name, bytes, files, bodies);
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

function keepAttachment(name: string, bytes: Buffer, files: DatasetFile[], bodies: Output): void {
  const text = base64Lines(bytes);
  files.push({ name, base64: true, encoded: text.length, size: bytes.length, sha256: sha256(bytes) });
  bodies.write(text);
}

/** Files that are fetched and stored in turn. */
function movedFiles(
  shape: CaptureShape,
  number: number,
  random: SeededRandom,
  files: DatasetFile[],
  bodies: Output,
): Moved[] {
  const moved: Moved[] = [];
  for (let count = 2 + random.below(5); count > 0; count--) {
    const bytes = noise(shape.fileSize ?? sizeUpTo(LARGEST_FILE, random), random);
    const name = `file-${files.length}.bin`;
    files.push({ name, base64: false, encoded: bytes.length, size: bytes.length, sha256: sha256(bytes) });
    bodies.write(bytes);
    moved.push({ name, bytes, upload: (number + count) % 2 === 0 });
  }
  return moved;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
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
const found = [...CASES, ...SIZE_CASES].find((one) => one.name === name);
if (folder === undefined || found === undefined) {
  console.error('usage: generate FOLDER CASE MEGABYTES SEED');
  process.exitCode = 2;
} else {
  const shape = found.capture;
  generate(datasetPaths(folder, shape, Number(megabytes), Number(seed)), shape, Number(megabytes), Number(seed));
}
