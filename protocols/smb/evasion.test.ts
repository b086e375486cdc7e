// Rows of the evasion catalogue that can be seen in a capture, each scanned as a user scans it. README.md says how each is judged.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ScanEvent } from '../../src/capture/events.js';
import { Scan } from '../../src/capture/scan.js';
import { readConfig } from '../../src/config/config.js';
import { CLIENT, SERVER, type Side } from '../../src/core/flow.js';
import type { Secret } from '../../src/core/secret.js';
import { decoderContext } from '../../src/testing/context.js';
import { EICAR } from '../../src/testing/inspecting.js';
import { Conversation, pcapFile } from '../../src/testing/packets.js';
import { scanSetup } from '../../src/testing/scan-setup.js';
import * as m1 from '../../src/testing/smb1-messages.js';
import * as m from '../../src/testing/smb2-messages.js';
import { response } from './ntlm.js';
import { deriveKeys, type SessionKeys } from './smb2-keys.js';

/** Programs may not come or go; what is seen of a file is inspected. */
const CONFIG = `config file-filter profile
  edit "programs"
    config rules
      edit "exe"
        set protocol cifs
        set action block
        set direction any
        set file-type "exe"
      next
    end
  next
end
config firewall policy
  edit 1
    set srcintf "any"
    set dstintf "any"
    set srcaddr "all"
    set dstaddr "all"
    set schedule "always"
    set service "ALL"
    set action accept
    set utm-status enable
    set inspection-mode proxy
    set av-profile "default"
    set file-filter-profile "programs"
  next
end
`;

const folder = mkdtempSync(join(tmpdir(), 'inspectd-evasion-'));
const SECRET: Secret = { kind: 'account', user: 'alice', domain: undefined, password: 'only-for-this-test' };
const [scan, scanWithSecret] = [[], [SECRET]].map(
  (secrets) => new Scan(scanSetup({ config: readConfig(CONFIG, 'evasion.conf').config, hashMessages: true, secrets })),
) as [Scan, Scan];
after(async () => {
  await scan.close();
  await scanWithSecret.close();
  rmSync(folder, { recursive: true });
});

type Said = readonly [side: Side, bytes: Buffer];

interface Seen {
  /** `upload name size state verdict`. */
  readonly files: string[];
  /** Names of what policy would stop. */
  readonly blocked: (string | undefined)[];
  readonly anomalies: Record<string, number>;
  readonly state: string | undefined;
}

interface Way {
  readonly port?: number;
  /** The client goes away without a word. */
  readonly reset?: boolean;
  /** The password is known. */
  readonly secret?: boolean;
}

/** What is seen of conversations, one after the other, each on a connection of its own; then all connections end. */
async function seen(
  conversations: readonly (readonly Said[])[],
  { port = 445, reset = false, secret = false }: Way = {},
): Promise<Seen> {
  const connections = conversations.map((said, index) => {
    const conversation = new Conversation({
      client: { address: '10.1.100.44', port: 50_000 + index },
      server: { address: '172.16.200.55', port },
    }).open();
    for (const [side, bytes] of said) conversation.send(side, bytes);
    return conversation;
  });
  const packets = connections.flatMap((connection) => connection.packets.splice(0));
  for (const connection of connections) {
    if (reset) connection.reset(CLIENT);
    else connection.close();
    packets.push(...connection.packets);
  }
  const file = join(folder, 'capture');
  writeFileSync(file, pcapFile(packets));
  const all = { files: [] as string[], blocked: [] as (string | undefined)[], anomalies: {} };
  let state: string | undefined;
  const deliver = (event: ScanEvent): void => {
    if (event.kind === 'tree') {
      for (const { transfer, name, size, state, verdict } of event.files)
        all.files.push([transfer, name, size, state, verdict.verdict].join(' '));
      for (const { action, file } of event.outcomes) if (action === 'blocked') all.blocked.push(file.meta.name);
    } else if (event.kind === 'flow-ended') {
      state = event.state;
      Object.assign(all.anomalies, event.anomalies);
    }
  };
  const report = await (secret ? scanWithSecret : scan).capture({
    name: file,
    size: 0,
    deliver,
    advance: () => {},
  });
  assert.equal(report.damage, undefined);
  return { ...all, state };
}

