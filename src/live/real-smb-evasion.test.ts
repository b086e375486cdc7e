/**
 * The recipes of evasion by SMB, played by impacket through the daemon to Samba: whatever order, place, name or handle is taken, the test file is not
 * on the server afterwards, and nobody gets it from there.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from '../testing/peers/aiosmtpd.js';
import { type LogFields, startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { PASSWORD, SHARE, startSamba, USER } from '../testing/peers/samba.js';
import { EICAR } from '../testing/peers/scanned.js';

/** `tries` runs what must not succeed: an error of SMB is as good as bytes that are not the file's. */
const PRELUDE = `
import os, random, sys
from impacket import smb3, smb3structs
from impacket.smbconnection import SMBConnection, SessionError
from impacket.smb3structs import *
evil = open(sys.argv[2], 'rb').read()
random.seed(7)
def connect():
    client = SMBConnection('127.0.0.1', '127.0.0.1', sess_port=int(sys.argv[1]), preferredDialect=smb3structs.SMB2_DIALECT_21)
    client.login('${USER}', '${PASSWORD}')
    return client
client = connect()
tree = client.connectTree('${SHARE}')
def tries(what):
    try: return what()
    except (SessionError, smb3.SessionError) as error: print(error)
def write(name, pieces, fresh=True):
    file = client.createFile(tree, name) if fresh else client.openFile(tree, name, desiredAccess=FILE_WRITE_DATA)
    for at, data in pieces: client.writeFile(tree, file, data, at)
    client.closeFile(tree, file)
def read(name, places):
    file = client.openFile(tree, name, desiredAccess=FILE_READ_DATA)
    got = b''
    try:
        for at, count in places: got += client.readFile(tree, file, at, count)
    finally: client.closeFile(tree, file)
    assert not got, got
half = len(evil) // 2
singles = [(at, evil[at:at + 1]) for at in range(len(evil))]
`;

interface Recipe {
  readonly row: string;
  readonly what: string;
  readonly play: string;
}

const UPLOADS: readonly Recipe[] = [
  { row: 'SMB-001', what: 'bytes one by one, in order', play: `tries(lambda: write('a', singles))` },
  { row: 'SMB-001', what: 'from the last to the first', play: `tries(lambda: write('a', singles[::-1]))` },
  { row: 'SMB-001', what: 'in any order', play: `random.shuffle(singles)\ntries(lambda: write('a', singles))` },
  { row: 'SMB-002', what: 'over another first byte', play: `tries(lambda: write('a', [(0, b'.'), (0, evil)]))` },
  {
    row: 'SMB-003',
    what: 'its middle written over what is clean',
    play: `clean = evil[:20] + b'-' * 20 + evil[40:]
tries(lambda: write('a', [(0, clean), (20, evil[20:40])]))
tries(lambda: write('b', [(0, clean)]))
tries(lambda: write('b', [(20, evil[20:40])], fresh=False))`,
  },
  {
    row: 'SMB-003',
    what: 'one half after the other, each by a handle of its own',
    play: `tries(lambda: write('a', [(0, evil[:half])]))
tries(lambda: write('a', [(half, evil[half:])], fresh=False))`,
  },
  {
    row: 'SMB-003',
    what: 'halves by two handles at once',
    play: `one = client.createFile(tree, 'a', shareMode=7)
two = client.openFile(tree, 'a', desiredAccess=FILE_WRITE_DATA, shareMode=7)
client.writeFile(tree, one, evil[:half], 0)
client.writeFile(tree, two, evil[half:], half)
tries(lambda: client.closeFile(tree, one))
tries(lambda: client.closeFile(tree, two))`,
  },
  {
    row: 'SMB-004',
    what: 'a byte far out first',
    play: `tries(lambda: write('a', [(1 << 32, b'.'), (0, evil)]))`,
  },
  {
    row: 'SMB-004',
    what: 'with a tail that is cut off again',
    play: `def cut(name):
    file = client.createFile(tree, name)
    client.writeFile(tree, file, evil + b'tail' * 99, 0)
    size = len(evil).to_bytes(8, 'little')
    client._SMBConnection.setInfo(tree, file, size, SMB2_0_INFO_FILE, SMB2_FILE_END_OF_FILE_INFO)
    client.closeFile(tree, file)
tries(lambda: cut('a'))`,
  },
  {
    row: 'SMB-012',
    what: 'a file that is to be gone on close',
    play: `def temporary():
    file = client.createFile(tree, 'a', desiredAccess=DELETE | FILE_READ_DATA | FILE_WRITE_DATA, shareMode=7, creationOption=FILE_NON_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE)
    client.writeFile(tree, file, evil, 0)
    other = client.openFile(tree, 'a', desiredAccess=FILE_READ_DATA, shareMode=7)
    client.readFile(tree, other, 0, 100)
tries(temporary)`,
  },
  {
    row: 'SMB-013',
    what: 'renamed while it is written, and after',
    play: `tries(lambda: write('a.txt', [(0, evil)]))
tries(lambda: client.rename('${SHARE}', 'a.txt', 'a.exe'))`,
  },
  {
    row: 'SMB-014',
    what: 'under names that are odd',
    play: `for name in ['a.txt:evil.exe', 'a.txt::$DATA', 'a.exe.', 'a.exe ', 'A~1.EXE', 'a.txt:$I30:$INDEX_ALLOCATION']:
    tries(lambda: write(name, [(0, evil)]))`,
  },
  {
    row: 'SMB-022',
    what: 'and gone before CLOSE',
    play: `file = client.createFile(tree, 'cut.com')
client.writeFile(tree, file, evil, 0)
os._exit(0)`,
  },
  {
    row: 'SMB-022',
    what: 'logged off, or the tree left, before CLOSE',
    play: `file = client.createFile(tree, 'a')
client.writeFile(tree, file, evil, 0)
tries(lambda: client.disconnectTree(tree))
tree = client.connectTree('${SHARE}')
file = client.createFile(tree, 'b')
client.writeFile(tree, file, evil, 0)
tries(client.logoff)`,
  },
];

