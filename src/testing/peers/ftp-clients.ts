/** Programs that store files with FTP and fetch them again, each in a way of its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { type FtpServer, type FtpTls, PASSWORD } from './ftp-servers.js';
import { run, scratch } from './peers.js';

export interface FtpClient {
  readonly name: string;
  readonly programs: readonly string[];
  /** Stores `files` under their own names and fetches them again. `keys`: where the keys of its TLS sessions go. */
  exchange(context: TestContext, server: FtpServer, tls: FtpTls, files: readonly string[], keys: string): void;
}

function urlOf({ address, port, directory }: FtpServer, tls: FtpTls, file: string): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${tls === 'implicit' ? 'ftps' : 'ftp'}://${host}:${port}${directory}${basename(file)}`;
}

function curl(keys: string, args: readonly string[]): void {
  run('env', [`SSLKEYLOGFILE=${keys}`, 'curl', '-sS', '--insecure', ...args]);
}

/** `way`: how data connections are asked for. */
function curlOf(name: string, way: readonly string[]): FtpClient {
  return {
    name: `curl-${name}`,
    programs: ['curl'],
    exchange(_context, server, tls, files, keys) {
      const secure = tls === 'explicit' ? ['--ssl-reqd'] : [];
      const account = ['--user', `${server.user}:${PASSWORD}`, ...secure, ...way];
      for (const file of files) {
        curl(keys, [...account, '--upload-file', file, urlOf(server, tls, file)]);
        curl(keys, [...account, '--output', '/dev/null', urlOf(server, tls, file)]);
      }
    },
  };
}

/** One session for all files. */
const LFTP: FtpClient = {
  name: 'lftp',
  programs: ['lftp'],
  exchange(context, server, tls, files, keys) {
    const gotten = scratch(context, 'gotten');
    lftp(server, tls, keys, [
      ...files.map((file) => `put -O ${server.directory} ${file}`),
      ...files.map((file) => `get -O ${gotten} ${server.directory}${basename(file)}`),
    ]);
  },
};

/** Runs `commands` in lftp; a failure of any ends it. */
export function lftp(server: FtpServer, tls: FtpTls, keys: string, commands: readonly string[]): void {
  const { address, port, user } = server;
  const settings = [
    'set cmd:fail-exit yes',
    'set net:max-retries 2',
    'set net:timeout 10',
    'set ssl:verify-certificate no',
    `set ftp:ssl-allow ${tls === 'none' ? 'no' : 'yes'}`,
    `set ftp:ssl-force ${tls === 'none' ? 'no' : 'yes'}`,
    'set ftp:ssl-protect-data yes',
    'set xfer:clobber yes',
  ];
  const host = address.includes(':') ? `[${address}]` : address;
  const open = `open -u ${user},${PASSWORD} ${tls === 'implicit' ? 'ftps' : 'ftp'}://${host}:${port}`;
  run('env', [`SSLKEYLOGFILE=${keys}`, 'lftp', '-c', [...settings, open, ...commands].join('; ')]);
}

/** Python's own, in passive or active mode, with PROT P within TLS. */
function ftplibOf(name: string, passive: boolean): FtpClient {
  return {
    name: `ftplib-${name}`,
    programs: [PYTHON],
    exchange(context, server, tls, files, keys) {
      ftplib(
        context,
        server,
        tls,
        keys,
        [
          `ftp.set_pasv(${passive ? 'True' : 'False'})`,
          'for file in sys.argv[1:]:',
          `    name = '${server.directory}' + os.path.basename(file)`,
          "    ftp.storbinary('STOR ' + name, open(file, 'rb'))",
          "    ftp.retrbinary('RETR ' + name, lambda data: None)",
        ],
        files,
      );
    },
  };
}

/** Runs lines of Python in which `ftp` is a session that has logged in. */
export function ftplib(
  context: TestContext,
  server: FtpServer,
  tls: FtpTls,
  keys: string,
  lines: readonly string[],
  files: readonly string[] = [],
): void {
  const script = join(scratch(context, 'ftplib'), 'script.py');
  const secure = [
    'context = ssl.create_default_context()',
    'context.check_hostname, context.verify_mode = False, ssl.CERT_NONE',
    `context.keylog_filename = '${keys}'`,
    'ftp = ftplib.FTP_TLS(context=context)',
  ];
  writeFileSync(
    script,
    [
      'import ftplib, io, os, ssl, sys',
      ...(tls === 'none' ? ['ftp = ftplib.FTP()'] : secure),
      `ftp.connect('${server.address}', ${server.port})`,
      `ftp.login('${server.user}', '${PASSWORD}')`,
      ...(tls === 'none' ? [] : ['ftp.prot_p()']),
      ...lines,
      'ftp.quit()',
      '',
    ].join('\n'),
  );
  run(PYTHON, [script, ...files]);
}

/** The BSD client, which has no TLS here. */
const TNFTP: FtpClient = {
  name: 'tnftp',
  programs: ['tnftp'],
  exchange(context, server, _tls, files) {
    const gotten = scratch(context, 'gotten');
    const commands = [
      `open ${server.address} ${server.port}`,
      `user ${server.user} ${PASSWORD}`,
      'binary',
      ...files.flatMap((file) => [
        `put ${file} ${server.directory}${basename(file)}`,
        `get ${server.directory}${basename(file)} ${join(gotten, basename(file))}`,
      ]),
      'bye',
    ];
    run('tnftp', ['-n', '-i', '-V'], { input: `${commands.join('\n')}\n` });
    // It ends well whatever happened.
    for (const file of files)
      if (!readFileSync(join(gotten, basename(file))).equals(readFileSync(file)))
        throw new Error(`tnftp: ${file} came back changed`);
  },
};

/** Without TLS. */
export const FTP_CLIENTS: readonly FtpClient[] = [
  curlOf('epsv', []),
  curlOf('pasv', ['--disable-epsv']),
  curlOf('eprt', ['--ftp-port', '-']),
  curlOf('port', ['--ftp-port', '-', '--disable-eprt']),
  LFTP,
  ftplibOf('passive', true),
  ftplibOf('active', false),
  TNFTP,
];

const TLS12 = ['--tls-max', '1.2'];

/** Those that speak TLS and log its keys, with AUTH TLS and from the beginning. */
export const FTPS_CLIENTS: Readonly<Record<'explicit' | 'implicit', readonly FtpClient[]>> = {
  explicit: [curlOf('tls', []), curlOf('tls12', TLS12), LFTP, ftplibOf('tls', true)],
  implicit: [curlOf('ftps', []), curlOf('ftps12', TLS12)],
};
