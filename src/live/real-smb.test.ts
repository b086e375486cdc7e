/** SMB through the daemon: Samba behind it, clients that we did not write in front. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { type DaemonSetup, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { capture, freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { PASSWORD, SHARE, startSamba, USER } from '../testing/peers/samba.js';
import { EICAR, scan } from '../testing/peers/scanned.js';
import {
  type Dialect,
  IMPACKET_2_02,
  IMPACKET_2_10,
  IMPACKET_3_00,
  IMPACKET_SHUFFLED,
  LIBSMBCLIENT,
  SIGNED as SIGNED_BY_CLIENT,
  smbclientOf,
} from '../testing/peers/smb-clients.js';

interface Served {
  readonly daemon: RunningDaemon;
  /** The share's directory on the server. */
  readonly share: string;
  readonly port: number;
}

async function served(
  context: TestContext,
  settings: readonly string[] = [],
  setup: Partial<DaemonSetup> = {},
): Promise<Served> {
  const server = await freePort();
  const share = await startSamba(context, server, settings);
  const daemon = await startDaemon(context, { ...setup, doors: [{ kind: 'cifs', to: server }] });
  return { daemon, share, port: daemon.ports[0] ?? 0 };
}

interface Seen {
  readonly name: string | null;
  readonly sha256: string | null;
  readonly transfer: string;
}

/** What is infected among the rows of a recording, or the records of a session, in one form. */
const inForm = (all: readonly Seen[]): string[] =>
  all.map(({ name, sha256: sum, transfer }) => `${transfer} ${name} ${sum}`).sort();

