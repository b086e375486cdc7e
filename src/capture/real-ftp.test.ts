// Real FTP servers and clients, captured on loopback and scanned by the program as a user runs it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FTP_CLIENTS, FTPS_CLIENTS, type FtpClient, ftplib, lftp } from '../testing/peers/ftp-clients.js';
import {
  type FtpServer,
  type FtpServerKind,
  type FtpTls,
  PASSWORD,
  PROFTPD,
  PURE_FTPD,
  VSFTPD,
} from '../testing/peers/ftp-servers.js';
import { capture, peerTest, run, scratch } from '../testing/peers/peers.js';
import { EICAR, infected, type Row, scan, sha256 } from '../testing/peers/scanned.js';

/** One file of each kind; `mark` begins the names, so that each client's are its own. */
function filesOf(directory: string, mark: string): string[] {
  const contents: Readonly<Record<string, Buffer>> = {
    'large.bin': randomBytes(700_000),
    'eicar.com': Buffer.from(EICAR),
    'eicar.com.gz': gzipSync(Buffer.from(EICAR)),
    'lines.txt': Buffer.from('one\r\ntwo\n\nthree\r'),
    'empty.dat': Buffer.alloc(0),
  };
  return Object.entries(contents).map(([name, bytes]) => {
    const path = join(directory, `${mark}-${name}`);
    writeFileSync(path, bytes);
    return path;
  });
}

/** A server, its address recorded; `stop` gives the rows and the log of what went on. */
async function recorded(
  context: TestContext,
  kind: FtpServerKind,
  tls: FtpTls,
): Promise<{ server: FtpServer; keys: string; directory: string; stop(): Promise<{ rows: Row[]; log: string }> }> {
  const directory = scratch(context, 'ftp');
  const keys = join(directory, 'keys');
  writeFileSync(keys, '');
  const server = await kind.start(context, tls);
  const file = join(directory, 'ftp.pcap');
  const recording = await capture(context, `host ${server.address}`, file);
  return {
    server,
    keys,
    directory,
    async stop() {
      await recording.stop();
      const seen = scan(context, file, tls === 'none' ? [] : ['--keylog', keys]);
      assert.ok(!seen.log.includes(PASSWORD));
      return seen;
    },
  };
}

/** That a file was seen whole in one direction. */
function expectMoved(
  rows: readonly Row[],
  service: string,
  path: string,
  transfer: string,
  name = basename(path),
): void {
  const hash = sha256(readFileSync(path));
  const row = rows.find((one) => one.name === name && one.transfer === transfer && one.sha256 === hash);
  assert.ok(
    row,
    `${transfer} of ${name}: ${JSON.stringify(rows.filter((one) => one.name === name).map((one) => [one.transfer, one.state, one.sha256?.slice(0, 8)]))}`,
  );
  assert.deepEqual(
    [row.service, row.state, row.verdict],
    [service, 'complete', infected(name) ? 'infected' : 'clean'],
    `${transfer} of ${name}`,
  );
}

async function expectExchanged(
  context: TestContext,
  kind: FtpServerKind,
  tls: FtpTls,
  clients: readonly FtpClient[],
): Promise<void> {
  const { server, keys, directory, stop } = await recorded(context, kind, tls);
  const moved: string[] = [];
  for (const client of clients) {
    const files = filesOf(directory, client.name);
    client.exchange(context, server, tls, files, keys);
    moved.push(...files);
  }
  const { rows, log } = await stop();
  for (const path of moved)
    for (const transfer of ['upload', 'download']) expectMoved(rows, tls === 'none' ? 'FTP' : 'FTPS', path, transfer);
  assert.equal(log.trimEnd().split('\n').length, 2 * moved.filter(infected).length);
}

for (const kind of [VSFTPD, PROFTPD, PURE_FTPD])
  peerTest(
    `files that ${FTP_CLIENTS.map(({ name }) => name).join(', ')} store at ${kind.name} and fetch are found whole, with their viruses`,
    [...kind.programs, ...FTP_CLIENTS.flatMap(({ programs }) => programs), 'openssl', 'tcpdump'],
    (context) => expectExchanged(context, kind, 'none', FTP_CLIENTS),
  );

for (const [kind, tls] of [
  [VSFTPD, 'explicit'],
  [PROFTPD, 'explicit'],
  [PURE_FTPD, 'explicit'],
  [VSFTPD, 'implicit'],
  [PROFTPD, 'implicit'],
] as const) {
  const clients = FTPS_CLIENTS[tls];
  peerTest(
    `with keys, ${tls} TLS to ${kind.name} is read: ${clients.map(({ name }) => name).join(', ')}`,
    [...kind.programs, ...clients.flatMap(({ programs }) => programs), 'openssl', 'tcpdump'],
    (context) => expectExchanged(context, kind, tls, clients),
  );
}

