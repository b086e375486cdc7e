/** Live SMB before ends that misbehave: nothing of an infected file crosses, nothing is thrown, nothing hangs. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { InspectionStage } from '../stage/stage.js';
import { EICAR } from '../testing/peers/scanned.js';
import { SmbRig } from '../testing/smb-rig.js';
import { COMMAND, pending, type SmbMischief } from '../testing/smb-server.js';
import * as m from '../testing/smb2-messages.js';

const evil = Buffer.from(EICAR, 'latin1');
const VIRUS_INFECTED = 0xc000_0906;
const END_OF_FILE = 0xc000_0011;

let stage: InspectionStage;
before(async () => {
  stage = await InspectionStage.start();
});
after(() => stage.close());

async function begun(mischief: SmbMischief = {}, cut?: number): Promise<SmbRig> {
  const rig = new SmbRig(stage, mischief, cut);
  await rig.begin();
  rig.server.files.set('bad.com', evil);
  rig.server.files.set('good.txt', Buffer.from('nothing bad'));
  return rig;
}

/** Nothing of the file, and nothing thrown. */
function clean(rig: SmbRig): void {
  assert.equal(rig.failed, undefined);
  assert.ok(!rig.crossed.includes(evil.subarray(0, 12)), 'bytes of the infected file crossed');
}

for (const cut of [undefined, 1, 7])
  test(`in pieces of ${cut ?? 'any'} bytes: no byte of an infected file crosses before its verdict, and the session goes on`, async () => {
    const rig = await begun({}, cut);
    const bad = await rig.open('bad.com', 1);
    assert.equal((await rig.ask((id) => m.read(id, bad, 0, 4096))).status, VIRUS_INFECTED);
    // The end of it as well.
    assert.equal((await rig.ask((id) => m.read(id, bad, 60, 1))).status, VIRUS_INFECTED);
    const upload = await rig.open('up.com');
    for (const [at, byte] of evil.entries())
      assert.equal((await rig.ask((id) => m.write(id, upload, at, Buffer.from([byte])))).status, 0);
    assert.equal((await rig.ask((id) => m.close(id, upload))).status, VIRUS_INFECTED);
    assert.ok(!rig.server.files.has('up.com'));
    assert.ok(!rig.server.commands.includes(COMMAND.write));
    const good = await rig.open('good.txt', 1);
    const { bytes } = await rig.ask((id) => m.read(id, good, 0, 4096));
    assert.ok(bytes.includes('nothing bad'));
    const mine = await rig.open('mine.txt');
    await rig.ask((id) => m.write(id, mine, 0, Buffer.from('mine')));
    assert.equal((await rig.ask((id) => m.close(id, mine))).status, 0);
    assert.equal(rig.server.files.get('mine.txt')?.toString(), 'mine');
    assert.ok(rig.alive);
    clean(rig);
  });

const SERVERS: readonly (readonly [string, SmbMischief])[] = [
  ['calls a share of files pipes', { share: 2 }],
  ['says first that it will answer later (SMB-010)', { answers: (_, answer) => [pending(answer), answer] }],
  [
    'calls a file a directory',
    { answers: (command, answer) => (command === COMMAND.create ? [patched(answer, 56, 0x10)] : [answer]) },
  ],
  [
    'says that a file is empty',
    { answers: (command, answer) => (command === COMMAND.create ? [patched(answer, 48, 0)] : [answer]) },
  ],
  ['answers twice', { answers: (_, answer) => [answer, Buffer.from(answer)] }],
  [
    'gives more than was asked for',
    { answers: (command, answer) => (command === COMMAND.read ? [patched(answer, 4, 1 << 20)] : [answer]) },
  ],
  [
    'answers a read with another command',
    { answers: (command, answer, id) => (command === COMMAND.create ? [m.readAnswer(id, evil)] : [answer]) },
  ],
  [
    'sends what nobody asked for',
    { answers: (command, answer) => (command === COMMAND.create ? [m.readAnswer(9_999, evil), answer] : [answer]) },
  ],
  [
    'sends a request',
    { answers: (command, answer, id) => (command === COMMAND.create ? [m.write(id, 1, 0, evil), answer] : [answer]) },
  ],
  [
    'sends what is no message',
    {
      answers: (command, answer) =>
        command === COMMAND.create ? [Buffer.concat([Buffer.from([0, 0, 0, 80]), evil, Buffer.alloc(12)])] : [answer],
    },
  ],
  [
    'changes a file after it was judged',
    { content: (name, reads) => (name === 'bad.com' ? (reads <= 2 ? Buffer.alloc(68, 'a') : evil) : undefined) },
  ],
];

