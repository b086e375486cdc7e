import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FileMeta, FileStream } from '../../src/core/file.js';
import { CLIENT, type Decoder, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import { DEFAULT_LIMITS, type Limits, MiB } from '../../src/core/limits.js';
import {
  decoderContext,
  everySplit,
  PASS,
  runSession,
  type SeenFile,
  type SessionCase,
  type Step,
} from '../../src/testing/index.js';
import * as m from '../../src/testing/smb1-messages.js';
import { Smb1 } from './smb1.js';
import type { Smb1File } from './smb1-file.js';
import { Smb1Signing } from './smb1-signing.js';

const EICAR = Buffer.from(['X5O!P%@AP[4\\PZX54(P^)7CC)7}', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!', 'H+H*'].join('$'));
const TEXT = Buffer.from('The quick brown fox jumps over the lazy dog.\r\n'.repeat(20));

type Said = readonly [side: Side, bytes: Buffer] | readonly [side: Side, gap: number];

const C = (header: m.Smb1Header, ...blocks: m.Smb1Block[]): Said => [CLIENT, m.smb1(header, ...blocks)];
const S = (header: m.Smb1Header, ...blocks: m.Smb1Block[]): Said => [
  SERVER,
  m.smb1({ ...header, reply: true }, ...blocks),
];
const raw = (side: Side, data: Buffer): Said => [side, m.sessionMessage(data)];

/** An exchange that went well. */
const both = (mid: number, asked: m.Smb1Block, answer: m.Smb1Block): Said[] => [C({ mid }, asked), S({ mid }, answer)];
const OPENING = both(1, m.treeConnect('\\\\srv\\data'), m.treeConnected());
const IPC = both(1, m.treeConnect('\\\\srv\\IPC$', 'IPC'), m.treeConnected('IPC'));
const create = (mid: number, fid: number, path = '\\dir\\a.txt', of: m.OpenedFields = {}): Said[] =>
  both(mid, m.ntCreate(path), m.ntCreated(fid, of));
const write = (mid: number, fid: number, offset: number, data: Buffer): Said[] =>
  both(mid, m.writeAndX(fid, offset, data), m.written(data.length));
const read = (mid: number, fid: number, offset: number, data: Buffer): Said[] =>
  both(mid, m.readAndX(fid, offset, data.length), m.readAnswer(data));
const close = (mid: number, fid: number): Said[] => both(mid, m.close(fid), m.done(0x04));

function session(said: readonly Said[], limits: Partial<Limits> = {}): SessionCase {
  const all = { ...DEFAULT_LIMITS, ...limits };
  const script = said.map(([side, what], index): Step => {
    const gap = typeof what === 'number';
    return {
      stream: side,
      kind: gap ? 'gap' : 'bytes',
      bytes: gap ? Buffer.alloc(0) : what,
      length: gap ? what : 0,
      after: index,
      afterClients: 0,
      afterVerdicts: false,
    };
  });
  return {
    script,
    decoders: () => (flow) => new Framed(flow),
    maxUntaken: 16 * MiB,
    modes: ['passive'],
    limits: all,
    judge: () => PASS,
    splits: 'every',
    interleave: true,
    verdictTiming: false,
  };
}

interface Result {
  readonly files: readonly SeenFile[];
  readonly trace: string;
}

/** Runs a recording in every way, and once more to see the files. */
function recorded(said: readonly Said[], limits: Partial<Limits> = {}): Result {
  const run = session(said, limits);
  everySplit(run);
  const { files, trace, problems } = runSession(run, { mode: 'passive', verdicts: 'at once' });
  assert.deepEqual(problems, []);
  return { files, trace };
}

const told = ({ meta, bytes, how }: SeenFile) => `${meta.direction} ${meta.name} ${bytes.toString('latin1')} ${how}`;
const whole = (direction: string, name: string, bytes: Buffer) =>
  `${direction} ${name} ${bytes.toString('latin1')} ended`;

test('takes a written file out, with its name and share', () => {
  const { files, trace } = recorded([...OPENING, ...create(2, 5), ...write(3, 5, 0, TEXT), ...close(4, 5)]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT)]);
  assert.match(files[0]?.meta.path ?? '', /data/);
  assert.doesNotMatch(trace, /anomalies/);
});

test('takes a read file out, also where its data lies behind padding', () => {
  const { files, trace } = recorded([
    ...OPENING,
    ...create(2, 5, '\\a.txt', { size: 60 }),
    C({ mid: 3 }, m.readAndX(5, 0, 40)),
    S({ mid: 3 }, m.readAnswer(TEXT.subarray(0, 40), { padding: 9 })),
    ...read(4, 5, 40, TEXT.subarray(40, 60)),
    ...close(5, 5),
  ]);
  assert.deepEqual(files.map(told), [whole('download', 'a.txt', TEXT.subarray(0, 60))]);
  assert.doesNotMatch(trace, /anomalies/);
});

test('SMB-001: one byte a write, in any order', () => {
  for (const order of ['ascending', 'descending', 'shuffled']) {
    const places = Array.from(EICAR.keys());
    if (order === 'descending') places.reverse();
    if (order === 'shuffled') places.sort((a, b) => ((a * 37) % 68) - ((b * 37) % 68));
    const writes = places.flatMap((at, index) => write(10 + index, 5, at, EICAR.subarray(at, at + 1)));
    const run = session([...OPENING, ...create(2, 5), ...writes, ...close(4, 5)]);
    const { files } = runSession(run, { mode: 'passive', verdicts: 'at once' });
    assert.deepEqual(files.map(told), [whole('upload', 'a.txt', EICAR)], order);
    assert.equal(
      runSession(run, { mode: 'passive', verdicts: 'at once', size: 7 }).files[0]?.bytes.equals(EICAR),
      true,
    );
  }
});

test('SMB-006: data behind much padding is found, and lengths that lie make the file malformed', () => {
  const padded = (wrong: m.WrongWrite) =>
    recorded([
      ...OPENING,
      ...create(2, 5),
      C({ mid: 3 }, m.writeAndX(5, 0, EICAR, wrong)),
      S({ mid: 3 }, m.written(68)),
      ...close(4, 5),
    ]);
  const { files, trace } = padded({ padding: 200 });
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', EICAR)]);
  assert.doesNotMatch(trace, /smb1-data-length/);
  for (const wrong of [{ length: 90 }, { length: 0x10044 }, { byteCount: 20 }, { offset: 4, length: 71 }]) {
    const lies = padded(wrong);
    assert.match(lies.trace, /smb1-data-length of the client/, JSON.stringify(wrong));
    assert.match(lies.files[0]?.bytes.toString('latin1') ?? '', /EICAR/, JSON.stringify(wrong));
    assert.match(lies.trace, /upload "a.txt".*smb1-data-length/, JSON.stringify(wrong));
  }
  assert.equal(padded({ length: 60 }).files[0]?.bytes.length, 60);
});

test('a read of all that 16 bits can count, with a byte of padding, is none whose lengths lie', () => {
  const data = Buffer.alloc(0xffff, 7);
  const { files, trace } = recorded([
    ...OPENING,
    ...create(2, 5, '\\a.bin', { size: 0xffff }),
    ...read(3, 5, 0, data),
    ...close(4, 5),
  ]);
  assert.equal(files[0]?.bytes.length, 0xffff);
  assert.doesNotMatch(trace, /anomalies/);
});

test('SMB-007: messages one behind the other, with a keepalive between them', () => {
  const together = Buffer.concat([
    m.smb1({ mid: 3 }, m.writeAndX(5, 0, EICAR.subarray(0, 30))),
    m.sessionMessage(Buffer.alloc(0), 0x85),
    m.smb1({ mid: 4 }, m.writeAndX(5, 30, EICAR.subarray(30))),
    m.smb1({ mid: 6 }, m.close(5)),
  ]);
  const { files } = recorded([
    ...OPENING,
    ...create(2, 5),
    [CLIENT, together],
    S({ mid: 3 }, m.written(30)),
    S({ mid: 4 }, m.written(38)),
    S({ mid: 6 }, m.done(4)),
  ]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', EICAR)]);
});

test('SMB-008: a chain that does not advance, turns back or is too long ends there and is noted', () => {
  const chain = (nextAt: number) => recorded([C({}, { ...m.block(0x74, m.fields([0xff, 4])), nextAt }, m.done(0x74))]);
  for (const at of [0, 31, 32, 33, 36, 0xffff])
    assert.match(chain(at).trace, /smb1-andx-offset of the client/, `${at}`);
  const logoffs = (count: number) => Array.from({ length: count }, () => m.block(0x74, m.fields([0xff, 4])));
  const limits = { smb1Chain: 5 };
  assert.doesNotMatch(recorded([C({}, ...logoffs(5))], limits).trace, /smb1-andx-limit/);
  assert.match(recorded([C({}, ...logoffs(6))], limits).trace, /smb1-andx-limit of the client/);
  assert.match(
    runSession(session([C({}, ...logoffs(9_000))]), { mode: 'passive', verdicts: 'at once' }).trace,
    /limit/,
  );
});

test('an open and a read in one message: the read is of what the open opened', () => {
  const { files, trace } = recorded([
    ...OPENING,
    C({ mid: 2 }, m.openAndX('\\a.txt'), m.readAndX(0xffff, 0, 100)),
    S({ mid: 2 }, m.openedAndX(9, { size: 46 }), m.readAnswer(TEXT.subarray(0, 46))),
    ...close(3, 9),
  ]);
  assert.deepEqual(files.map(told), [whole('download', 'a.txt', TEXT.subarray(0, 46))]);
  assert.doesNotMatch(trace, /anomalies/);
});

test('an open, a write behind it and a close behind that in one message', () => {
  const { files, trace } = recorded([
    ...OPENING,
    C({ mid: 2 }, m.openAndX('\\a.txt'), m.writeAndX(0xffff, 0, TEXT), m.close(0xffff)),
    S({ mid: 2 }, m.openedAndX(9), m.written(TEXT.length), m.done(4)),
  ]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT)]);
  assert.doesNotMatch(trace, /anomalies/);
});