const READ = 1;
const WRITE = 2;
const DELETE = 0x1_0000;

interface Opened {
  /** Bytes in it when it is opened. Undefined: it is made, or emptied. */
  readonly size?: number;
  readonly options?: number;
  readonly directory?: boolean;
}

/** What a client and a server of SMB 2 say: requests, each with its answer. */
class Talk {
  readonly said: Said[] = [];
  #id = 0;

  ask(request: (id: number) => Buffer, answer: (id: number) => Buffer): this {
    const id = this.#id++;
    this.said.push([CLIENT, request(id)], [SERVER, answer(id)]);
    return this;
  }

  connect(share = '\\\\srv\\data', type = 1): this {
    return this.ask(
      (id) => m.treeConnect(id, share),
      (id) => m.treeConnected(id, type),
    );
  }

  open(file: number, name: string | Buffer, access: number, { size, options, directory }: Opened = {}): this {
    return this.ask(
      (id) => m.create(id, name, access, options),
      (id) => m.created(id, file, size ?? 0, size === undefined, directory),
    );
  }

  write(file: number, at: number, data: Buffer): this {
    return this.ask(
      (id) => m.write(id, file, at, data),
      (id) => m.done('write', id),
    );
  }

  read(file: number, at: number, data: Buffer): this {
    return this.ask(
      (id) => m.read(id, file, at, data.length),
      (id) => m.readAnswer(id, data),
    );
  }

  set(request: (id: number) => Buffer): this {
    return this.ask(request, (id) => m.done('setInfo', id));
  }

  control(code: number, file: number, input?: Buffer): this {
    return this.ask(
      (id) => m.control(id, code, file, input),
      (id) => m.controlled(id),
    );
  }

  close(file: number): this {
    return this.ask(
      (id) => m.close(id, file),
      (id) => m.done('close', id),
    );
  }
}

const talk = (): Talk => new Talk().connect();
const dummy = Buffer.from('.');
const TEXT = Buffer.from(
  'nothing of any interest, but long enough for the other to lie within it, with a rest behind\r\n',
);

test('SMB-002: what is written over is not what counts: the last byte of a place does', async () => {
  const { files } = await seen([
    talk().open(1, 'a.txt', WRITE).write(1, 0, dummy).write(1, 0, EICAR).close(1).said,
    talk().open(1, 'b.txt', WRITE).write(1, 0, EICAR.subarray(0, 40)).write(1, 20, EICAR.subarray(20)).close(1).said,
  ]);
  assert.deepEqual(files, ['upload a.txt 68 complete infected', 'upload b.txt 68 complete infected']);
});

test('SMB-003: malware written into the middle of a clean file is found, and a piece of a file is never clean', async () => {
  const whole = talk().open(1, 'a.txt', WRITE).write(1, 0, TEXT).write(1, 10, EICAR).close(1);
  const again = talk()
    .open(1, 'b.txt', WRITE)
    .write(1, 0, TEXT)
    .close(1)
    .open(2, 'b.txt', WRITE, { size: TEXT.length })
    .write(2, 10, EICAR)
    .close(2)
    .open(3, 'b.txt', WRITE, { size: TEXT.length })
    .write(3, 10, EICAR.subarray(0, 30))
    .close(3);
  const { files } = await seen([whole.said, again.said]);
  assert.deepEqual(files, [
    'upload a.txt 93 complete infected',
    'upload b.txt 93 complete clean',
    'upload b.txt 78 truncated infected',
    'upload b.txt 40 truncated unscannable',
  ]);
});