for (const [what, mischief] of SERVERS)
  test(`a server that ${what} gives nothing of an infected file`, async () => {
    const rig = await begun(mischief);
    const file = await rig.open('bad.com', 1);
    for (const [at, length] of [
      [0, 4096],
      [0, 34],
      [34, 34],
      [68, 1],
    ] as const)
      await rig.ask((id) => m.read(id, file === 0 ? 1 : file, at, length));
    clean(rig);
  });

test('a file that grew while it was read is judged anew', async () => {
  const rig = await begun();
  rig.server.files.set('log', evil.subarray(0, 10));
  const file = await rig.open('log', 1);
  assert.equal((await rig.ask((id) => m.read(id, file, 0, 100))).status, 0);
  assert.equal((await rig.ask((id) => m.read(id, file, 10, 100))).status, END_OF_FILE);
  rig.server.files.set('log', evil);
  assert.equal((await rig.ask((id) => m.read(id, file, 10, 100))).status, VIRUS_INFECTED);
  assert.equal(rig.failed, undefined);
  assert.ok(!rig.crossed.includes(evil));
});

const REFUSED: readonly (readonly [string, (id: number, file: number) => Buffer, number])[] = [
  ['a write whose data lies outside of it', (id, file) => patched(m.write(id, file, 0, evil), 4, 4096), 0xc000_000d],
  ['a write by RDMA', (id, file) => patched(m.write(id, file, 0, evil), 32, 1), 0xc000_000d],
  ['a read by RDMA', (id, file) => patched(m.read(id, file, 0, 10), 36, 1), 0xc000_000d],
  ['a write far beyond any file', (id, file) => m.write(id, file, 2 ** 62, evil), 0xc000_000d],
  ['a write to what is not open', (id) => m.write(id, 77, 0, evil), 0xc000_0128],
  [
    'a copy that the server makes (SMB-015)',
    (id, file) => m.control(id, 0x0014_40f2, file, Buffer.alloc(48)),
    0xc000_0010,
  ],
  [
    'zeros that the server writes (SMB-004)',
    (id, file) => m.control(id, 0x0009_80c8, file, Buffer.alloc(16)),
    0xc000_0010,
  ],
  ['where else the server listens (SMB-016)', (id) => m.control(id, 0x0014_01fc), 0xc000_00bb],
  [
    'a channel of a session (SMB-016)',
    (id) => m.sessionSetup(id, Buffer.alloc(0), { session: 0x1122_3344 }, 1),
    0xc000_00bb,
  ],
  ['a handle of an earlier connection', (id) => reconnecting(id), 0xc000_0034],
];

for (const [what, make, status] of REFUSED)
  test(`${what} is refused, and the session goes on`, async () => {
    const rig = await begun();
    const file = await rig.open('new.bin');
    const before = rig.server.commands.length;
    assert.equal((await rig.ask((id) => make(id, file))).status, status);
    assert.equal(rig.server.commands.length, before);
    assert.equal((await rig.ask((id) => m.close(id, file))).status, 0);
    clean(rig);
  });

test('padding in front of the data of a write, keepalives and messages in one piece hide nothing (SMB-006, SMB-007)', async () => {
  const rig = await begun();
  const file = await rig.open('pad.com');
  const padded = m.write(0, file, 0, Buffer.concat([Buffer.alloc(24), evil]));
  const make = (id: number): Buffer => {
    const bytes = patched(patched(Buffer.from(padded), 4, evil.length), 2, 64 + 48 + 24, 2);
    bytes.writeUInt32LE(id, 4 + 24);
    return Buffer.concat([Buffer.from([0x85, 0, 0, 0]), bytes, Buffer.from([0x85, 0, 0, 0])]);
  };
  assert.equal((await rig.ask(make)).status, 0);
  assert.equal((await rig.ask((id) => m.close(id, file))).status, VIRUS_INFECTED);
  clean(rig);
});

