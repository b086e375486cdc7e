/** Programs that put files on a share and get them from it, each in a way of its own. */
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { run, scratch } from './peers.js';
import { PASSWORD, SHARE, USER } from './samba.js';

export interface SmbClient {
  readonly name: string;
  readonly programs: readonly string[];
  /** It names files in a code page of its choosing: of what is not ASCII nobody knows what it is. */
  readonly oem?: boolean;
  /** Puts `files` on the share under their own names, and gets them again. */
  exchange(context: TestContext, port: number, files: readonly string[]): void;
}

export const DIALECTS = ['NT1', 'SMB2_02', 'SMB2_10', 'SMB3_00', 'SMB3_02', 'SMB3_11'] as const;
export type Dialect = (typeof DIALECTS)[number];
export const SIGNED = '--option=clientsigning=required';
export const SEALED = '--client-protection=encrypt';

/** Runs `commands` in smbclient; its directory is `here`. */
export function smbclient(
  port: number,
  dialect: Dialect,
  here: string,
  commands: readonly string[],
  options: readonly string[] = [],
): void {
  const account = `${USER}%${PASSWORD}`;
  const settings = ['-s', '/dev/null', '-m', dialect, '--option=clientminprotocol=NT1', ...options];
  const place = ['-p', String(port), '-U', account, '-D', '\\', `//127.0.0.1/${SHARE}`];
  run('smbclient', [...settings, ...place, '-c', [`lcd "${here}"`, ...commands].join('; ')]);
}

/** smbclient with one file a command, and with all files of a directory by one command. */
export function smbclientOf(dialect: Dialect, way?: string, options: readonly string[] = []): SmbClient[] {
  const name = ['smbclient', dialect, ...(way === undefined ? [] : [way])].join('-');
  const each: SmbClient = {
    name,
    programs: ['smbclient'],
    exchange(context, port, files) {
      const gotten = scratch(context, 'gotten');
      const commands = files.flatMap((file) => [
        `put "${file}" "${basename(file)}"`,
        `get "${basename(file)}" "${join(gotten, basename(file))}"`,
      ]);
      smbclient(port, dialect, gotten, commands, options);
    },
  };
  const all: SmbClient = {
    name: `${name}-mput`,
    programs: ['smbclient'],
    exchange(context, port, files) {
      const base = scratch(context, 'all');
      const [putting, gotten] = [join(base, 'putting'), join(base, 'gotten')];
      for (const directory of [putting, gotten]) mkdirSync(directory);
      run('cp', [...files, putting]);
      smbclient(port, dialect, putting, ['prompt', 'mput *', `lcd "${gotten}"`, `mget ${all.name}-*`], options);
    },
  };
  return [each, all];
}

const python = (name: string, source: string, programs: readonly string[] = []): SmbClient => ({
  name,
  programs: [PYTHON, ...programs],
  exchange(_, port, files) {
    run(PYTHON, ['-c', source, String(port), ...files]);
  },
});

const IN_ORDER = `
    client.putFile('${SHARE}', name, io.BytesIO(data).read)
    gotten = io.BytesIO()
    client.getFile('${SHARE}', name, gotten.write)
    assert gotten.getvalue() == data, name`;

/** In pieces of any order, over a first byte that is another. */
const SHUFFLED = `
    tree = client.connectTree('${SHARE}')
    size = max(1, len(data) // 50)
    places = list(range(0, len(data), size))
    random.shuffle(places)
    file = client.createFile(tree, name)
    if data: client.writeFile(tree, file, b'.', 0)
    for at in places: client.writeFile(tree, file, data[at:at + size], at)
    client.closeFile(tree, file)
    random.shuffle(places)
    file = client.openFile(tree, name)
    for at in places: assert client.readFile(tree, file, at, size) == data[at:at + size], name
    client.closeFile(tree, file)`;

/** impacket asks for `dialect` alone. */
const impacket = (name: string, dialect: string, moves = IN_ORDER): SmbClient =>
  python(
    name,
    `
import io, os, random, sys
from impacket import smb, smb3structs
from impacket.smbconnection import SMBConnection
client = SMBConnection('127.0.0.1', '127.0.0.1', sess_port=int(sys.argv[1]), preferredDialect=${dialect})
client.login('${USER}', '${PASSWORD}')
for path in sys.argv[2:]:
    name = os.path.basename(path)
    data = open(path, 'rb').read()${moves}
client.logoff()`,
    // Nothing that is run here, but it comes with the library.
    ['impacket-netview'],
  );

export const IMPACKET_NT1: SmbClient = { ...impacket('impacket-NT1', 'smb.SMB_DIALECT'), oem: true };
export const IMPACKET_2_02 = impacket('impacket-2.02', 'smb3structs.SMB2_DIALECT_002');
export const IMPACKET_2_10 = impacket('impacket-2.10', 'smb3structs.SMB2_DIALECT_21');
/** It seals all that it says once it has logged in, where the server can. */
export const IMPACKET_3_00 = impacket('impacket-3.00', 'smb3structs.SMB2_DIALECT_30');

export const IMPACKET_SHUFFLED: readonly SmbClient[] = [
  { ...impacket('impacket-NT1-shuffled', 'smb.SMB_DIALECT', SHUFFLED), oem: true },
  impacket('impacket-2.10-shuffled', 'smb3structs.SMB2_DIALECT_21', SHUFFLED),
];

/** In pieces of odd sizes. */
export const LIBSMBCLIENT = python(
  'libsmbclient',
  `
import os, smbc, sys
context = smbc.Context()
context.functionAuthData = lambda server, share, group, user, password: ('WORKGROUP', '${USER}', '${PASSWORD}')
for path in sys.argv[2:]:
    place = 'smb://127.0.0.1:%s/${SHARE}/%s' % (sys.argv[1], os.path.basename(path))
    data = open(path, 'rb').read()
    file = context.open(place, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for at in range(0, len(data), 7001): file.write(data[at:at + 7001])
    file.close()
    file = context.open(place, os.O_RDONLY)
    gotten = b''
    while len(gotten) < len(data): gotten += file.read(5003)
    assert gotten == data, path
    file.close()`,
);