const DOWNLOADS: readonly Recipe[] = [
  { row: 'SMB-011', what: 'whole', play: `tries(lambda: read('bad.com', [(0, 4096)]))` },
  {
    row: 'SMB-011',
    what: 'byte by byte, in any order',
    play: `places = [(at, 1) for at in range(68)]
random.shuffle(places)
for place in places: tries(lambda: read('bad.com', [place]))`,
  },
  {
    row: 'SMB-011',
    what: 'by two handles and two clients',
    play: `tries(lambda: read('bad.com', [(0, half)]))
tries(lambda: read('bad.com', [(half, half)]))
client = connect()
tree = client.connectTree('${SHARE}')
tries(lambda: read('bad.com', [(half, half)]))`,
  },
  {
    row: 'SMB-012',
    what: 'after it was given another name',
    play: `tries(lambda: client.rename('${SHARE}', 'bad.com', 'good.txt'))
tries(lambda: read('good.txt', [(0, 4096)]))
tries(lambda: client.rename('${SHARE}', 'good.txt', 'bad.com'))`,
  },
  {
    row: 'SMB-015',
    what: 'by a copy that the server makes',
    play: `source = client.openFile(tree, 'bad.com', desiredAccess=FILE_READ_DATA)
target = client.createFile(tree, 'copy.com')
key = tries(lambda: client._SMBConnection.ioctl(tree, source, FSCTL_SRV_REQUEST_RESUME_KEY, 1, b'', 0, 32))
if key:
    ask = key[:24] + b'\\1\\0\\0\\0\\0\\0\\0\\0' + bytes(16) + b'\\x44\\0\\0\\0\\0\\0\\0\\0'
    tries(lambda: client._SMBConnection.ioctl(tree, target, FSCTL_SRV_COPYCHUNK, 1, ask, 0, 12))
tries(lambda: client.closeFile(tree, target))
tries(lambda: read('bad.com', [(0, 4096)]))`,
  },
];

/** What lies in the share and holds the test file, but for what was put there. */
function infected(share: string): string[] {
  return readdirSync(share).filter((name) => name !== 'bad.com' && holdsEicar(join(share, name)));
}

function holdsEicar(path: string): boolean {
  // A file with a hole of gigabytes is not read whole.
  const { length } = EICAR;
  const head = run('head', ['-c', String(1 << 20), path]);
  return length > 0 && head.includes(EICAR);
}

/** Found, or not scannable: of half a file that was there before nobody knows the other half where nothing can be asked for. */
const isBlocked = (record: LogFields): boolean =>
  record.get('virus') === 'EICAR_TEST_FILE' || record.get('eventtype') === 'scanerror';

/** `signed`: and nobody has the key: what is infected ends the connection, and a recipe with it. */
async function played(context: TestContext, recipes: readonly Recipe[], signed = false): Promise<void> {
  const server = await freePort();
  const share = await startSamba(context, server, signed ? ['server signing = mandatory'] : []);
  const daemon = await startDaemon(context, { doors: [{ kind: 'cifs', to: server }] });
  const here = scratch(context, 'here');
  const evil = join(here, 'evil');
  writeFileSync(evil, EICAR);
  writeFileSync(join(share, 'bad.com'), EICAR, { mode: 0o666 });
  for (const { row, what, play } of recipes)
    await context.test(`${row}: ${what}`, () => {
      const before = daemon.records().filter(isBlocked).length;
      const said = run(PYTHON, ['-c', `${PRELUDE}${play}\n`, String(daemon.ports[0]), evil], {
        statuses: signed ? [0, 1] : [0],
      });
      assert.deepEqual(infected(share), [], said);
      assert.ok(existsSync(join(share, 'bad.com')), said);
      assert.ok(daemon.records().filter(isBlocked).length > before, said);
    });
  assert.doesNotMatch(daemon.said(), /Error/);
  assert.equal(readFileSync(join(share, 'bad.com'), 'utf8'), EICAR);
}

peerTest('no way of writing puts an infected file on the server', ['smbd', 'impacket-netview'], (context) =>
  played(context, UPLOADS),
);

peerTest('no way of reading gets an infected file from the server', ['smbd', 'impacket-netview'], (context) =>
  played(context, DOWNLOADS),
);

peerTest(
  'nor does any way of writing where messages are signed and nobody has the key',
  ['smbd', 'impacket-netview'],
  (context) => played(context, UPLOADS, true),
);
