// Real SMB servers and clients, captured on loopback and scanned by the program as a user runs it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startImpacket } from '../testing/peers/impacket.js';
import { capture, freePort, peerTest, scratch } from '../testing/peers/peers.js';
import { PASSWORD, SMBTORTURE, smbtorture, startSamba, USER } from '../testing/peers/samba.js';
import { EICAR, expectFile, infected, type Row, scan } from '../testing/peers/scanned.js';
import {
  DIALECTS,
  type Dialect,
  IMPACKET_2_02,
  IMPACKET_2_10,
  IMPACKET_3_00,
  IMPACKET_NT1,
  IMPACKET_SHUFFLED,
  LIBSMBCLIENT,
  SEALED,
  SIGNED,
  type SmbClient,
  smbclient,
  smbclientOf,
} from '../testing/peers/smb-clients.js';

const EICAR_BYTES = Buffer.from(EICAR);
const PAYLOADS: readonly (readonly [string, Buffer])[] = [
  ['random.bin', randomBytes(300_001)],
  ['eicar.com', EICAR_BYTES],
  ['eicar.com.gz', gzipSync(EICAR_BYTES)],
  ['a name with \u00e9.txt', Buffer.from('a line\r\n')],
  ['empty.dat', Buffer.alloc(0)],
];
const SECRET = ['--smb-secret', `${USER}%${PASSWORD}`];

interface Scanned {
  readonly rows: Row[];
  readonly log: string;
  readonly flows: string;
}

/** Records what `talk` does with the server, and scans it. */
async function recorded(
  context: TestContext,
  start: (context: TestContext, port: number) => Promise<unknown>,
  talk: (port: number) => void,
): Promise<(options?: readonly string[], change?: (capture: Buffer) => void) => Scanned> {
  const directory = scratch(context, 'smb');
  const port = await freePort();
  await start(context, port);
  const file = join(directory, 'smb.pcap');
  const recording = await capture(context, port, file);
  talk(port);
  await recording.stop();
  return (options = [], change = () => {}) => {
    const flows = join(directory, 'flows');
    const changed = join(directory, 'changed.pcap');
    const bytes = readFileSync(file);
    change(bytes);
    writeFileSync(changed, bytes);
    const { rows, log } = scan(context, changed, ['--flows', flows, ...options]);
    return { rows, log, flows: readFileSync(flows, 'utf8') };
  };
}

/** The payloads of one client, whose names begin with its own. */
function payloadsOf({ name: client, oem = false }: SmbClient): (readonly [string, Buffer])[] {
  return PAYLOADS.map(([name, bytes]) => [`${client}-${oem ? name.replace('\u00e9', 'e') : name}`, bytes]);
}

function written(context: TestContext, payloads: readonly (readonly [string, Buffer])[]): string[] {
  const directory = scratch(context, 'payloads');
  return payloads.map(([name, bytes]) => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return path;
  });
}

function expectAll(clients: readonly SmbClient[], { rows, log, flows }: Scanned): void {
  for (const client of clients)
    for (const transfer of ['upload', 'download'])
      for (const [name, bytes] of payloadsOf(client))
        expectFile(
          rows.filter((row) => row.transfer === transfer),
          name,
          bytes,
          { service: 'SMB', state: 'complete', verdict: infected(name) ? 'infected' : 'clean' },
        );
  const bad = PAYLOADS.filter(([name]) => infected(name)).length;
  assert.equal(log.trimEnd().split('\n').length, 2 * bad * clients.length, 'log records');
  for (const connection of flows.trimEnd().split('\n')) assert.match(connection, /"state":"decoded".*"anomalies":\{\}/);
}

async function expectFilesOf(
  context: TestContext,
  start: (context: TestContext, port: number) => Promise<unknown>,
  clients: readonly SmbClient[],
): Promise<void> {
  const scanned = await recorded(context, start, (port) => {
    for (const client of clients) client.exchange(context, port, written(context, payloadsOf(client)));
  });
  expectAll(clients, scanned());
  expectAll(clients, scanned(SECRET));
}

const PROGRAMS = ['smbd', 'smbpasswd', 'tcpdump'];
const programsOf = (clients: readonly SmbClient[]): string[] => clients.flatMap(({ programs }) => programs);

for (const dialect of DIALECTS) {
  const clients = [...smbclientOf(dialect), ...smbclientOf(dialect, 'signed', [SIGNED])];
  peerTest(
    `files that smbclient moves by ${dialect}, also signed, are found whole, with their viruses`,
    [...PROGRAMS, ...programsOf(clients)],
    (context) => expectFilesOf(context, startSamba, clients),
  );
}

const PYTHON_CLIENTS = [IMPACKET_NT1, IMPACKET_2_02, IMPACKET_2_10, ...IMPACKET_SHUFFLED, LIBSMBCLIENT];
peerTest(
  'files that impacket, also in pieces of any order, and libsmbclient move are found whole, with their viruses',
  [...PROGRAMS, ...programsOf(PYTHON_CLIENTS)],
  (context) => expectFilesOf(context, startSamba, PYTHON_CLIENTS),
);