test('SMB-004: a file with holes, one that was cut and one whose bytes were zeroed are never clean', async () => {
  const far = 4 * 2 ** 30;
  const zeroed = Buffer.alloc(16);
  zeroed.writeUInt32LE(4, 8);
  const { files } = await seen([
    talk().open(1, 'far.txt', WRITE).write(1, far, dummy).write(1, 0, EICAR).close(1).said,
    talk().open(1, 'hole.txt', WRITE).write(1, 10, TEXT).close(1).said,
    talk()
      .open(1, 'grown.txt', WRITE)
      .write(1, 0, TEXT)
      .set((id) => m.sizeTo(id, 1, far))
      .close(1).said,
    talk()
      .open(1, 'cut.txt', WRITE)
      .write(1, 0, TEXT)
      .set((id) => m.sizeTo(id, 1, 9))
      .close(1).said,
    talk()
      .open(1, 'room.txt', WRITE)
      .write(1, 0, TEXT)
      .set((id) => m.sizeTo(id, 1, 9, 19))
      .close(1).said,
    talk().open(1, 'zero.txt', WRITE).write(1, 0, TEXT).control(0x9_80c8, 1, zeroed).close(1).said,
  ]);
  assert.deepEqual(files, [
    'upload far.txt 1 gap unscannable',
    'upload hole.txt 103 truncated unscannable',
    'upload grown.txt 93 truncated unscannable',
    'upload cut.txt 93 complete malformed',
    'upload room.txt 93 complete malformed',
    'upload zero.txt 93 complete malformed',
  ]);
});

test('SMB-011: bytes that are read in any order, twice, by two clients or through two handles make the file', async () => {
  const size = EICAR.length;
  const open = (talk: Talk, file: number): Talk => talk.open(file, 'a.txt', READ, { size });
  const bytewise = open(talk(), 1);
  for (let at = 0; at < size; at++) {
    const place = (at * 37) % size;
    bytewise.read(1, place, EICAR.subarray(place, place + 1));
  }
  const lapping = open(talk(), 1).read(1, 30, EICAR.subarray(30)).read(1, 0, EICAR.subarray(0, 50)).read(1, 0, EICAR);
  const handles = open(open(talk(), 1), 2).read(1, 0, EICAR.subarray(0, 34)).read(2, 34, EICAR.subarray(34));
  const { files } = await seen([bytewise.close(1).said, lapping.close(1).said, handles.close(1).close(2).said]);
  assert.deepEqual(files, [
    'download a.txt 68 complete infected',
    'download a.txt 68 complete infected',
    'download a.txt 34 truncated unscannable',
    'download a.txt 68 truncated unscannable',
  ]);
});

test('SMB-012: a temporary file, one that goes when it is closed and one that was renamed are read as any other', async () => {
  const size = EICAR.length;
  const gone = talk().open(1, 'a.tmp', READ, { size, options: 0x1000 }).read(1, 0, EICAR).close(1);
  const renamed = talk()
    .open(1, 'b.txt', READ | DELETE, { size })
    .set((id) => m.renameTo(id, 1, 'b.exe'))
    .read(1, 0, EICAR)
    .close(1);
  const { files } = await seen([gone.said, renamed.said]);
  assert.deepEqual(files, [
    'download a.tmp 68 complete infected',
    'upload b.exe 0 complete blocked',
    'download b.txt 68 complete infected',
  ]);
});

test('SMB-013: a new name is judged, whether the file is still open, is opened for it, or gets a link', async () => {
  const written = (name: string): Talk =>
    talk()
      .open(1, name, WRITE | DELETE)
      .write(1, 0, TEXT);
  const rename = (talk: Talk, kind?: number): Talk =>
    talk.set((id) => m.renameTo(id, 1, 'dir\\new.exe', kind)).close(1);
  for (const kind of [10, 11, 65, 72]) {
    const open = await seen([rename(written('a.txt'), kind).said]);
    assert.deepEqual(open.files, ['upload a.txt 93 complete blocked'], `class ${kind}`);
    const size = TEXT.length;
    const closed = await seen([rename(written('a.txt').close(1).open(1, 'a.txt', DELETE, { size }), kind).said]);
    assert.deepEqual(
      closed.files,
      ['upload a.txt 93 complete clean', 'upload dir\\new.exe 0 complete blocked'],
      `class ${kind}`,
    );
  }
  const directory = talk().open(1, 'dir', DELETE, { size: 0, directory: true });
  assert.deepEqual((await seen([rename(directory).said])).files, []);
  const refused = talk().open(1, 'a.txt', DELETE, { size: 9 });
  refused.ask(
    (id) => m.renameTo(id, 1, 'new.exe'),
    (id) => m.message(17, id, true, Buffer.alloc(9), { status: 0xc000_0022 }),
  );
  assert.deepEqual((await seen([refused.close(1).said])).files, []);
});