for (const kind of [VSFTPD, PROFTPD, PURE_FTPD]) {
  peerTest(
    `files in pieces through ${kind.name}: pget, get -c, put -c, curl's resume and append`,
    [...kind.programs, 'lftp', 'curl', 'openssl', 'tcpdump'],
    async (context) => {
      const { server, keys, directory, stop } = await recorded(context, kind, 'none');
      const make = (name: string, bytes = randomBytes(400_000)): string => {
        const path = join(directory, name);
        writeFileSync(path, bytes);
        return path;
      };
      const account = ['-sS', '--user', `${server.user}:${PASSWORD}`];
      const url = (name: string): string => `ftp://${server.address}:${server.port}${server.directory}${name}`;
      const gotten = join(directory, 'gotten');
      mkdirSync(gotten);

      const segmented = make('segmented.bin');
      const continued = make('continued.bin');
      const resumed = make('resumed.bin');
      const appended = make('appended.bin');
      const halved = Buffer.from(EICAR);
      const virus = make('eicar-in-halves.com', halved);
      for (const path of [segmented, continued, resumed])
        run('curl', [...account, '--upload-file', path, url(`server-${basename(path)}`)]);
      lftp(server, 'none', keys, [
        `pget -n 3 -O ${gotten} ${server.directory}server-${basename(segmented)} -o segmented.got`,
      ]);
      writeFileSync(join(gotten, 'continued.got'), readFileSync(continued).subarray(0, 150_000));
      // Its beginning was seen before: asked for by range.
      run('curl', [...account, '--range', '0-149999', '--output', '/dev/null', url('server-continued.bin')]);
      lftp(server, 'none', keys, [`get -c ${server.directory}server-continued.bin -o ${gotten}/continued.got`]);
      run('curl', [
        ...account,
        '--range',
        '0-99999',
        '--output',
        join(gotten, 'resumed.got'),
        url('server-resumed.bin'),
      ]);
      run('curl', [
        ...account,
        '--continue-at',
        '-',
        '--output',
        join(gotten, 'resumed.got'),
        url('server-resumed.bin'),
      ]);
      // An upload in two pieces, and one that is appended to.
      for (const [name, path] of [
        ['appended.bin', appended],
        ['eicar-in-halves.com', virus],
      ] as const) {
        const bytes = readFileSync(path);
        const middle = bytes.length >> 1;
        const front = make(`front-${name}`, bytes.subarray(0, middle));
        const rear = make(`rear-${name}`, bytes.subarray(middle));
        run('curl', [...account, '--upload-file', front, url(name)]);
        run('curl', [...account, '--append', '--upload-file', rear, url(name)]);
      }
      assert.ok(readFileSync(join(gotten, 'resumed.got')).equals(readFileSync(resumed)));
      const { rows, log } = await stop();
      for (const path of [segmented, continued, resumed])
        expectMoved(rows, 'FTP', path, 'download', `server-${basename(path)}`);
      expectMoved(rows, 'FTP', appended, 'upload');
      expectMoved(rows, 'FTP', virus, 'upload');
      assert.match(log, /filename="eicar-in-halves\.com"/);
    },
  );

  peerTest(
    `text that ${kind.name} stores and sends in TYPE A is found as it is stored`,
    [...kind.programs, '/usr/bin/python3', 'openssl', 'tcpdump'],
    async (context) => {
      const { server, keys, directory, stop } = await recorded(context, kind, 'none');
      const path = join(directory, 'text-eicar.txt');
      writeFileSync(path, `${EICAR}\n`);
      const name = `${server.directory}text-eicar.txt`;
      ftplib(
        context,
        server,
        'none',
        keys,
        [
          `ftp.storlines('STOR ${name}', open(sys.argv[1], 'rb'))`,
          `ftp.retrlines('RETR ${name}', lambda line: None)`,
          `ftp.dir('${server.directory}', lambda line: None)`,
          `list(ftp.mlsd('${server.directory}')) if 'MLST' in ftp.sendcmd('FEAT') else None`,
        ],
        [path],
      );
      const { rows } = await stop();
      for (const transfer of ['upload', 'download']) {
        const row = rows.find((one) => one.name === 'text-eicar.txt' && one.transfer === transfer);
        assert.deepEqual([row?.verdict, row?.state], ['infected', 'complete'], transfer);
      }
      // Listings are no files.
      assert.ok(
        rows.every((row) => row.name === 'text-eicar.txt'),
        JSON.stringify(rows.map((row) => row.name)),
      );
    },
  );
}