test('an open that is refused leaves no file', () => {
  const { files } = recorded([
    ...OPENING,
    C({ mid: 2 }, m.ntCreate('\\no.txt')),
    S({ mid: 2, status: 0xc0000034 }, m.done(0xa2)),
    ...create(3, 5),
    ...write(4, 5, 0, TEXT),
    ...close(6, 5),
  ]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT)]);
});

test('a write that is refused leaves the file malformed: its bytes may hide others', () => {
  const { trace } = recorded([
    ...OPENING,
    ...create(2, 5),
    ...write(3, 5, 0, EICAR),
    C({ mid: 4 }, m.writeAndX(5, 0, TEXT.subarray(0, 68))),
    S({ mid: 4, status: 0xc0000022 }, m.done(0x2f)),
    ...close(6, 5),
  ]);
  assert.match(trace, /upload "a.txt".*smb1-write-refused/);
});

test('several files at once, answers out of order', () => {
  const { files } = recorded([
    ...OPENING,
    C({ mid: 2 }, m.ntCreate('\\a.txt')),
    C({ mid: 3 }, m.ntCreate('\\b.txt')),
    S({ mid: 3 }, m.ntCreated(6, { size: 30 })),
    S({ mid: 2 }, m.ntCreated(5, { size: 30 })),
    C({ mid: 4 }, m.readAndX(5, 0, 20)),
    C({ mid: 6 }, m.readAndX(5, 20, 10)),
    C({ mid: 7 }, m.readAndX(6, 0, 30)),
    S({ mid: 7 }, m.readAnswer(EICAR.subarray(0, 30))),
    S({ mid: 6 }, m.readAnswer(TEXT.subarray(20, 30))),
    S({ mid: 4 }, m.readAnswer(TEXT.subarray(0, 20))),
    ...close(8, 5),
    ...close(9, 6),
  ]);
  assert.deepEqual(files.map(told).sort(), [
    whole('download', 'a.txt', TEXT.subarray(0, 30)),
    whole('download', 'b.txt', EICAR.subarray(0, 30)),
  ]);
});

