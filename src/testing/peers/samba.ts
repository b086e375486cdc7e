/** An smbd of the test's own: one port of loopback, one user, one share, every dialect from NT1 to SMB3_11. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ended, listening, pathOf, run, serverDirectory, UNPACKED } from './peers.js';

/** Samba lets in whom the system knows. */
export const USER = 'mail';
export const PASSWORD = 'only-for-this-test';
export const SHARE = 'share';

/** `settings` are lines of the global section of its configuration. Returns the directory that it shares. */
export async function startSamba(
  context: TestContext,
  port: number,
  settings: readonly string[] = [],
): Promise<string> {
  let stop = async (): Promise<void> => {};
  const base = serverDirectory(context, 'samba', () => stop());
  for (const name of ['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc', SHARE]) mkdirSync(join(base, name));
  run('chown', [`${USER}:`, join(base, SHARE)]);
  const configuration = join(base, 'smb.conf');
  const lines = [
    '[global]',
    `smb ports = ${port}`,
    'interfaces = lo',
    'bind interfaces only = yes',
    'disable netbios = yes',
    'server role = standalone server',
    'server min protocol = NT1',
    `passdb backend = tdbsam:${base}/private/passdb.tdb`,
    ...['private', 'lock', 'state', 'cache', 'pid'].map((name) => `${name} directory = ${base}/${name}`),
    `ncalrpc dir = ${base}/ncalrpc`,
    `log file = ${base}/log`,
    'load printers = no',
    'printing = bsd',
    'disable spoolss = yes',
    ...settings,
    `[${SHARE}]`,
    `path = ${base}/${SHARE}`,
    'read only = no',
  ];
  writeFileSync(configuration, `${lines.join('\n')}\n`);
  run('smbpasswd', ['-c', configuration, '-a', '-s', USER], { input: `${PASSWORD}\n${PASSWORD}\n` });
  // In the foreground, so that it is our own child; it ends its own.
  const smbd = spawn(pathOf('smbd') ?? 'smbd', ['-F', '-s', configuration], { stdio: 'ignore' });
  stop = () => ended(smbd);
  await listening(port);
  return join(base, SHARE);
}

export const SMBTORTURE = join(UNPACKED, 'usr/bin/smbtorture');

/** Runs tests of Samba's own against the server; all of them must pass. `dialect` is the newest one that is spoken. */
export function smbtorture(port: number, dialect: string, tests: readonly string[]): void {
  // It is only unpacked, and its libraries with it.
  const libraries = join(UNPACKED, 'usr/lib');
  const machine = readdirSync(libraries).find((name) => name.endsWith('-linux-gnu')) ?? '';
  const environment = `LD_LIBRARY_PATH=${join(libraries, machine, 'samba')}`;
  const settings = [
    '-s',
    '/dev/null',
    '-m',
    dialect,
    '--option=clientminprotocol=NT1',
    '--option=clientsigning=required',
  ];
  const place = ['-p', String(port), '-U', `${USER}%${PASSWORD}`, `//127.0.0.1/${SHARE}`];
  run('env', [environment, SMBTORTURE, ...settings, ...place, ...tests]);
}