for (const [dialect, clients] of [
  ['smb1', [...smbclientOf('NT1'), IMPACKET_NT1]],
  ['smb2', [...smbclientOf('SMB2_02'), IMPACKET_2_02]],
] as const)
  peerTest(
    `files that ${clients.map(({ name }) => name).join(', ')} move to and from impacket's server are found whole`,
    ['tcpdump', ...programsOf(clients)],
    (context) => expectFilesOf(context, (_, port) => startImpacket(context, port, dialect), clients),
  );

/** Those that seal: SMB 3 with each of its ciphers. */
const CIPHERS = ['AES-128-CCM', 'AES-128-GCM', 'AES-256-CCM', 'AES-256-GCM'];
const SEALING: readonly SmbClient[] = [
  ...(['SMB3_00', 'SMB3_02'] as const).flatMap((dialect) => smbclientOf(dialect, 'sealed', [SEALED])),
  ...CIPHERS.flatMap((cipher) =>
    smbclientOf('SMB3_11', cipher, [SEALED, `--option=clientsmb3encryptionalgorithms=${cipher}`]),
  ),
  IMPACKET_3_00,
];

peerTest(
  'sealed files are found whole with the password, and without it the connections say so',
  [...PROGRAMS, ...programsOf(SEALING)],
  async (context) => {
    const scanned = await recorded(
      context,
      (_, port) => startSamba(context, port, ['server smb encrypt = required']),
      (port) => {
        for (const client of SEALING) client.exchange(context, port, written(context, payloadsOf(client)));
      },
    );
    expectAll(SEALING, scanned(SECRET));
    for (const options of [[], ['--smb-secret', `${USER}%wrong`]]) {
      const { rows, flows } = scanned(options);
      assert.deepEqual(rows, []);
      const connections = flows.trimEnd().split('\n');
      assert.ok(connections.length >= SEALING.length);
      for (const connection of connections) assert.match(connection, /"state":"opaque","reason":"smb-encrypted"/);
    }
  },
);

peerTest(
  'a file that smbclient goes on with is no whole file, one that it writes over is, and a new name is a row',
  [...PROGRAMS, 'smbclient'],
  async (context) => {
    const [local, far] = [randomBytes(200_000), randomBytes(50_000)];
    // Where the far file ends smbclient goes on with its own, but writes from the first byte.
    const over = local.subarray(far.length);
    const scanned = await recorded(context, startSamba, (port) => {
      const [one] = written(context, [['parts.bin', local]]);
      for (const dialect of ['NT1', 'SMB3_11'] as const) {
        const here = scratch(context, 'parts');
        const name = `${dialect}-parts.bin`;
        writeFileSync(join(here, 'far.bin'), far);
        writeFileSync(join(here, name), local.subarray(0, 70_000));
        smbclient(port, dialect, here, [
          `put "${one}" "${name}"`,
          `reget "${name}" "${name}"`,
          `put far.bin "${dialect}-far.bin"`,
          `reput "${one}" "${dialect}-far.bin"`,
          `get "${dialect}-far.bin" over.bin`,
          `rename "${dialect}-far.bin" "${dialect}-far.exe"`,
        ]);
        assert.deepEqual(readFileSync(join(here, name)), local);
        assert.deepEqual(readFileSync(join(here, 'over.bin')), over);
      }
    });
    const { rows } = scanned();
    for (const dialect of ['NT1', 'SMB3_11']) {
      const whole: Partial<Row> = { state: 'complete', verdict: 'clean' };
      expectFile(rows, `${dialect}-parts.bin`, local, { ...whole, transfer: 'upload' });
      expectFile(rows, `${dialect}-far.bin`, far, { ...whole, transfer: 'upload' });
      const gotten = rows.filter((row) => row.name === `${dialect}-parts.bin` && row.transfer === 'download');
      assert.deepEqual(
        gotten.map((row) => [row.state, row.verdict]),
        [['truncated', 'unscannable']],
      );
      expectFile(rows, `${dialect}-far.exe`, Buffer.alloc(0), { ...whole, transfer: 'upload' });
      for (const transfer of ['upload', 'download'])
        expectFile(
          rows.filter((row) => row.transfer === transfer),
          `${dialect}-far.bin`,
          over,
          whole,
        );
    }
  },
);

/** How smbclient proves who it is. Outside of NTLMSSP, in SMB 1's own words, Samba's two ends do not agree on signatures. */
const V1 = '--option=clientntlmv2auth=no';
const PROOFS: readonly (readonly [Dialect, string, readonly string[]])[] = [
  ['NT1', 'NTLMv2', []],
  ['NT1', 'NTLMv1 with extended session security', [V1]],
  ['NT1', 'NTLMv1', [V1, '--option=ntlmssp_client:ntlm2=no']],
  ['NT1', 'NTLMv1 with an LM key', [V1, '--option=ntlmssp_client:ntlm2=no', '--option=ntlmssp_client:lm_key=yes']],
  ['SMB2_02', 'NTLMv2', []],
  ['SMB2_10', 'NTLMv1 with extended session security', [V1]],
  ['SMB3_02', 'NTLMv1', [V1, '--option=ntlmssp_client:ntlm2=no']],
  ['SMB3_11', 'NTLMv2', []],
  ['SMB3_11', 'NTLMv2 without key exchange', ['--option=ntlmssp_client:keyexchange=no']],
];