test('SMB-013: likewise in SMB 1, by path', async () => {
  const { files } = await seen([
    [
      ...both(1, m1.treeConnect('\\\\srv\\data'), m1.treeConnected()),
      ...both(2, m1.ntCreate('\\a.txt'), m1.ntCreated(5)),
      ...both(3, m1.writeAndX(5, 0, TEXT), m1.written(TEXT.length)),
      ...both(4, m1.close(5), m1.done(4)),
      ...both(5, m1.rename('\\a.txt', '\\a.exe'), m1.done(7)),
    ],
  ]);
  assert.deepEqual(files, ['upload a.txt 93 complete clean', 'upload a.exe 0 complete blocked']);
});

/** An exchange of SMB 1 that went well. */
function both(mid: number, asked: m1.Smb1Block, answer: m1.Smb1Block): Said[] {
  return [
    [CLIENT, m1.smb1({ mid }, asked)],
    [SERVER, m1.smb1({ mid, reply: true }, answer)],
  ];
}

test('SMB-014: streams, names that Windows shortens and broken UTF-16 hide neither a file nor what it is called', async () => {
  const lone = Buffer.concat([Buffer.from([0x3d, 0xd8]), Buffer.from('.txt', 'utf16le')]);
  for (const [name, verdict] of [
    ['file.txt:evil.exe:$DATA', 'blocked'],
    ['file.txt:evil.exe', 'blocked'],
    ['evil.exe::$DATA', 'blocked'],
    ['evil.exe. . ', 'blocked'],
    ['EVIL~1.EXE', 'blocked'],
    ['file.txt', 'clean'],
    [lone, 'clean'],
  ] as const) {
    const shown = typeof name === 'string' ? name : '\ud83d.txt';
    const clean = await seen([talk().open(1, name, WRITE).write(1, 0, TEXT).close(1).said]);
    assert.deepEqual(clean.files, [`upload ${shown} 93 complete ${verdict}`]);
    const infected = await seen([talk().open(1, name, WRITE).write(1, 0, EICAR).close(1).said]);
    assert.deepEqual(infected.files, [`upload ${shown} 68 complete infected`]);
  }
  const renamed = talk()
    .open(1, 'a.txt', DELETE, { size: 9 })
    .set((id) => m.renameTo(id, 1, ':evil.exe:$DATA'))
    .close(1);
  assert.deepEqual((await seen([renamed.said])).files, ['upload :evil.exe:$DATA 0 complete blocked']);
  // Whether it is a directory is the server's word.
  const index = 'file.txt::$INDEX_ALLOCATION';
  const file = talk().open(1, index, WRITE, { options: 1 }).write(1, 0, EICAR).close(1);
  assert.deepEqual((await seen([file.said])).files, [`upload ${index} 68 complete infected`]);
  const directory = talk().open(1, index, READ, { size: 0, directory: true }).close(1);
  assert.deepEqual((await seen([directory.said])).files, []);
});

test('SMB-015: what the server copies by itself is never clean', async () => {
  for (const code of [0x14_40f2, 0x14_80f2, 0x9_8268, 0x9_8344, 0x9_83e8]) {
    const copy = talk().open(1, 'copy.txt', WRITE).control(code, 1);
    const { files, anomalies } = await seen([copy.close(1).said]);
    assert.deepEqual(files, ['upload copy.txt 0 gap unscannable'], code.toString(16));
    assert.deepEqual(anomalies, { 'smb2-server-copy': 1 });
  }
});

