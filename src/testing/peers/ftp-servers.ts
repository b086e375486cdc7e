/**
 * FTP servers of the test's own: each on an address of loopback that no other test uses, so that data connections are told from others
 * whoever opens them, with one user whose directory may be read and written.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Certificate, selfSigned } from './certificate.js';
import { ended, freePort, listening, pathOf, run, serverDirectory, UNPACKED } from './peers.js';

export const PASSWORD = 'only-for-this-test';

export interface FtpServer {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** As clients see it: where files may be put; with its slashes. */
  readonly directory: string;
}

/** Whether TLS is offered (AUTH TLS), begins each connection, or is not there. */
export type FtpTls = 'none' | 'explicit' | 'implicit';

export interface FtpServerKind {
  readonly name: string;
  readonly programs: readonly string[];
  /** `demands`: what it asks of the TLS of data connections; nothing, and TLS 1.2 with vsftpd, when left out. `at`: its address. */
  start(context: TestContext, tls: FtpTls, demands?: FtpsDemands, at?: string): Promise<FtpServer>;
}

export interface FtpsDemands {
  /** They resume the session of the control connection. */
  readonly reuse: boolean;
  readonly most: 'TLSv1.2' | 'TLSv1.3';
}

const MAIL_USER = 8;

export const VSFTPD: FtpServerKind = {
  name: 'vsftpd',
  programs: ['vsftpd'],
  async start(context, tls, demands, at) {
    // It knows system users and anonymous ones: its user is anonymous.
    const { address, port, base, run: begin } = await place(context, 'vsftpd', at);
    const root = join(base, 'root');
    for (const name of ['root', 'empty', 'root/files']) mkdirSync(join(base, name));
    run('chown', ['mail:', join(root, 'files')]);
    const { key, certificate } = certificateOf(base, tls);
    const configuration = join(base, 'vsftpd.conf');
    writeFileSync(
      configuration,
      `${[
        ...(address.includes(':')
          ? ['listen=NO', 'listen_ipv6=YES', `listen_address6=${address}`]
          : ['listen=YES', `listen_address=${address}`]),
        'background=NO',
        'seccomp_sandbox=NO',
        `listen_port=${port}`,
        'anonymous_enable=YES',
        'no_anon_password=NO',
        'ftp_username=mail',
        `anon_root=${root}`,
        'write_enable=YES',
        'anon_upload_enable=YES',
        'anon_mkdir_write_enable=YES',
        'anon_other_write_enable=YES',
        'anon_world_readable_only=NO',
        'anon_umask=022',
        'ascii_upload_enable=YES',
        'ascii_download_enable=YES',
        'xferlog_enable=NO',
        `secure_chroot_dir=${base}/empty`,
        ...(tls === 'none'
          ? []
          : [
              'ssl_enable=YES',
              'allow_anon_ssl=YES',
              `rsa_cert_file=${certificate}`,
              `rsa_private_key_file=${key}`,
              `require_ssl_reuse=${demands?.reuse === true ? 'YES' : 'NO'}`,
              `implicit_ssl=${tls === 'implicit' ? 'YES' : 'NO'}`,
            ]),
      ].join('\n')}\n`,
    );
    // With TLS 1.3 it takes an upload for failed, now and then, when the client is gone before its session tickets are.
    const openssl = join(base, 'openssl.cnf');
    writeFileSync(openssl, OPENSSL_12);
    await begin([configuration], demands?.most === 'TLSv1.3' ? {} : { OPENSSL_CONF: openssl });
    return { address, port, user: 'anonymous', directory: '/files/' };
  },
};

/** Settings of OpenSSL that allow no more than TLS 1.2. */
const OPENSSL_12 = `openssl_conf = conf
[conf]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
MaxProtocol = TLSv1.2
`;