peerTest(
  'signatures fit however the session began, and show one bit that was changed',
  [...PROGRAMS, 'smbclient'],
  async (context) => {
    const marks = PROOFS.map((_, index) => Buffer.from(`the mark of connection ${index}.`));
    const scanned = await recorded(
      context,
      (_, port) => startSamba(context, port, ['ntlm auth = ntlmv1-permitted']),
      (port) => {
        for (const [index, [dialect, , options]] of PROOFS.entries()) {
          const [file = ''] = written(context, [[`file-${index}.txt`, marks[index] ?? Buffer.alloc(0)]]);
          const commands = [`put "${file}" file-${index}.txt`, `get file-${index}.txt gotten.txt`];
          smbclient(port, dialect, scratch(context, 'signed'), commands, [SIGNED, ...options]);
        }
      },
    );
    const change = (capture: Buffer): void => {
      for (const mark of marks) {
        const at = capture.indexOf(mark);
        assert.ok(at > 0);
        capture[at] = (capture[at] ?? 0) ^ 1;
      }
    };
    for (const [options, changed, expected] of [
      [SECRET, false, /"anomalies":\{\}/],
      [SECRET, true, /"anomalies":\{"smb[12]-bad-signature":1\}/],
      [[], true, /"anomalies":\{\}/],
    ] as const) {
      const connections = scanned(options, changed ? change : undefined)
        .flows.trimEnd()
        .split('\n');
      assert.equal(connections.length, PROOFS.length);
      for (const [index, connection] of connections.entries())
        assert.match(connection, expected, PROOFS[index]?.slice(0, 2).join(' by '));
    }
  },
);

peerTest(
  'a NEGOTIATE that was changed on its way shows: before 3.1.1 to anybody, then to who knows the password',
  [...PROGRAMS, 'smbclient'],
  async (context) => {
    const scanned = await recorded(context, startSamba, (port) => {
      for (const dialect of ['SMB3_02', 'SMB3_11'] as const)
        smbclient(port, dialect, scratch(context, 'changed'), ['dir']);
    });
    /** One bit of the client's GUID in each request. */
    const change = (capture: Buffer): void => {
      const mark = Buffer.from('fe534d4240', 'hex');
      for (let at = capture.indexOf(mark); at >= 0; at = capture.indexOf(mark, at + 1))
        if (capture.readUInt16LE(at + 12) === 0 && capture.readUInt32LE(at + 16) === 0)
          capture[at + 64 + 12] = (capture[at + 64 + 12] ?? 0) ^ 1;
    };
    const anomalies = (...scanning: Parameters<typeof scanned>): string[][] =>
      scanned(...scanning)
        .flows.trimEnd()
        .split('\n')
        .map((line) => Object.keys((JSON.parse(line) as { anomalies: object }).anomalies));
    assert.deepEqual(anomalies(SECRET), [[], []]);
    assert.deepEqual(anomalies(SECRET, change), [['smb2-negotiate-changed'], ['smb2-bad-signature']]);
    assert.deepEqual(anomalies([], change), [['smb2-negotiate-changed'], []]);
  },
);

/** Bound channels, who logs in again, compounds with mistakes in them; everything that reads and writes. */
const TORTURE: readonly (readonly [Dialect, readonly string[]])[] = [
  ['SMB3_11', ['bind1', 'bind2', 'reauth1', 'reauth2'].map((name) => `smb2.session.${name}`)],
  ['SMB3_00', ['smb2.session.bind1', 'smb2.session.bind2', 'smb2.session.reauth1']],
  ['SMB3_11', ['smb2.multichannel.generic', 'smb2.read', 'smb2.credits', 'smb2.compound.related9']],
  ['SMB3_11', ['smb2.compound.invalid1', 'smb2.compound.invalid2', 'smb2.compound.invalid4']],
  ['NT1', ['base.rw1', 'raw.read.read', 'raw.read.readx', 'raw.read.lockread', 'raw.write']],
];

peerTest(
  "signatures fit throughout Samba's own tests, on bound channels as well",
  [...PROGRAMS, SMBTORTURE],
  async (context) => {
    const scanned = await recorded(context, startSamba, (port) => {
      for (const [dialect, tests] of TORTURE) smbtorture(port, dialect, tests);
    });
    const { rows, flows } = scanned(SECRET);
    assert.ok(rows.length > 50);
    for (const connection of flows.trimEnd().split('\n')) {
      assert.match(connection, /"state":"decoded"/);
      assert.doesNotMatch(connection, /"smb[12]-(?:bad-signature|unsigned|negotiate-changed)"/);
    }
  },
);