test('the oldest commands: CREATE, WRITE, CLOSE; OPEN, READ, LOCK_AND_READ; WRITE_AND_CLOSE; in OEM text', () => {
  const oem = { unicode: false };
  const { files, trace } = recorded([
    ...OPENING,
    C({ ...oem, mid: 2 }, m.named(0x03, 3, '\\OLD\x8e.TXT', false)),
    S({ ...oem, mid: 2 }, m.created(0x03, 5)),
    C({ ...oem, mid: 3 }, m.coreWrite(0x0b, 5, 0, TEXT.subarray(0, 50))),
    S({ ...oem, mid: 3 }, m.block(0x0b, m.fields([50, 2]))),
    C({ ...oem, mid: 4 }, m.coreWrite(0x14, 5, 50, TEXT.subarray(50, 60))),
    S({ ...oem, mid: 4 }, m.block(0x14, m.fields([10, 2]))),
    ...close(5, 5),
    C({ ...oem, mid: 6 }, m.named(0x02, 2, '\\B.TXT', false)),
    S({ ...oem, mid: 6 }, m.opened(6, 40)),
    C({ ...oem, mid: 7 }, m.coreRead(0x0a, 6, 0, 30)),
    S({ ...oem, mid: 7 }, m.coreReadAnswer(0x0a, TEXT.subarray(0, 30))),
    C({ ...oem, mid: 8 }, m.coreRead(0x13, 6, 30, 10)),
    S({ ...oem, mid: 8 }, m.coreReadAnswer(0x13, TEXT.subarray(30, 40))),
    ...close(9, 6),
    C({ ...oem, mid: 10 }, m.named(0x0f, 3, '\\C.TXT', false)),
    S({ ...oem, mid: 10 }, m.created(0x0f, 7)),
    C({ ...oem, mid: 11 }, m.writeAndClose(7, 0, EICAR)),
    S({ ...oem, mid: 11 }, m.block(0x2c, m.fields([68, 2]))),
  ]);
  assert.deepEqual(files.map(told), [
    whole('upload', 'OLDÄ.TXT', TEXT.subarray(0, 60)),
    whole('download', 'B.TXT', TEXT.subarray(0, 40)),
    whole('upload', 'C.TXT', EICAR),
  ]);
  assert.doesNotMatch(trace, /anomalies/);
});