test('what crosses a pipe is no file (SMB-023)', async () => {
  const rig = new SmbRig(stage, { share: 2 });
  await rig.begin('\\\\server\\IPC$');
  const pipe = await rig.open('srvsvc');
  const sent = m.write(0, pipe, 0, evil);
  await rig.ask((id) => {
    sent.writeUInt32LE(id, 4 + 24);
    return sent;
  });
  assert.ok(Buffer.concat(rig.server.received).includes(sent));
  assert.equal(rig.failed, undefined);
});

test('a session of NetBIOS begins as it should, and is inspected (SMB-025)', async () => {
  const rig = new SmbRig(stage);
  rig.send(Buffer.concat([Buffer.from([0x81, 0, 0, 68]), Buffer.alloc(68, 'A')]));
  await rig.begin();
  rig.server.files.set('bad.com', evil);
  const file = await rig.open('bad.com', 1);
  assert.equal((await rig.ask((id) => m.read(id, file, 0, 100))).status, VIRUS_INFECTED);
  clean(rig);
});

test('a client that offers SMB 1 alone is told that no dialect fits (SMB-024)', async () => {
  const rig = new SmbRig(stage);
  rig.send(smb1Offer(['NT LM 0.12']));
  assert.equal(rig.toClient.length, 1);
  assert.equal(rig.toClient[0]?.readUInt16LE(4 + 33), 0xffff);
  assert.equal(rig.server.received.length, 0);
  rig.send(smb1Offer(['NT LM 0.12']));
  assert.equal(rig.reason, 'smb1-live');
});

test('of an offer of both, what is SMB 2 goes on (SMB-024)', () => {
  const rig = new SmbRig(stage);
  rig.send(smb1Offer(['NT LM 0.12', 'SMB 2.002', 'SMB 2.???']));
  const sent = Buffer.concat(rig.server.received).toString('latin1');
  assert.match(sent, /SMB 2\.002.*SMB 2\.\?\?\?/s);
  assert.doesNotMatch(sent, /NT LM/);
});

const ENDED: readonly (readonly [string, Buffer, string])[] = [
  ['an answer of the client', m.readAnswer(9, evil), 'smb2-wrong-direction'],
  ['what is no message', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'smb-desync'],
  [
    'a sealed message that nobody can open',
    Buffer.concat([Buffer.from([0, 0, 0, 80, 0xfd]), Buffer.from('SMB'), Buffer.alloc(76)]),
    'smb-encrypted',
  ],
  [
    'a compressed message that lies about its size (SMB-020)',
    Buffer.concat([Buffer.from([0, 0, 0, 40, 0xfc]), Buffer.from('SMB'), Buffer.alloc(36, 0xff)]),
    'smb-bad-compression',
  ],
];

for (const [what, bytes, reason] of ENDED)
  test(`${what} ends the connection, and says why`, async () => {
    const rig = await begun();
    rig.send(bytes);
    assert.equal(rig.reason, reason);
    assert.ok(rig.anomalies.includes(reason));
    clean(rig);
  });

test('compressed writes are read, and go on as they were read (SMB-019)', async () => {
  const rig = await begun();
  const file = await rig.open('c.com');
  assert.equal((await rig.ask((id) => uncompressed(m.write(id, file, 0, evil)))).status, 0);
  assert.equal((await rig.ask((id) => uncompressed(m.close(id, file)))).status, VIRUS_INFECTED);
  clean(rig);
});

/** Where the command is, and the kind of a share: what is taken for another command, or goes to a printer, is no file. */
const OTHER_COMMAND = [12, 13, 66];