/** What smbclient says to `commands`; it goes on behind one that fails, and its status is that of the last. */
function smbclient(
  port: number,
  dialect: Dialect,
  here: string,
  commands: readonly string[],
  more: readonly string[] = [],
) {
  const place = ['-p', String(port), '-U', `${USER}%${PASSWORD}`, '-D', '\\', `//127.0.0.1/${SHARE}`];
  return run(
    'smbclient',
    ['-s', '/dev/null', '-m', dialect, ...more, ...place, '-c', [`lcd "${here}"`, ...commands].join('; ')],
    {
      statuses: [0, 1],
    },
  );
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

for (const dialect of ['SMB2_02', 'SMB2_10', 'SMB3_00', 'SMB3_11'] as const)
  peerTest(
    `smbclient ${dialect}: clean files cross, infected ones do not, either way`,
    ['smbclient', 'smbd'],
    async (context) => {
      const { daemon, share, port } = await served(context);
      const here = scratch(context, 'here');
      writeFileSync(join(here, 'clean.bin'), randomBytes(3_000_001));
      writeFileSync(join(here, 'small.txt'), 'hello');
      writeFileSync(join(here, 'eicar.com'), EICAR);
      writeFileSync(join(share, 'bad.com'), EICAR);
      const said = smbclient(port, dialect, here, [
        'put small.txt',
        'put eicar.com',
        'put clean.bin',
        'get bad.com',
        'get clean.bin back.bin',
        'get small.txt back.txt',
      ]);
      assert.match(said, /VIRUS_INFECTED/);
      assert.equal(sha256(join(share, 'clean.bin')), sha256(join(here, 'clean.bin')), said);
      assert.equal(sha256(join(here, 'back.bin')), sha256(join(here, 'clean.bin')), said);
      assert.equal(readFileSync(join(here, 'back.txt'), 'utf8'), 'hello');
      assert.deepEqual(readdirSync(share).sort(), ['bad.com', 'clean.bin', 'small.txt']);
      assert.ok(!existsSync(join(here, 'bad.com')) || readFileSync(join(here, 'bad.com')).length === 0, said);
      const upload = await daemon.record({
        filename: 'eicar.com',
        action: 'blocked',
        service: 'SMB',
        direction: 'outgoing',
      });
      assert.equal(upload.get('logid'), '0211008192');
      assert.equal(upload.get('virus'), 'EICAR_TEST_FILE');
      await daemon.record({ filename: 'bad.com', action: 'blocked', service: 'SMB', direction: 'incoming' });
    },
  );

const ACCOUNT = `config inspectd smb-account
    edit "tester"
        set username "${USER}"
        set password "${PASSWORD}"
    next
end
`;

interface Way {
  readonly name: string;
  readonly dialect: Dialect;
  readonly server?: readonly string[];
  readonly client?: readonly string[];
}
const SIGNED: Way[] = (['SMB2_10', 'SMB3_00', 'SMB3_11'] as const).map((dialect) => ({
  name: `signed ${dialect}`,
  dialect,
  server: ['server signing = mandatory'],
}));
const SEALED: Way[] = (['SMB3_00', 'SMB3_11'] as const).map((dialect) => ({
  name: `sealed ${dialect}`,
  dialect,
  client: ['--client-protection=encrypt'],
}));

for (const way of [...SIGNED, ...SEALED])
  peerTest(
    `with credentials, ${way.name}: a blocked file fails alone, in both directions`,
    ['smbclient', 'smbd'],
    async (context) => {
      const { daemon, share, port } = await served(context, way.server, { sections: ACCOUNT });
      const here = scratch(context, 'here');
      writeFileSync(join(here, 'clean.bin'), randomBytes(300_001));
      writeFileSync(join(here, 'eicar.com'), EICAR);
      writeFileSync(join(share, 'bad.com'), EICAR);
      const commands = ['put eicar.com', 'get bad.com', 'put clean.bin', 'get clean.bin back.bin'];
      const said = smbclient(port, way.dialect, here, commands, way.client);
      assert.match(said, /VIRUS_INFECTED/);
      assert.ok(!existsSync(join(here, 'bad.com')) || readFileSync(join(here, 'bad.com')).length === 0, said);
      assert.equal(sha256(join(here, 'back.bin')), sha256(join(here, 'clean.bin')), said);
      assert.deepEqual(readdirSync(share).sort(), ['bad.com', 'clean.bin']);
      await daemon.record({ filename: 'eicar.com', action: 'blocked', direction: 'outgoing' });
      await daemon.record({ filename: 'bad.com', action: 'blocked', direction: 'incoming' });
    },
  );

for (const way of SIGNED)
  peerTest(
    `without credentials, ${way.name}: clean files cross, and a blocked one ends the connection`,
    ['smbclient', 'smbd'],
    async (context) => {
      const { daemon, share, port } = await served(context, way.server);
      const here = scratch(context, 'here');
      writeFileSync(join(here, 'clean.bin'), randomBytes(6_000_001));
      writeFileSync(join(here, 'eicar.com'), EICAR);
      writeFileSync(join(share, 'bad.com'), EICAR);
      const said = smbclient(port, way.dialect, here, ['put clean.bin', 'get clean.bin back.bin', 'put eicar.com']);
      assert.equal(sha256(join(here, 'back.bin')), sha256(join(here, 'clean.bin')), said);
      smbclient(port, way.dialect, here, ['get bad.com', 'get clean.bin never.bin']);
      assert.ok(!existsSync(join(here, 'never.bin')));
      assert.ok(!existsSync(join(here, 'bad.com')) || readFileSync(join(here, 'bad.com')).length === 0, said);
      assert.ok(!existsSync(join(share, 'eicar.com')) || readFileSync(join(share, 'eicar.com')).length === 0, said);
      await daemon.record({ filename: 'eicar.com', action: 'blocked', direction: 'outgoing' });
      await daemon.record({ filename: 'bad.com', action: 'blocked', direction: 'incoming' });
    },
  );

peerTest(
  'without credentials sealed sessions end, or pass unread where the profile says so',
  ['smbclient', 'smbd'],
  async (context) => {
    const here = scratch(context, 'here');
    writeFileSync(join(here, 'clean.bin'), randomBytes(300_001));
    const blocking = await served(context);
    smbclient(blocking.port, 'SMB3_11', here, ['put clean.bin'], ['--client-protection=encrypt']);
    assert.deepEqual(readdirSync(blocking.share), []);
    const passing = await served(context, [], { options: ['config cifs', 'set encrypted-session pass', 'end'] });
    smbclient(passing.port, 'SMB3_11', here, ['put clean.bin'], ['--client-protection=encrypt']);
    assert.equal(sha256(join(passing.share, 'clean.bin')), sha256(join(here, 'clean.bin')));
  },
);

peerTest(
  'SMB 1: what is newer in an offer goes on, and a client of SMB 1 alone is told that no dialect fits',
  ['smbclient', 'smbd'],
  async (context) => {
    const { daemon, share, port } = await served(context);
    const here = scratch(context, 'here');
    writeFileSync(join(here, 'a.txt'), 'hello');
    smbclient(port, 'SMB3_11', here, ['put a.txt'], ['--option=clientminprotocol=NT1']);
    assert.deepEqual(readdirSync(share), ['a.txt']);
    const said = smbclient(port, 'NT1', here, ['put a.txt b.txt'], ['--option=clientminprotocol=NT1']);
    assert.deepEqual(readdirSync(share), ['a.txt'], said);
    const traffic = await daemon.record({ type: 'traffic' });
    assert.ok(traffic.size > 0);
  },
);

const CLIENTS = [
  ...smbclientOf('SMB2_02'),
  ...smbclientOf('SMB3_11'),
  ...smbclientOf('SMB3_11', 'signed', [SIGNED_BY_CLIENT]),
  IMPACKET_2_02,
  IMPACKET_2_10,
  IMPACKET_3_00,
  ...IMPACKET_SHUFFLED.filter(({ oem }) => oem !== true),
  LIBSMBCLIENT,
];

for (const way of [
  { name: 'with credentials', clients: CLIENTS, server: [], sections: ACCOUNT },
  // Without them nobody reads what this one seals.
  {
    name: 'signed, without credentials',
    clients: CLIENTS.filter((client) => client !== IMPACKET_3_00),
    server: ['server signing = mandatory'],
    sections: '',
  },
])
  peerTest(
    `${way.name}: what clients of three makers exchange with the server is the same at both ends`,
    way.clients.flatMap(({ programs }) => programs),
    async (context) => {
      const { daemon, share, port } = await served(context, way.server, { sections: way.sections });
      const here = scratch(context, 'files');
      for (const client of way.clients) {
        const files = [0, 1, 65_536, 1_500_001].map((size) => {
          const file = join(here, `${client.name}-${size}.bin`);
          writeFileSync(file, randomBytes(size));
          return file;
        });
        client.exchange(context, port, files);
        for (const file of files) assert.equal(sha256(join(share, basename(file))), sha256(file), basename(file));
      }
      const place = ['-s', '/dev/null', '-p', String(port), '-U', `${USER}%${PASSWORD}`];
      assert.match(run('smbclient', [...place, '-L', '//127.0.0.1']), new RegExp(SHARE));
      assert.doesNotMatch(daemon.said(), /Error/);
      for (const record of daemon.records()) assert.notEqual(record.get('action'), 'blocked');
    },
  );

peerTest(
  'a file filter blocks by what a file is, with a record of the form that FortiOS writes',
  ['smbclient', 'smbd'],
  async (context) => {
    const { daemon, share, port } = await served(context, [], {
      sections: `config file-filter profile
    edit "filter"
        config rules
            edit "file01"
                set protocol cifs
                set action block
                set direction any
                set file-type "exe"
            next
        end
    next
end
`,
      policy: ['set file-filter-profile "filter"'],
    });
    const here = scratch(context, 'here');
    const program = Buffer.alloc(4096);
    program.write('MZ', 0, 'latin1');
    program.writeUInt32LE(0x80, 0x3c);
    program.write('PE\0\0', 0x80, 'latin1');
    writeFileSync(join(here, 'tool.exe'), program);
    writeFileSync(join(share, 'there.exe'), program);
    smbclient(port, 'SMB3_11', here, ['mkdir inner', 'cd inner', 'put tool.exe', 'get ..\\\\there.exe']);
    assert.deepEqual(readdirSync(join(share, 'inner')), []);
    assert.ok(!existsSync(join(here, 'there.exe')) || readFileSync(join(here, 'there.exe')).length === 0);
    const record = await daemon.record({
      subtype: 'file-filter',
      service: 'CIFS',
      action: 'blocked',
      direction: 'outgoing',
    });
    assert.equal(record.get('logid'), '1900064000');
    assert.equal(record.get('filename'), 'tool.exe');
    assert.equal(record.get('sharename'), `\\\\127.0.0.1\\${SHARE}`);
    assert.equal(record.get('pathname'), 'inner');
  },
);

peerTest(
  'what is too large to be kept is judged by its beginning, and passes or does not as the profile says',
  ['smbclient', 'smbd'],
  async (context) => {
    const here = scratch(context, 'here');
    const large = join(here, 'large.bin');
    writeFileSync(large, Buffer.concat([randomBytes(1 << 20), Buffer.alloc(69 << 20, 'x')]));
    const passing = await served(context);
    smbclient(passing.port, 'SMB3_11', here, ['put large.bin', 'get large.bin back.bin']);
    assert.equal(sha256(join(passing.share, 'large.bin')), sha256(large));
    assert.equal(sha256(join(here, 'back.bin')), sha256(large));
    const blocking = await served(context, [], { options: ['config cifs', 'set options oversize', 'end'] });
    smbclient(blocking.port, 'SMB3_11', here, ['put large.bin']);
    assert.deepEqual(readdirSync(blocking.share), []);
  },
);

peerTest(
  'many files in a session, shares listed over a pipe, and what else clients do',
  ['smbclient', 'smbd', 'rpcclient'],
  async (context) => {
    const { daemon, share, port } = await served(context);
    const here = scratch(context, 'here');
    for (let i = 0; i < 40; i++) writeFileSync(join(here, `f${i}.txt`), `file ${i}`);
    writeFileSync(join(here, 'f20.com'), EICAR);
    const said = smbclient(port, 'SMB3_11', here, [
      'prompt',
      'mput *',
      'rename f1.txt g1.txt',
      'mkdir d',
      'rename f2.txt d\\\\f2.txt',
      'del f3.txt',
      'ls',
      'allinfo f4.txt',
    ]);
    // 3.1.1 signs this even where nothing need be signed.
    smbclient(port, 'SMB3_11', here, ['get f5.txt back.txt', 'put f5.txt', `tcon ${SHARE}`, 'get f6.txt again.txt']);
    assert.equal(readFileSync(join(here, 'again.txt'), 'utf8'), 'file 6');
    assert.match(said, /g1\.txt/);
    const there = readdirSync(share);
    assert.equal(there.length, 39);
    assert.ok(!there.includes('f20.com') && there.includes('g1.txt') && !there.includes('f3.txt'));
    assert.deepEqual(readdirSync(join(share, 'd')), ['f2.txt']);
    const listed = run('smbclient', [
      '-s',
      '/dev/null',
      '-p',
      String(port),
      '-U',
      `${USER}%${PASSWORD}`,
      '-L',
      '//127.0.0.1',
    ]);
    assert.match(listed, new RegExp(SHARE));
    assert.equal(daemon.records().filter((record) => record.get('action') === 'blocked').length, 1);
    assert.doesNotMatch(daemon.said(), /Error/);
  },
);

peerTest(
  'the same session, played directly and recorded, has the same verdicts',
  ['smbclient', 'smbd', 'tcpdump'],
  async (context) => {
    const here = scratch(context, 'here');
    writeFileSync(join(here, 'eicar.com'), EICAR);
    writeFileSync(join(here, 'clean.bin'), randomBytes(100_000));
    const play = (port: number): void =>
      void smbclient(port, 'SMB3_11', here, [
        'put clean.bin',
        'put eicar.com',
        'get bad.com b.com',
        'get clean.bin c.bin',
      ]);
    const { daemon, share, port } = await served(context);
    writeFileSync(join(share, 'bad.com'), EICAR);
    play(port);
    await daemon.record({ type: 'traffic' });
    const live = daemon
      .records()
      .filter((record) => record.get('subtype') === 'virus')
      .map((record) => ({
        name: record.get('filename') ?? null,
        sha256: record.get('analyticscksum') ?? null,
        transfer: record.get('direction') === 'outgoing' ? 'upload' : 'download',
      }));
    const server = await freePort();
    writeFileSync(join(await startSamba(context, server), 'bad.com'), EICAR);
    const file = join(here, 'direct.pcap');
    const recording = await capture(context, server, file);
    play(server);
    await recording.stop();
    const { rows } = scan(context, file);
    assert.equal(live.length, 2);
    assert.deepEqual(inForm(live), inForm(rows.filter(({ verdict }) => verdict === 'infected')));
  },
);

peerTest(
  'no client of three makers stores an infected file, or gets one',
  CLIENTS.flatMap(({ programs }) => programs),
  async (context) => {
    const { daemon, share, port } = await served(context, [], { sections: ACCOUNT });
    const here = scratch(context, 'files');
    for (const client of CLIENTS) {
      const name = `${client.name}-evil.com`;
      writeFileSync(join(here, name), EICAR);
      // It fails as the client fails; what counts is what is there.
      try {
        client.exchange(context, port, [join(here, name)]);
      } catch (error) {
        assert.ok(error instanceof assert.AssertionError);
      }
      const record = await daemon.record({ filename: name, action: 'blocked', direction: 'outgoing' });
      assert.equal(record.get('virus'), 'EICAR_TEST_FILE');
    }
    for (const name of readdirSync(share)) assert.ok(!readFileSync(join(share, name)).includes(EICAR), name);
    assert.doesNotMatch(daemon.said(), /Error/);
  },
);

/** A relay on the way to `port` that changes one bit of what clients send in messages of `command`, in their last byte. */
async function tampering(context: TestContext, port: number, command: number): Promise<number> {
  const own = await freePort();
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    server.on('data', (bytes) => void client.write(bytes));
    client.on('data', (bytes) => {
      // Requests are small: each comes in a piece of its own.
      if (bytes.length > 68 && bytes.readUInt32BE(4) === 0xfe53_4d42 && bytes.readUInt16LE(16) === command)
        bytes[bytes.length - 1]! ^= 1;
      server.write(bytes);
    });
  });
  await new Promise<void>((resolve) => relay.listen(own, '127.0.0.1', resolve));
  context.after(() => void relay.close());
  return own;
}