test('raw reads: the answer is bytes without a header, whatever they look like, and an oplock break may come first', () => {
  const looks = Buffer.concat([Buffer.from('\xffSMB', 'latin1'), TEXT]);
  const oplockBreak = m.smb1({ mid: 0xffff, pid: 0xffff }, m.block(0x24, m.fields([0xff, 4], [5, 2], [2, 2], [0, 8])));
  const { files, trace } = recorded([
    ...OPENING,
    ...create(2, 5, '\\a.bin', { size: looks.length }),
    C({ mid: 3 }, m.readRaw(5, 0, 0xffff)),
    [SERVER, oplockBreak],
    raw(SERVER, looks),
    C({ mid: 3 }, m.readRaw(5, looks.length, 0xffff)),
    raw(SERVER, Buffer.alloc(0)),
    ...close(4, 5),
  ]);
  assert.deepEqual(files.map(told), [whole('download', 'a.bin', looks)]);
  assert.doesNotMatch(trace, /anomalies/);
});

test('raw writes: the bytes behind the request come without a header once the server lets them', () => {
  const looks = Buffer.concat([TEXT.subarray(0, 10), Buffer.from('\xffSMB', 'latin1'), TEXT]);
  const { files, trace } = recorded([
    ...OPENING,
    ...create(2, 5, '\\a.bin'),
    C({ mid: 3 }, m.writeRaw(5, 0, looks.length, looks.subarray(0, 10))),
    S({ mid: 3 }, m.block(0x1d, m.fields([0xffff, 2]))),
    raw(CLIENT, looks.subarray(10)),
    S({ mid: 3 }, m.block(0x20, m.fields([looks.length, 2]))),
    // Refused: nothing follows without a header.
    C({ mid: 4 }, m.writeRaw(5, 500, 100, Buffer.alloc(0))),
    S({ mid: 4, status: 0xc0000022 }, m.done(0x20)),
    ...write(6, 5, looks.length, EICAR),
    ...close(7, 5),
  ]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.bin', Buffer.concat([looks, EICAR]))]);
  assert.doesNotMatch(trace, /anomalies/);
});

test('a transaction opens, cuts and renames; one may come in parts', () => {
  const open2 = Buffer.concat([Buffer.alloc(28), m.smb1Text('\\t.txt', 0)]);
  const opened2 = m.fields([5, 2], [0, 2], [0, 4], [0, 4], [2, 2], [0, 2], [0, 2], [2, 2], [0, 4], [0, 2], [0, 2]);
  const endOfFile = m.fields([5, 2], [0x0104, 2], [0, 2]);
  const { files, trace } = recorded([
    ...OPENING,
    C({ mid: 2 }, m.transaction(0x32, { setup: m.fields([0, 2]), parameters: open2 })),
    S({ mid: 2 }, m.transacted(opened2)),
    ...write(3, 5, 0, TEXT),
    // The size comes in two parts, behind a word to go on.
    C(
      { mid: 4 },
      m.transaction(0x32, { setup: m.fields([8, 2]), parameters: endOfFile, data: m.fields([50, 4]), totalData: 8 }),
    ),
    S({ mid: 4 }, m.done(0x32)),
    C({ mid: 4 }, m.transaction2Secondary(6, 8, 4, m.fields([0, 4]))),
    S({ mid: 4 }, m.transacted(m.fields([0, 2]))),
    ...close(6, 5),
  ]);
  assert.deepEqual(
    files.map((file) => file.meta.name),
    ['t.txt'],
  );
  assert.match(trace, /upload "t.txt".* size 50 ended/);
  assert.doesNotMatch(trace, /anomalies/);
});

test('SMB-013: a rename by path or by handle is told of the file that is open', () => {
  const byHandle = (to: string) =>
    Buffer.concat([m.fields([0, 8], [0, 4], [2 * to.length, 4]).subarray(4), Buffer.from(to, 'utf16le')]);
  const setting = m.fields([5, 2], [1010, 2], [0, 2]);
  const { trace } = recorded([
    ...OPENING,
    ...create(2, 5),
    ...write(3, 5, 0, TEXT),
    ...both(4, m.rename('\\DIR\\A.TXT', '\\dir\\b.exe'), m.done(7)),
    C({ mid: 6 }, m.transaction(0x32, { setup: m.fields([8, 2]), parameters: setting, data: byHandle('c.exe') })),
    S({ mid: 6 }, m.transacted(m.fields([0, 2]))),
    ...close(7, 5),
  ]);
  assert.match(trace, /renamed \\dir\\b\.exe renamed \\dir\\c\.exe ended/);
});

test('NT_TRANSACT_CREATE opens a file', () => {
  const name = '\\n.txt';
  const asked = Buffer.concat([
    m.fields([0, 4], [0, 4], [0, 4], [0, 8], [0, 4], [0, 4], [2, 4], [0x40, 4], [0, 4], [0, 4], [2 * name.length, 4]),
    m.fields([2, 4], [0, 1], [0, 1]),
    Buffer.from(name, 'utf16le'),
  ]);
  const answer = m.fields([0, 2], [5, 2], [1, 4], [0, 4], [0, 32], [0, 4], [0, 8], [0, 8], [0, 4], [0, 1]);
  const { files } = recorded([
    ...OPENING,
    C({ mid: 2 }, m.ntTransact(1, { parameters: asked })),
    S({ mid: 2 }, m.ntTransacted(answer)),
    ...write(3, 5, 0, TEXT),
    ...close(4, 5),
  ]);
  assert.deepEqual(files.map(told), [whole('upload', 'n.txt', TEXT)]);
});

test('SMB-023: pipes, printers and directories are no files', () => {
  const pipe = recorded([
    ...IPC,
    ...create(2, 5, '\\srvsvc'),
    ...write(3, 5, 0, TEXT),
    ...read(4, 5, 0, TEXT),
    ...close(6, 5),
  ]);
  assert.deepEqual(pipe.files, []);
  for (const of of [{ resource: 2 }, { resource: 3 }, { directory: true }]) {
    const { files } = recorded([...OPENING, ...create(2, 5, '\\x', of), ...write(3, 5, 0, TEXT), ...close(4, 5)]);
    assert.deepEqual(files, []);
  }
  // In the middle of a session, a transaction on it tells.
  const unseen = recorded([
    [CLIENT, 0],
    [SERVER, 0],
    C(
      { mid: 2 },
      m.transaction(0x25, { setup: m.fields([0x26, 2], [5, 2]), parameters: Buffer.alloc(0), name: '\\PIPE\\' }),
    ),
    S({ mid: 2 }, m.block(0x25, Buffer.alloc(20))),
    ...write(3, 5, 0, TEXT),
    ...close(4, 5),
  ]);
  assert.deepEqual(unseen.files, []);
});

test('an answer to another MID, PID or command is not taken for what was asked', () => {
  const { files, trace } = recorded([
    ...OPENING,
    ...create(2, 5, '\\a.txt', { size: 40 }),
    C({ mid: 3 }, m.readAndX(5, 0, 40)),
    S({ mid: 4 }, m.readAnswer(EICAR)),
    S({ mid: 3, pid: 8 }, m.readAnswer(EICAR)),
    S({ mid: 3 }, m.written(40)),
    S({ mid: 3 }, m.readAnswer(TEXT.subarray(0, 40))),
    ...close(6, 5),
  ]);
  assert.match(trace, /smb1-unasked-answer/);
  assert.match(trace, /smb1-other-answer/);
  assert.equal(
    files.some((file) => file.meta.name === 'a.txt' && file.bytes.subarray(0, 40).equals(TEXT.subarray(0, 40))),
    true,
  );
});

test('the client alone: requests are believed, and an unknown FID is that of the oldest open', () => {
  const asked = [
    ...OPENING,
    ...create(2, 5),
    ...write(3, 5, 0, TEXT),
    ...close(4, 5),
    ...create(6, 7, '\\b'),
    ...write(7, 7, 0, EICAR),
    ...close(8, 7),
  ];
  const { files } = recorded(asked.filter(([side]) => side === CLIENT));
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT), whole('upload', 'b', EICAR)]);
});