test('damaged messages of either end throw nothing and let nothing through', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ command: fc.constantFrom(3, 5, 6, 8, 9, 11, 17), at: fc.nat(160), value: fc.nat(255) }), {
        maxLength: 4,
      }),
      fc.boolean(),
      fc.boolean(),
      async (harms, atServer, signs) => {
        const harm = (command: number, bytes: Buffer): Buffer => {
          for (const each of harms)
            if (each.command === command && 4 + each.at < bytes.length && !OTHER_COMMAND.includes(each.at))
              bytes[4 + each.at] = each.value;
          return bytes;
        };
        const rig = new SmbRig(stage, {
          signs,
          ...(atServer ? { answers: (command: number, answer: Buffer) => [harm(command, answer)] } : {}),
        });
        rig.server.files.set('bad.com', evil);
        const sends = [
          m.negotiate(0, [0x0210]),
          m.sessionSetup(1, Buffer.alloc(0), { session: 0 }),
          m.treeConnect(2, '\\\\server\\share'),
          m.create(3, 'bad.com', 1),
          m.create(4, 'up.com', 2),
          m.read(5, 1, 0, 100),
          m.write(6, 2, 0, evil),
          m.sizeTo(7, 2, 68),
          m.close(8, 2),
          m.close(9, 1),
        ];
        for (const bytes of sends) {
          rig.send(atServer ? bytes : harm(bytes.readUInt16LE(16), bytes));
          await new Promise(setImmediate);
          await new Promise(setImmediate);
        }
        await new Promise(setImmediate);
        rig.close();
        assert.equal(rig.failed, undefined);
        // With a byte of it changed it is another file.
        assert.ok(!rig.crossed.includes(evil), 'the infected file crossed');
      },
    ),
    { numRuns: 1000, seed: 7 },
  );
});

test('a blocked write behind one that was flushed leaves nothing of either', async () => {
  const rig = await begun();
  const file = await rig.open('two.com');
  await rig.ask((id) => m.write(id, file, 0, evil.subarray(0, 30)));
  // A read shows what was written: it is judged and stored.
  assert.equal((await rig.ask((id) => m.read(id, file, 0, 30))).status, 0);
  assert.equal(rig.server.files.get('two.com')?.length, 30);
  await rig.ask((id) => m.write(id, file, 30, evil.subarray(30)));
  assert.equal((await rig.ask((id) => m.read(id, file, 0, 68))).status, VIRUS_INFECTED);
  assert.equal(rig.server.files.get('two.com')?.length, 0);
  assert.equal((await rig.ask((id) => m.close(id, file))).status, VIRUS_INFECTED);
  assert.ok(!rig.server.files.has('two.com'));
  assert.ok(!rig.crossed.includes(evil.subarray(30)));
  assert.equal(rig.failed, undefined);
});

test('what is removed is what was written, under its new name, and not what has the old one since', async () => {
  const rig = await begun();
  const file = await rig.open('old.txt');
  await rig.ask((id) => m.write(id, file, 0, Buffer.from('clean')));
  assert.equal((await rig.ask((id) => m.renameTo(id, file, 'new.txt'))).status, 0);
  rig.server.files.set('new.txt', rig.server.files.get('old.txt') ?? Buffer.alloc(0));
  rig.server.files.set('old.txt', Buffer.from('of somebody else'));
  await rig.ask((id) => m.write(id, file, 0, evil));
  assert.equal((await rig.ask((id) => m.close(id, file))).status, VIRUS_INFECTED);
  assert.ok(!rig.server.files.has('new.txt'));
  assert.ok(rig.server.files.has('old.txt'));
  clean(rig);
});

test('a file of one page more than is kept is not scannable, either way; one that just fits is', async (context) => {
  const small = await InspectionStage.start({ limits: { smbHeld: 2 * 65_536 } });
  context.after(() => small.close());
  const rig = new SmbRig(small);
  await rig.begin();
  for (const [size, status] of [
    [2 * 65_536, 0],
    [2 * 65_536 + 1, VIRUS_INFECTED],
  ] as const) {
    const bytes = Buffer.alloc(size, 'x');
    rig.server.files.set(`there-${size}`, bytes);
    const there = await rig.open(`there-${size}`, 1);
    assert.equal((await rig.ask((id) => m.read(id, there, 0, 100))).status, status);
    const mine = await rig.open(`mine-${size}`);
    for (let at = 0; at < size; at += 65_536)
      await rig.ask((id) => m.write(id, mine, at, bytes.subarray(at, at + 65_536)));
    assert.equal((await rig.ask((id) => m.close(id, mine))).status, status);
    assert.equal(rig.server.files.get(`mine-${size}`)?.length, status === 0 ? size : undefined);
  }
  assert.equal(rig.failed, undefined);
});

