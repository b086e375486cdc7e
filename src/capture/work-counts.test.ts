/**
 * How much is done for a byte, a line, a packet: counts, which are the same on every machine, where times are not (bench/ has those). What the kernels do by
 * themselves is not in them: header prediction moves each payload to its run once, base64 is decoded into its place.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FileNode } from '../content/node.js';
import { Arena } from '../core/arena.js';
import { DEFAULT_LIMITS, KiB, MiB } from '../core/limits.js';
import { ftpFrames, type Moved, smbSession } from '../testing/file-sessions.js';
import { type CapturedFrame, Conversation, pcapFile } from '../testing/packets.js';
import { SeededRandom } from '../testing/random.js';
import { scanSetup } from '../testing/scan-setup.js';
import { play, smtpSession } from '../testing/sessions.js';
import type { ScanEvent } from './events.js';
import { Scan } from './scan.js';

const folder = mkdtempSync(join(tmpdir(), 'inspectd-counts-'));
const scan = new Scan(scanSetup(), 1);
after(async () => {
  await scan.close();
  rmSync(folder, { recursive: true });
});

interface Counts {
  /** Bytes that were copied, within the arena or into it. */
  copied: number;
  /** Calls of a hash. */
  hashed: number;
  /** Calls that give a file its next bytes. */
  written: number;
  /** Views of bytes that were made: objects. */
  views: number;
  readonly sizes: number[];
  packets: number;
}

/** `seen` hears of every call of `name`: of its result, and what it was given. */
function watched<Name extends string>(
  owner: Record<Name, (...args: never[]) => unknown>,
  name: Name,
  seen: (result: never, ...args: never[]) => void,
): () => void {
  const own = owner[name];
  owner[name] = function (this: unknown, ...args: never[]) {
    const result = own.apply(this, args);
    seen(result as never, ...args);
    return result;
  };
  return () => {
    owner[name] = own;
  };
}

async function counted(frames: readonly CapturedFrame[]): Promise<Counts> {
  const counts: Counts = { copied: 0, hashed: 0, written: 0, views: 0, sizes: [], packets: 0 };
  const name = join(folder, 'capture.pcap');
  const bytes = pcapFile(frames);
  writeFileSync(name, bytes);
  const deliver = (event: ScanEvent): void => {
    if (event.kind !== 'tree') return;
    for (const { size, verdict } of event.files) {
      assert.equal(verdict.verdict, 'clean');
      counts.sizes.push(size);
    }
  };
  const restore = [
    watched(Arena.prototype, 'move', (_: undefined, _to: number, start: number, end: number) => {
      counts.copied += end - start;
    }),
    watched(Buffer.prototype, 'copy', (copied: number) => {
      counts.copied += copied;
    }),
    watched(Object.getPrototypeOf(createHash('sha256')) as { update(): unknown }, 'update', () => {
      counts.hashed++;
    }),
    watched(FileNode.prototype, 'write', () => {
      counts.written++;
    }),
    watched(Buffer.prototype, 'subarray', () => {
      counts.views++;
    }),
  ];
  try {
    const report = await scan.capture({ name, size: bytes.length, deliver, advance: () => {} });
    counts.packets = report.packets;
  } finally {
    for (const each of restore) each();
  }
  return counts;
}

const ends = (serverPort: number, clientPort = 40_000): Conversation =>
  new Conversation({
    client: { address: '10.1.100.206', port: clientPort },
    server: { address: '172.18.62.220', port: serverPort },
  });

function noise(size: number): Buffer {
  const random = new SeededRandom(size);
  return Buffer.from(Array.from({ length: size }, () => random.below(256)));
}

const SIZE = 3 * MiB;
const moved: readonly Moved[] = [{ name: 'a.bin', bytes: noise(SIZE), upload: true }];
/** Beside its bytes, a session may have so many copied. */
const BESIDE = 512 * KiB;
const BLOCK = 64 * KiB;

test('a byte of a file that comes as it is, by FTP or SMB, is copied once', async () => {
  const smb = ends(445);
  play(smbSession(moved, 1), smb, 40_544, 1);
  const ftp = ftpFrames(moved, ends(21), (port) => ends(port, 10_000 + port - 50_000), {
    mss: 1448,
    segmentsPerAck: 2,
  });
  for (const [protocol, frames] of [
    ['SMB', smb.packets],
    ['FTP', ftp],
  ] as const) {
    const counts = await counted(frames);
    assert.deepEqual(counts.sizes, [SIZE], protocol);
    assert.ok(counts.copied >= SIZE, `${protocol}: the count counts`);
    assert.ok(counts.copied <= SIZE + BESIDE, `${protocol}: ${counts.copied} bytes copied`);
    assert.ok(counts.hashed <= SIZE / BLOCK + 16, `${protocol}: hashed in ${counts.hashed} calls`);
  }
});

test('an attachment is decoded where it is kept, and hashed in large pieces', async () => {
  const smtp = ends(25);
  const mail = {
    from: 'a@example.com',
    to: ['b@example.com'],
    subject: 'counts',
    text: 'short',
    attachments: [{ name: 'a.bin', bytes: noise(SIZE) }],
  };
  play(smtpSession([mail]), smtp);
  const counts = await counted(smtp.packets);
  assert.ok(counts.sizes.includes(SIZE));
  // The beginning of a message is kept, in case it has to be read in another way.
  assert.ok(counts.copied <= DEFAULT_LIMITS.readingKept + BESIDE, `${counts.copied} bytes copied`);
  assert.ok(counts.hashed <= SIZE / BLOCK + 16, `hashed in ${counts.hashed} calls`);
});

test('neither a packet nor a line has a call or an object of its own', async () => {
  const lines = 40_000;
  const smtp = ends(25);
  const text = Array.from({ length: lines }, (_, line) => `line ${line} of a text that is long enough\r\n`).join('');
  const mail = { from: 'a@example.com', to: ['b@example.com'], subject: 'counts', text, attachments: [] };
  play(smtpSession([mail]), smtp);
  const counts = await counted(smtp.packets);
  assert.ok(counts.packets > 1500);
  assert.ok(counts.written <= counts.packets / 20, `${counts.written} writes`);
  assert.ok(counts.views <= counts.packets / 3, `${counts.views} views for ${counts.packets} packets, ${lines} lines`);
});