test('the server alone: what was read goes by its order, and is not whole', () => {
  const all = [
    ...OPENING,
    ...create(2, 5),
    ...read(3, 5, 0, EICAR.subarray(0, 40)),
    ...read(4, 5, 40, EICAR.subarray(40)),
    ...close(6, 5),
  ];
  const { files, trace } = recorded([[SERVER, 0], ...all.filter(([side]) => side === SERVER)]);
  assert.equal(files.length, 1);
  assert.equal(files[0]?.bytes.equals(EICAR), true);
  assert.match(trace, /download .* gap 0/);
});

test('what is still open when the connection ends was cut', () => {
  const { files } = recorded([...OPENING, ...create(2, 5), ...write(3, 5, 0, TEXT)]);
  assert.deepEqual(files.map(told), [`upload a.txt ${TEXT.toString('latin1')} reset`]);
});

test('a close that was asked for and not answered by the end is believed', () => {
  const { files } = recorded([...OPENING, ...create(2, 5), ...write(3, 5, 0, TEXT), C({ mid: 4 }, m.close(5))]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT)]);
});

test('TREE_DISCONNECT, LOGOFF_ANDX and PROCESS_EXIT close what was opened under them', () => {
  for (const leave of [m.done(0x71), m.block(0x74, m.fields([0xff, 4])), m.done(0x11)]) {
    const { files } = recorded([
      ...OPENING,
      ...create(2, 5),
      ...write(3, 5, 0, TEXT),
      ...both(4, leave, m.done(leave.command)),
    ]);
    assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT)]);
  }
});