test('more stretches than are told apart are judged and stored before there are more', async (context) => {
  const small = await InspectionStage.start({ limits: { smbStretches: 2 } });
  context.after(() => small.close());
  const rig = new SmbRig(small);
  await rig.begin();
  const file = await rig.open('holes');
  for (const at of [0, 2]) await rig.ask((id) => m.write(id, file, at, Buffer.from('x')));
  assert.ok(!rig.server.commands.includes(COMMAND.write));
  await rig.ask((id) => m.write(id, file, 4, Buffer.from('x')));
  assert.equal(rig.server.commands.filter((command) => command === COMMAND.write).length, 3);
  for (const at of [1, 3]) await rig.ask((id) => m.write(id, file, at, Buffer.from('y')));
  assert.equal((await rig.ask((id) => m.close(id, file))).status, 0);
  assert.equal(rig.server.files.get('holes')?.toString(), 'xyxyx');
});

test('a client that sends on while its file is fetched is not read for a while, and then answered in full', async (context) => {
  const small = await InspectionStage.start({ limits: { smbMessage: 300 } });
  context.after(() => small.close());
  const rig = new SmbRig(small);
  await rig.begin();
  rig.server.files.set('there', Buffer.alloc(100, 'x'));
  const file = await rig.open('there');
  const asked = Array.from({ length: 20 }, (_, at) =>
    rig.ask((id) => (at === 0 ? m.read(id, file, 0, 100) : m.write(id, file, at, Buffer.from('y')))),
  );
  for (const { status } of await Promise.all(asked)) assert.equal(status, 0);
  assert.equal((await rig.ask((id) => m.close(id, file))).status, 0);
  assert.equal(rig.server.files.get('there')?.toString(), `x${'y'.repeat(19)}${'x'.repeat(80)}`);
});

test('no handle outlives its connection: what asks for it does not reach the server', async () => {
  const rig = await begun();
  assert.equal((await rig.ask((id) => reconnecting(id, 'DH2Q'))).status, 0);
  assert.ok(!Buffer.concat(rig.server.received).includes('DH2Q'));
  assert.ok(Buffer.concat(rig.server.received).includes('none'));
});

/** Signed by nobody that is known. */
function withFlag(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(bytes.readUInt32LE(4 + 16) | 8, 4 + 16);
  bytes.fill(7, 4 + 48, 4 + 64);
  return bytes;
}

test('a request that may not be changed goes as it came, behind what fills up the numbers in front of it', async () => {
  const rig = await begun();
  const file = await rig.open('mine.txt');
  for (let at = 0; at < 5; at++) await rig.ask((id) => m.write(id, file, at, Buffer.from('x')));
  let sent: Buffer = Buffer.alloc(0);
  const { status } = await rig.ask((id) => {
    sent = withFlag(m.treeConnect(id, '\\\\server\\other'));
    return sent;
  });
  assert.equal(status, 0);
  assert.ok(Buffer.concat(rig.server.received).includes(sent));
  assert.ok(rig.server.commands.includes(COMMAND.echo));
  assert.equal((await rig.ask((id) => m.close(id, file))).status, 0);
  assert.equal(rig.server.files.get('mine.txt')?.toString(), 'xxxxx');
});

test('a request that may not be changed, and whose number is taken, ends the connection', async () => {
  const rig = await begun();
  rig.server.files.set('long', Buffer.alloc(200_000, 'x'));
  const file = await rig.open('long', 1);
  await rig.ask((id) => m.read(id, file, 0, 10));
  await rig.ask((id) => withFlag(m.treeConnect(id, '\\\\server\\other')));
  assert.equal(rig.reason, 'smb2-signed-late');
});

// ── Signed, and nobody here has the key ─────────────────────────────────────────────────────────────────────────────────

const signed: SmbMischief = { signs: true };

test('signed without credentials: a file is held until it was judged, and a blocked one ends the connection', async () => {
  const rig = await begun(signed);
  assert.ok(rig.anomalies.includes('smb2-signed'));
  const good = await rig.open('good.txt', 1);
  assert.ok((await rig.ask((id) => m.read(id, good, 0, 4096))).bytes.includes('nothing bad'));
  const bad = await rig.open('bad.com', 1);
  await rig.ask((id) => m.read(id, bad, 0, 4096));
  assert.equal(rig.reason, 'smb2-signed-download');
  clean(rig);
});