peerTest(
  'with credentials, a signed request that was changed on its way ends the connection (SMB-018)',
  ['smbclient', 'smbd'],
  async (context) => {
    const { daemon, share, port } = await served(context, ['server signing = mandatory'], { sections: ACCOUNT });
    const here = scratch(context, 'here');
    writeFileSync(join(here, 'a.txt'), 'hello');
    const changed = await tampering(context, port, 5);
    const place = ['-s', '/dev/null', '-p', String(changed), '-U', `${USER}%${PASSWORD}`, `//127.0.0.1/${SHARE}`];
    const client = spawn('smbclient', [...place, '-c', `lcd "${here}"; put a.txt`], { stdio: 'ignore' });
    await once(client, 'exit');
    assert.deepEqual(readdirSync(share), []);
    await daemon.record({ msg: 'smb2-bad-signature' });
  },
);

peerTest(
  'a NEGOTIATE that was changed on its way is noticed by the ends, as it is without us (SMB-018)',
  ['smbclient', 'smbd'],
  async (context) => {
    const { share, port } = await served(context);
    const here = scratch(context, 'here');
    writeFileSync(join(here, 'a.txt'), 'hello');
    const changed = await tampering(context, port, 0);
    const place = ['-s', '/dev/null', '-p', String(changed), '-U', `${USER}%${PASSWORD}`, `//127.0.0.1/${SHARE}`];
    const client = spawn('smbclient', [...place, '-c', `lcd "${here}"; put a.txt`], { stdio: 'ignore' });
    await once(client, 'exit');
    assert.deepEqual(readdirSync(share), []);
  },
);