test('an unknown command is passed over and noted', () => {
  const { files, trace } = recorded([
    ...OPENING,
    ...both(9, m.block(0xd0, Buffer.alloc(4), TEXT), m.done(0xd0)),
    ...create(2, 5),
    ...write(3, 5, 0, TEXT),
    ...close(4, 5),
  ]);
  assert.deepEqual(files.map(told), [whole('upload', 'a.txt', TEXT)]);
  assert.match(trace, /smb1-unknown-command of the client/);
});

test('more requests than may be under way give up the oldest', () => {
  const limits = { smb1Requests: 3 };
  const asks = (count: number) => [
    ...OPENING,
    ...Array.from({ length: count }, (_, index) => C({ mid: 10 + index }, m.done(0x2b))),
  ];
  assert.doesNotMatch(recorded(asks(3), limits).trace, /smb1-requests-limit/);
  assert.match(recorded(asks(4), limits).trace, /smb1-requests-limit of the client/);
});

test('more files open than may be give up the oldest', () => {
  const opens = (count: number) =>
    recorded(
      [...OPENING, ...Array.from({ length: count }, (_, n) => [...create(2, n), ...write(3, n, 0, EICAR)]).flat()],
      {
        smb1Opens: 2,
      },
    );
  assert.doesNotMatch(opens(2).trace, /smb1-opens-limit/);
  const { files, trace } = opens(3);
  assert.match(trace, /smb1-opens-limit of the client/);
  assert.deepEqual(
    files.map((file) => file.how),
    ['gap', 'reset', 'reset'],
  );
});

test('a path longer than may be kept is cut', () => {
  const opens = (length: number) =>
    recorded([...OPENING, ...create(2, 5, `\\${'a'.repeat(length - 1)}`), ...write(3, 5, 0, TEXT), ...close(4, 5)], {
      smb1Path: 40,
    });
  assert.doesNotMatch(opens(20).trace, /smb1-path-limit/);
  const { files, trace } = opens(21);
  assert.match(trace, /smb1-path-limit of the client/);
  assert.equal(files[0]?.meta.name?.length, 19);
});

test('more bytes of unfinished transactions than the limit are not kept', () => {
  const limits = { smb1Transactions: 100 };
  const start = (size: number) => [
    ...OPENING,
    C({ mid: 2 }, m.transaction(0x32, { setup: m.fields([8, 2]), parameters: m.fields([5, 6]), totalData: size - 6 })),
  ];
  assert.doesNotMatch(recorded(start(100), limits).trace, /smb1-transactions-limit/);
  assert.match(recorded(start(101), limits).trace, /smb1-transactions-limit of the client/);
});

// ── Anything at all ────────────────────────────────────────────────────────────────────────────────────────────────────────