test('signed without credentials: a client that waits for each answer gets a clean file, piece by piece, and never all of an infected one', async () => {
  const rig = await begun(signed);
  const good = await rig.open('good.txt', 1);
  let got = '';
  for (let at = 0; at < 11; at += 4)
    got += (await rig.ask((id) => m.read(id, good, at, 4))).bytes.toString('latin1', 4 + 64 + 16);
  assert.equal(got, 'nothing bad');
  const [one, two] = [await rig.open('bad.com', 1), await rig.open('bad.com', 1)];
  await rig.ask((id) => m.read(id, one, 0, 34));
  await rig.ask((id) => m.read(id, two, 34, 34));
  assert.equal(rig.reason, 'smb2-signed-download');
  assert.ok(!rig.crossed.includes(evil.subarray(34)));
});

test('signed without credentials: what is written goes when it was judged, and nothing of an infected file does', async () => {
  const rig = await begun(signed);
  const mine = await rig.open('mine.txt');
  // A client waits for each answer.
  assert.equal((await rig.ask((id) => m.write(id, mine, 0, Buffer.from('mi')))).status, 0);
  assert.equal((await rig.ask((id) => m.write(id, mine, 2, Buffer.from('ne')))).status, 0);
  assert.equal((await rig.ask((id) => m.close(id, mine))).status, 0);
  assert.equal(rig.server.files.get('mine.txt')?.toString(), 'mine');
  const upload = await rig.open('up.com');
  await rig.ask((id) => m.write(id, upload, 0, evil));
  assert.equal(rig.reason, 'smb2-signed-upload');
  assert.equal(rig.server.files.get('up.com')?.length, 0);
  clean(rig);
});

test('signed without credentials: what would be refused ends the connection', async () => {
  for (const make of [
    (id: number) => m.control(id, 0x0014_40f2, 1, Buffer.alloc(48)),
    (id: number) => reconnecting(id),
    (id: number) => m.write(id, 77, 0, evil),
    (id: number) => m.sessionSetup(id, Buffer.alloc(0), { session: 0x1122_3344 }, 1),
  ]) {
    const rig = await begun(signed);
    const before = rig.server.commands.length;
    await rig.ask(make);
    assert.notEqual(rig.reason, undefined);
    assert.equal(rig.server.commands.length, before);
    clean(rig);
  }
});

/** A field of a body, little-endian. */
function patched(bytes: Buffer, at: number, value: number, size = 4): Buffer {
  if (4 + 64 + at + size <= bytes.length) bytes.writeUIntLE(value, 4 + 64 + at, size);
  return bytes;
}

/** CREATE with a context: one that takes a durable handle on, unless told. */
function reconnecting(id: number, tag = 'DHnC'): Buffer {
  const plain = m.create(id, 'new.bin', 3);
  const context = Buffer.alloc(40);
  context.writeUInt16LE(16, 4);
  context.writeUInt16LE(4, 6);
  context.write(tag, 16, 'latin1');
  const padding = Buffer.alloc(-(plain.length - 4) & 7);
  const out = Buffer.concat([plain, padding, context]);
  out.writeUIntBE(out.length - 4, 1, 3);
  out.writeUInt32LE(plain.length - 4 + padding.length, 4 + 64 + 48);
  out.writeUInt32LE(context.length, 4 + 64 + 52);
  return out;
}

function smb1Offer(dialects: readonly string[]): Buffer {
  const list = Buffer.from(dialects.map((name) => `\x02${name}\0`).join(''), 'latin1');
  const out = Buffer.alloc(4 + 35 + list.length);
  out.writeUIntBE(out.length - 4, 1, 3);
  out.writeUInt32BE(0xff53_4d42, 4);
  out[8] = 0x72;
  out.writeUInt16LE(list.length, 4 + 33);
  list.copy(out, 4 + 35);
  return out;
}

/** A chain of one payload that is not compressed. */
function uncompressed(message: Buffer): Buffer {
  const plain = message.subarray(4);
  const out = Buffer.alloc(4 + 16 + plain.length);
  out.writeUIntBE(out.length - 4, 1, 3);
  out.writeUInt32BE(0xfc53_4d42, 4);
  out.writeUInt32LE(plain.length, 8);
  out.writeUInt16LE(1, 14);
  out.writeUInt32LE(plain.length, 16);
  plain.copy(out, 20);
  return out;
}