test('SMB-016: a file whose halves go over two channels is one file, and each channel has a key of its own', async () => {
  const { crypto } = decoderContext();
  const hash = crypto.digest('md4', [Buffer.from('only-for-this-test', 'utf16le')]);
  const challenge = Buffer.from('8 bytes.');
  /** The key that signs a channel whose client chose this one. */
  const keysOf = (sealedKey: Buffer): SessionKeys =>
    deriveKeys(
      crypto,
      { dialect: 0x0300, cipher: 1, signing: 1 },
      crypto.rc4(crypto.digest('md4', [hash]), sealedKey),
      Buffer.alloc(64),
    );
  const signed = ([side, message]: Said, { signing }: SessionKeys): Said => {
    const bytes = Buffer.from(message);
    bytes.writeUInt32LE(bytes.readUInt32LE(4 + 16) | 8, 4 + 16);
    crypto.cmac(signing, [bytes.subarray(4)]).copy(bytes, 4 + 48);
    return [side, bytes];
  };
  /** A connection on which `talk` is signed with the key of `signing`. */
  const channel = (talk: Talk, sealedKey: Buffer, flags: number, signing = sealedKey): Said[] => {
    const session = flags === 0 ? { session: 0 } : {};
    const answer = m.ntlmAuthenticate('alice', response(crypto, hash, challenge), sealedKey);
    const keys = keysOf(signing);
    return [
      [CLIENT, m.negotiate(0, [0x0300])],
      [SERVER, m.negotiated(0, 0x0300, m.MUST_SIGN)],
      [CLIENT, m.sessionSetup(1, Buffer.from('NTLMSSP\0\x01\0\0\0'), session, flags)],
      [SERVER, m.sessionSetUp(1, m.ntlmChallenge(challenge), { status: 0xc000_0016 })],
      [CLIENT, m.sessionSetup(2, answer, {}, flags)],
      signed([SERVER, m.sessionSetUp(2, Buffer.alloc(0))], keys),
      ...talk.said.map((said) => signed(said, keys)),
    ];
  };
  const [one, other] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  const first = channel(talk().open(1, 'a.txt', WRITE).write(1, 0, EICAR.subarray(0, 34)), one, 0);
  const second = new Talk().write(1, 34, EICAR.subarray(34)).close(1);
  const found = ['upload a.txt 68 complete infected'];
  const fits = await seen([first, channel(second, other, 1)], { secret: true });
  assert.deepEqual([fits.files, fits.anomalies], [found, {}]);
  const wrong = await seen([first, channel(second, other, 1, one)], { secret: true });
  assert.deepEqual([wrong.files, wrong.anomalies], [found, { 'smb2-bad-signature': 1 }]);
  assert.deepEqual((await seen([first, channel(second, other, 1, one)])).anomalies, {});
});

test('SMB-018: a NEGOTIATE that was changed on its way, and a signature that was taken off, are told', async () => {
  const start = (dialect: number, mode: number): Talk =>
    new Talk()
      .ask(
        (id) => m.negotiate(id, [0x0202, 0x0210, 0x0300]),
        (id) => m.negotiated(id, dialect, mode),
      )
      .ask(
        (id) => m.sessionSetup(id, Buffer.from('blob'), { session: 0 }),
        (id) => m.sessionSetUp(id, Buffer.alloc(0), { signed: true }),
      );
  const validated = (offered: readonly number[], dialect: number): Talk =>
    start(0x0300, m.MAY_SIGN).ask(
      (id) => m.validate(id, offered),
      (id) => m.validated(id, dialect),
    );
  assert.deepEqual((await seen([validated([0x0202, 0x0210, 0x0300], 0x0300).said])).anomalies, {});
  const changed = { 'smb2-negotiate-changed': 1 };
  assert.deepEqual((await seen([validated([0x0202, 0x0210, 0x0300, 0x0302], 0x0300).said])).anomalies, changed);
  assert.deepEqual((await seen([validated([0x0202, 0x0210, 0x0300], 0x0302).said])).anomalies, changed);
  assert.deepEqual((await seen([start(0x0210, m.MAY_SIGN).connect().said])).anomalies, {});
  assert.deepEqual((await seen([start(0x0210, m.MUST_SIGN).connect().said])).anomalies, { 'smb2-unsigned': 1 });
});

test('SMB-022: what a client leaves behind when it goes before CLOSE is inspected, and never clean', async () => {
  const left = (data: Buffer): Talk => talk().open(1, 'a.txt', WRITE).write(1, 0, data);
  const { files } = await seen([left(EICAR).said, left(TEXT).said], { reset: true });
  assert.deepEqual(files, ['upload a.txt 68 truncated infected', 'upload a.txt 93 truncated unscannable']);
});