const FID = fc.integer({ min: 4, max: 6 });
const DATA = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const WRONG = fc.record(
  { length: fc.nat(0x20000), offset: fc.nat(400), padding: fc.nat(20), byteCount: fc.nat(0xffff) },
  { requiredKeys: [] },
);
const ASKED: fc.Arbitrary<m.Smb1Block> = fc.oneof(
  fc.constantFrom(m.ntCreate('\\a'), m.ntCreate('\\b', { create: 1 }), m.openAndX('\\c'), m.named(0x03, 3, '\\d')),
  fc.constantFrom(
    m.rename('\\a', '\\e'),
    m.treeConnect('\\\\s\\x'),
    m.done(0x71),
    m.done(0x11),
    m.done(0x2b),
    m.done(0xff),
  ),
  fc.tuple(FID, fc.nat(100), DATA, WRONG).map(([fid, at, data, wrong]) => m.writeAndX(fid, at, data, wrong)),
  fc.tuple(FID, fc.nat(100), DATA).map(([fid, at, data]) => m.coreWrite(0x0b, fid, at, data)),
  fc.tuple(FID, fc.nat(100), DATA).map(([fid, at, data]) => m.writeAndClose(fid, at, data)),
  fc.tuple(FID, fc.nat(100), fc.nat(80), DATA).map(([fid, at, total, data]) => m.writeRaw(fid, at, total, data)),
  fc.tuple(FID, fc.nat(100)).map(([fid, at]) => m.readAndX(fid, at, 40)),
  fc.tuple(FID, fc.nat(100)).map(([fid, at]) => m.readRaw(fid, at, 40)),
  FID.map((fid) => m.close(fid)),
  fc.tuple(FID, fc.nat(60), fc.nat(20)).map(([fid, size, total]) =>
    m.transaction(0x32, {
      setup: m.fields([8, 2]),
      parameters: m.fields([fid, 2], [0x104, 2], [0, 2]),
      data: m.fields([size, 8]),
      totalData: total,
    }),
  ),
  fc.nat(20).map((total) => m.transaction2Secondary(6, total, 4, Buffer.alloc(4))),
);
const ANSWER: fc.Arbitrary<m.Smb1Block> = fc.oneof(
  FID.map((fid) => m.ntCreated(fid, { size: 40 })),
  FID.map((fid) => m.openedAndX(fid, { size: 40 })),
  FID.map((fid) => m.created(0x03, fid)),
  fc.tuple(DATA, WRONG).map(([data, wrong]) => m.readAnswer(data, wrong)),
  fc.constantFrom(m.done(0x04), m.written(40), m.treeConnected(), m.treeConnected('IPC'), m.done(0x71), m.done(0x20)),
  fc.constantFrom(m.block(0x1d, m.fields([1, 2])), m.transacted(m.fields([0, 2])), m.done(0x32), m.done(0x07)),
);
const HEADER_OF = fc.record({
  mid: fc.integer({ min: 1, max: 3 }),
  status: fc.constantFrom(0, 0, 0, 0xc0000022),
  unicode: fc.boolean(),
});
const SAID: fc.Arbitrary<Said> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(HEADER_OF, fc.array(ASKED, { minLength: 1, maxLength: 3 }))
      .map(([header, blocks]) => C(header, ...blocks)),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(HEADER_OF, fc.array(ANSWER, { minLength: 1, maxLength: 3 }))
      .map(([header, blocks]) => S(header, ...blocks)),
  },
  fc.tuple(fc.constantFrom(CLIENT, SERVER), DATA).map(([side, data]) => raw(side, data)),
);
const GAP: fc.Arbitrary<Said> = fc.tuple(fc.constantFrom<Side>(CLIENT, SERVER), fc.nat(60));

test('any order of requests, answers, raw bytes and gaps neither fails the flow nor stops it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 8, arbitrary: SAID }, GAP), { maxLength: 25 }),
      fc.constantFrom('at once', 'late'),
      fc.integer({ min: 1, max: 60 }),
      (said, verdicts, size) => {
        const run = session([...OPENING, ...said], { smb1Requests: 4, smb1Chain: 2, smb1Transactions: 30 });
        assert.deepEqual(runSession(run, { mode: 'passive', verdicts, size }).problems, []);
      },
    ),
    { numRuns: 2000 },
  );
});

test('the same messages give the same trace in single bytes and whole', () => {
  fc.assert(
    fc.property(fc.array(SAID, { maxLength: 15 }), fc.integer({ min: 1, max: 9 }), (said, size) => {
      const run = session([...OPENING, ...said]);
      const first = runSession(run, { mode: 'passive', verdicts: 'late' }).trace;
      assert.equal(runSession(run, { mode: 'passive', verdicts: 'late', size }).trace, first);
    }),
    { numRuns: 500 },
  );
});

test('damaged bytes in messages never fail the flow', () => {
  const intact = [...OPENING, ...create(2, 5), ...write(3, 5, 0, TEXT), ...read(4, 5, 0, EICAR), ...close(6, 5)];
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(255)), { maxLength: 6 }), (damage) => {
      const said = intact.map(([side, what]): Said => [side, Buffer.from(what as Buffer)] as const);
      for (const [message, at, value] of damage) {
        const bytes = said[message % said.length]?.[1];
        if (typeof bytes === 'object') bytes[4 + (at % (bytes.length - 4))] = value;
      }
      assert.deepEqual(runSession(session(said), { mode: 'passive', verdicts: 'late', size: 11 }).problems, []);
    }),
    { numRuns: 1000 },
  );
});