export const PROFTPD: FtpServerKind = {
  name: 'ProFTPD',
  programs: ['proftpd'],
  async start(context, tls, demands, at) {
    const { address, port, base, run: begin } = await place(context, 'proftpd', at);
    const users = join(base, 'users');
    const home = homeIn(base);
    writeFileSync(users, `tester:${sha512(PASSWORD)}:${MAIL_USER}:${MAIL_USER}::${home}:/bin/sh\n`, { mode: 0o600 });
    const { key, certificate } = certificateOf(base, tls);
    const configuration = join(base, 'proftpd.conf');
    writeFileSync(
      configuration,
      `${[
        `ModulePath ${join(UNPACKED, 'usr/lib/proftpd')}`,
        ...(tls === 'none' ? [] : ['LoadModule mod_tls.c']),
        'ServerName "test"',
        'ServerType standalone',
        `DefaultAddress ${address}`,
        'SocketBindTight on',
        `Port ${port}`,
        `UseIPv6 ${address.includes(':') ? 'on' : 'off'}`,
        'UseReverseDNS off',
        'User mail',
        'Group mail',
        'AuthOrder mod_auth_file.c',
        `AuthUserFile ${users}`,
        'RequireValidShell off',
        'DefaultRoot ~',
        'WtmpLog off',
        'AllowStoreRestart on',
        'AllowRetrieveRestart on',
        'AllowOverwrite on',
        `ScoreboardFile ${base}/scoreboard`,
        `PidFile ${base}/pid`,
        '<IfModule mod_delay.c>',
        'DelayEngine off',
        '</IfModule>',
        `SystemLog ${base}/log`,
        ...(tls === 'none'
          ? []
          : [
              '<IfModule mod_tls.c>',
              'TLSEngine on',
              `TLSRSACertificateFile ${certificate}`,
              `TLSRSACertificateKeyFile ${key}`,
              ...(demands?.reuse === true && tls !== 'implicit'
                ? []
                : [
                    `TLSOptions ${demands?.reuse === true ? '' : 'NoSessionReuseRequired '}${tls === 'implicit' ? 'UseImplicitSSL' : ''}`,
                  ]),
              ...(demands === undefined
                ? []
                : [`TLSProtocol ${demands.most === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.2 TLSv1.3'}`]),
              `TLSLog ${base}/tls-log`,
              '</IfModule>',
            ]),
      ].join('\n')}\n`,
    );
    await begin(['-n', '-q', '-c', configuration]);
    return { address, port, user: 'tester', directory: '/' };
  },
};

export const PURE_FTPD: FtpServerKind = {
  name: 'Pure-FTPd',
  programs: ['pure-ftpd', 'pure-pw'],
  async start(context, tls, _demands, at) {
    const { address, port, base, run: begin } = await place(context, 'pure-ftpd', at);
    const home = homeIn(base);
    const users = join(base, 'users');
    const database = join(base, 'users.pdb');
    // pure-pw's own hashes take seconds each time they are checked.
    writeFileSync(users, `tester:${sha512(PASSWORD)}:${MAIL_USER}:${MAIL_USER}::${home}/./::::::::::::\n`);
    run('pure-pw', ['mkdb', database, '-f', users]);
    const { key, certificate } = certificateOf(base, tls);
    if (tls !== 'none') run('sh', ['-c', `cat '${key}' '${certificate}' >'${base}/both.pem'`]);
    const secure = tls === 'none' ? [] : [`--certfile=${base}/both.pem`, '--tls=1'];
    const common = ['--login', `puredb:${database}`, '--dontresolve', '--pidfile', `${base}/pid`, '--minuid', '1'];
    await begin(['--bind', `${address},${port}`, ...common, '--noanonymous', ...secure]);
    return { address, port, user: 'tester', directory: '/' };
  },
};

/** As crypt(3) writes it. */
function sha512(password: string): string {
  return run('openssl', ['passwd', '-6', password]).trim();
}

function homeIn(base: string): string {
  const home = join(base, 'home');
  mkdirSync(home);
  run('chown', ['mail:mail', home]);
  return home;
}

function certificateOf(base: string, tls: FtpTls): Certificate {
  return tls === 'none' ? { key: '', certificate: '' } : selfSigned(base);
}

/** Where a server will be, and how its program is started there. */
async function place(
  context: TestContext,
  program: string,
  address = `127.${randomInt(16, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`,
): Promise<{
  address: string;
  port: number;
  base: string;
  run(args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<void>;
}> {
  const port = await freePort();
  let stop = async (): Promise<void> => {};
  const base = serverDirectory(context, program, () => stop());
  chmodSync(base, 0o755);
  return {
    address,
    port,
    base,
    async run(args, environment = {}) {
      // In the foreground, so that it is our own child. Some close every file that there might be, for each session.
      const few = 'ulimit -n 1024; exec "$0" "$@"';
      const server = spawn('/bin/sh', ['-c', few, pathOf(program) ?? program, ...args], {
        stdio: 'ignore',
        env: { ...process.env, ...environment },
      });
      stop = () => ended(server);
      await listening(port, address);
    },
  };
}