test('SMB-023: pipes are no files, whatever they carry and however they are called', async () => {
  for (const [share, type] of [
    ['\\\\srv\\IPC$', 2],
    ['\\\\srv\\data', 2],
    ['\\\\srv\\printer', 3],
  ] as const) {
    const pipe = new Talk()
      .connect(share, type)
      .open(1, 'srvsvc', READ | WRITE)
      .write(1, 0, EICAR)
      .read(1, 0, EICAR);
    assert.deepEqual(await seen([pipe.close(1).said]), { files: [], blocked: [], anomalies: {}, state: 'decoded' });
  }
  // And a share of files is one, whatever its name.
  const disk = new Talk().connect('\\\\srv\\IPC$', 1).open(1, 'srvsvc', WRITE).write(1, 0, EICAR).close(1);
  assert.deepEqual((await seen([disk.said])).files, ['upload srvsvc 68 complete infected']);
});

/** NEGOTIATE of SMB 1: dialects by name. */
const negotiate1 = (dialects: readonly string[]): m1.Smb1Block =>
  m1.block(0x72, Buffer.alloc(0), Buffer.concat(dialects.map((name) => Buffer.from(`\x02${name}\0`))));
const negotiated1 = (index: number): m1.Smb1Block => m1.block(0x72, m1.fields([index, 2], [3, 1], [0, 31]));

test('SMB-024: SMB 1 that becomes SMB 2, and SMB 1 alone, are read', async () => {
  const upload = talk().open(1, 'a.txt', WRITE).write(1, 0, EICAR).close(1).said;
  const offer = m1.smb1({ mid: 0 }, negotiate1(['NT LM 0.12', 'SMB 2.002', 'SMB 2.???']));
  const both2: Said[] = [
    [CLIENT, offer],
    [SERVER, m.negotiated(0, 0x02ff)],
    [CLIENT, m.negotiate(1, [0x0202, 0x0210])],
    [SERVER, m.negotiated(1, 0x0210)],
  ];
  assert.deepEqual(await seen([[...both2, ...upload]]), {
    files: ['upload a.txt 68 complete infected'],
    blocked: ['a.txt'],
    anomalies: {},
    state: 'decoded',
  });
  const rest = [
    ...both(1, m1.treeConnect('\\\\srv\\data'), m1.treeConnected()),
    ...both(2, m1.ntCreate('\\a.txt'), m1.ntCreated(5)),
    ...both(3, m1.writeAndX(5, 0, EICAR), m1.written(EICAR.length)),
    ...both(4, m1.close(5), m1.done(4)),
  ];
  const only = await seen([[...both(0, negotiate1(['NT LM 0.12']), negotiated1(0)), ...rest]]);
  assert.deepEqual([only.files, only.anomalies], [['upload a.txt 68 complete infected'], {}]);
  const taken: Said[] = [
    [CLIENT, offer],
    [SERVER, m1.smb1({ mid: 0, reply: true }, negotiated1(0))],
  ];
  const downgraded = await seen([[...taken, ...rest]]);
  assert.deepEqual([downgraded.files, downgraded.anomalies], [only.files, { 'smb1-downgrade': 1 }]);
});

test('SMB-025: a NetBIOS session is read, on its port and on any other', async () => {
  const request: Said[] = [
    [CLIENT, m1.sessionMessage(Buffer.concat([name('SERVER'), name('CLIENT')]), 0x81)],
    [SERVER, m1.sessionMessage(Buffer.alloc(0), 0x82)],
  ];
  const keepalive: Said = [CLIENT, m1.sessionMessage(Buffer.alloc(0), 0x85)];
  const upload = talk().open(1, 'a.txt', WRITE).write(1, 0, EICAR);
  for (const port of [139, 445, 4445]) {
    const said = [...request, keepalive, ...upload.said, keepalive];
    const { files, state } = await seen([[...said, ...new Talk().close(1).said]], { port });
    assert.deepEqual(files, ['upload a.txt 68 complete infected'], String(port));
    assert.equal(state, 'decoded');
  }
});

/** A name of NetBIOS, as RFC 1001 section 14.1 encodes it, behind its length. */
function name(text: string): Buffer {
  const encoded = [...Buffer.from(text.padEnd(15).concat('\0'))].flatMap((byte) => [
    0x41 + (byte >> 4),
    0x41 + (byte & 15),
  ]);
  return Buffer.from([0x20, ...encoded, 0]);
}