// ── Session messages and files, as plain as can be ─────────────────────────────────────────────────────────────────────────

/** Takes SMB 1 out of its session messages (RFC 1002 §4.3.1). Behind missing bytes each side is believed to begin a message. */
const UNSIGNED = new Smb1Signing(decoderContext().crypto, [], 1);

class Framed implements Decoder {
  readonly #flow: Flow;
  readonly #smb1: Smb1;
  /** The length of each side's message and how much of it was taken; -1 between messages. */
  readonly #length: [number, number] = [-1, -1];
  readonly #done: [number, number] = [0, 0];
  #ended = 0;

  constructor(flow: Flow) {
    this.#flow = flow;
    this.#smb1 = new Smb1(flow, (share, path) => new PlainFile(flow, share, path), UNSIGNED);
  }

  push(side: Side, chunk: Buffer): void {
    for (let at = 0; ; ) {
      if (this.#length[side] < 0) {
        if (chunk.length - at < 4) return;
        const length = chunk.readUIntBE(at + 1, 3);
        const keepalive = chunk[at] !== 0;
        at += 4;
        this.#flow.pass(at);
        if (keepalive) continue;
        this.#length[side] = length;
        this.#done[side] = 0;
      }
      const length = this.#length[side];
      const done = this.#done[side];
      const taken = this.#smb1.read(side, chunk, at, Math.min(chunk.length, at + length - done), done, length);
      at += taken;
      this.#flow.pass(at);
      this.#done[side] += taken;
      if (this.#done[side] === length) {
        this.#length[side] = -1;
        if (this.#smb1.pauses(side)) return;
      } else if (taken === 0) return;
    }
  }
  end(): void {
    if (++this.#ended === 2) this.#smb1.end();
  }
  gap(side: Side): void {
    this.#length[side] = -1;
    this.#smb1.lost(side);
  }
  unanswered(side: Side): void {
    if (side === CLIENT) this.#smb1.unanswered();
  }
  verdict(): void {}
  wake(): void {}
}

/** What is written and what is read are two files. */
class PlainFile implements Smb1File {
  readonly #flow: Flow;
  readonly #name: string | undefined;
  readonly #path: string | undefined;
  #upload: FileStream | undefined;
  #download: FileStream | undefined;

  constructor(flow: Flow, share: string | undefined, path: string | undefined) {
    this.#flow = flow;
    this.#name = path?.slice(path.lastIndexOf('\\') + 1);
    this.#path = path === undefined ? undefined : `${share ?? ''}${path}`;
  }

  #meta(direction: FileMeta['direction']): FileMeta {
    return { name: this.#name, direction, ...(this.#path === undefined ? {} : { path: this.#path }) };
  }
  opened(): void {}
  write(place: number, chunk: Buffer, start: number, end: number): void {
    this.#upload ??= this.#flow.openFile(this.#meta('upload'));
    put(this.#upload, place, chunk, start, end);
  }
  read(place: number, chunk: Buffer, start: number, end: number): void {
    this.#download ??= this.#flow.openFile(this.#meta('download'));
    put(this.#download, place, chunk, start, end);
  }
  setSize(size: number): void {
    this.#upload?.malformed(`size ${size}`);
  }
  zero(from: number, to: number): void {
    this.#upload?.malformed(`zero ${from}-${to}`);
  }
  rename(path: string): void {
    this.#upload?.malformed(`renamed ${path}`);
  }
  gap(): void {
    this.#download ??= this.#flow.openFile(this.#meta('download'));
    this.#download.gap(0);
  }
  missed(): void {}
  unseen(): void {
    this.#upload?.malformed('unseen');
  }
  malformed(code: string): void {
    this.#upload?.malformed(code);
    this.#download?.malformed(code);
    if (this.#upload !== undefined || this.#download !== undefined) return;
    this.#upload = this.#flow.openFile(this.#meta('upload'));
    this.#upload.malformed(code);
  }
  close(): void {
    this.#upload?.end();
    this.#download?.end();
  }
  abort(reason: 'gap' | 'reset'): void {
    this.#upload?.abort(reason);
    this.#download?.abort(reason);
  }
}

/** The harness keeps files in memory: what lies far out is left away. */
function put(file: FileStream, place: number, chunk: Buffer, start: number, end: number): void {
  if (place + end - start <= MiB) file.writeAt(place, chunk, start, end);
}
