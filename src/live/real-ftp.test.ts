/** FTP through the daemon, with servers and clients that we did not write: every way of asking for data connections, both directions. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type LogFields, type RunningDaemon, recordsOf, startDaemon } from '../testing/peers/daemon.js';
import { FTP_CLIENTS, ftplib, lftp } from '../testing/peers/ftp-clients.js';
import {
  type FtpServer,
  type FtpServerKind,
  PASSWORD,
  PROFTPD,
  PURE_FTPD,
  VSFTPD,
} from '../testing/peers/ftp-servers.js';
import { capture, peerTest, run, scratch } from '../testing/peers/peers.js';
import { EICAR, scan, sha256 } from '../testing/peers/scanned.js';

const CLEAN = randomBytes(700_000);

/** A server with files in it, behind the daemon. `through`: the same server where clients find it. */
interface Behind {
  readonly daemon: RunningDaemon;
  readonly server: FtpServer;
  readonly through: FtpServer;
  readonly directory: string;
}

async function behind(context: TestContext, kind: FtpServerKind, address?: string): Promise<Behind> {
  const server = await kind.start(context, 'none', undefined, address);
  const door = { kind: 'ftp' as const, to: server.port, toAddress: server.address };
  const daemon = await startDaemon(context, { doors: [address === undefined ? door : { ...door, address }] });
  const directory = scratch(context, 'files');
  writeFileSync(join(directory, 'clean.bin'), CLEAN);
  writeFileSync(join(directory, 'eicar.com'), EICAR);
  const through = { ...server, address: address ?? '127.0.0.1', port: daemon.ports[0] ?? 0 };
  return { daemon, server, through, directory };
}

for (const kind of [VSFTPD, PROFTPD, PURE_FTPD])
  peerTest(
    `${kind.name}: clean files pass both ways, however data connections are asked for`,
    [...kind.programs, ...FTP_CLIENTS.flatMap(({ programs }) => programs)],
    async (context) => {
      const { daemon, server, through, directory } = await behind(context, kind);
      for (const client of FTP_CLIENTS) {
        const name = `${client.name}.bin`;
        writeFileSync(join(directory, name), CLEAN);
        client.exchange(context, through, 'none', [join(directory, name)], '/dev/null');
        ftplib(
          context,
          server,
          'none',
          '/dev/null',
          [`ftp.retrbinary('RETR ${server.directory}${name}', open(sys.argv[1], 'wb').write)`],
          [join(directory, 'stored')],
        );
        assert.equal(sha256(readFileSync(join(directory, 'stored'))), sha256(CLEAN), client.name);
      }
      assert.deepEqual(
        daemon.records().filter((record) => record.get('type') === 'utm'),
        [],
      );
    },
  );

/** Those that dial IPv6, by EPSV and EPRT: there is no other way. */
const IPV6_CLIENTS = FTP_CLIENTS.filter(({ name }) =>
  ['curl-epsv', 'curl-eprt', 'lftp', 'ftplib-passive', 'ftplib-active'].includes(name),
);

for (const kind of [VSFTPD, PROFTPD, PURE_FTPD])
  peerTest(
    `${kind.name}, IPv6: clean files pass both ways, infected ones do not`,
    [...kind.programs, ...IPV6_CLIENTS.flatMap(({ programs }) => programs)],
    async (context) => {
      const setup = await behind(context, kind, '::1');
      const { daemon, server, through, directory } = setup;
      for (const client of IPV6_CLIENTS) {
        const name = `${client.name}.bin`;
        writeFileSync(join(directory, name), CLEAN);
        client.exchange(context, through, 'none', [join(directory, name)], '/dev/null');
      }
      const url = `ftp://[::1]:${through.port}${server.directory}`;
      const account = ['-sS', '--globoff', '--user', `${server.user}:${PASSWORD}`];
      for (const way of [[], ['--ftp-port', '-']])
        run('curl', [...account, ...way, '-T', join(directory, 'eicar.com'), `${url}curl.com`], {
          statuses: [18, 25, 55, 56],
        });
      assert.deepEqual(kept(context, setup), IPV6_CLIENTS.map(({ name }) => `${name}.bin`).sort());
      const blocked = await daemon.record({ action: 'blocked', filename: 'curl.com', virus: 'EICAR_TEST_FILE' });
      assert.equal(blocked.get('srcip'), '::1');
    },
  );

/** What a server keeps, as a client sees it that talks with the server itself. */
function kept(context: TestContext, { server, directory }: Behind): string[] {
  const list = join(directory, 'list');
  const lines = [`names = ftp.nlst('${server.directory}')`, "open(sys.argv[1], 'w').write('\\n'.join(names))"];
  // Pure-FTPd and ProFTPD have no error for an empty directory, vsftpd neither.
  ftplib(context, server, 'none', '/dev/null', lines, [list]);
  return readFileSync(list, 'utf8')
    .split('\n')
    .map((name) => name.replace(/^.*\//, ''))
    .filter((name) => name !== '' && !name.startsWith('.'))
    .sort();
}

for (const kind of [VSFTPD, PROFTPD, PURE_FTPD])
  peerTest(
    `${kind.name}: infected files are refused both ways, nothing of them remains, and the session goes on`,
    [...kind.programs, 'curl'],
    async (context) => {
      const setup = await behind(context, kind);
      const { daemon, server, through, directory } = setup;
      const [clean, eicar, gotten] = ['clean.bin', 'eicar.com', 'gotten'].map((name) => join(directory, name));
      // Put there behind the daemon's back.
      ftplib(
        context,
        server,
        'none',
        '/dev/null',
        [`ftp.storbinary('STOR ${server.directory}stored.com', open(sys.argv[1], 'rb'))`],
        [eicar ?? ''],
      );
      for (const passive of ['True', 'False'])
        ftplib(
          context,
          through,
          'none',
          '/dev/null',
          [
            `ftp.set_pasv(${passive})`,
            `ftp.cwd('${server.directory}')`,
            'def refused(action, code):',
            '    try: action()',
            '    except ftplib.error_perm as error: assert str(error).startswith(code), str(error); return str(error)',
            "    raise Exception('was not refused')",
            "store = lambda name, file: ftp.storbinary('STOR ' + name, open(file, 'rb'))",
            'clean, eicar, gotten = sys.argv[1:]',
            "store('before.bin', clean)",
            "assert 'EICAR_TEST_FILE' in refused(lambda: store('upload.com', eicar), '550')",
            "refused(lambda: store('r\\u00e9sum\\u00e9 2.com', eicar), '550')",
            "refused(lambda: ftp.storbinary('STOU', open(eicar, 'rb')), '550')",
            'def fetch():',
            '    with open(gotten, "wb") as file:',
            '        data = ftp.transfercmd("RETR stored.com")',
            '        try:',
            '            while bytes := data.recv(1000): file.write(bytes)',
            '        except ConnectionResetError: pass',
            '        data.close()',
            '    ftp.voidresp()',
            "refused(fetch, '550')",
            "assert os.path.getsize(gotten) == 0, 'bytes came'",
            "store('after.bin', clean)",
            "ftp.rename('after.bin', 'other.bin')",
            "ftp.rename('other.bin', 'after.bin')",
            "refused(lambda: ftp.sendcmd('REST 5'), '502')",
            "refused(lambda: ftp.sendcmd('APPE more'), '502')",
            "refused(lambda: ftp.sendcmd('CCC'), '533')",
            "features = ftp.sendcmd('FEAT')",
            "assert 'SIZE' in features and not any(word in features for word in ['MODE Z', 'REST', 'CCC']), features",
          ],
          [clean ?? '', eicar ?? '', gotten ?? ''],
        );
      assert.deepEqual(kept(context, setup), ['after.bin', 'before.bin', 'stored.com']);
      const url = `ftp://127.0.0.1:${through.port}${server.directory}`;
      const account = ['-sS', '--user', `${server.user}:${PASSWORD}`];
      run('curl', [...account, '-o', gotten ?? '', `${url}stored.com`], { statuses: [18, 56] });
      run('curl', [...account, '-T', eicar ?? '', `${url}curl.com`], { statuses: [18, 25, 55, 56] });
      assert.deepEqual(kept(context, setup), ['after.bin', 'before.bin', 'stored.com']);
      const blocked = { logid: '0211008192', action: 'blocked', service: 'FTP', virus: 'EICAR_TEST_FILE' };
      const upload = await daemon.record({ ...blocked, filename: 'upload.com' });
      assert.equal(upload.get('direction'), 'outgoing');
      const download = await daemon.record({ ...blocked, filename: 'stored.com' });
      assert.equal(download.get('direction'), 'incoming');
      const traffic = await daemon.record({
        type: 'traffic',
        utmaction: 'block',
        sessionid: upload.get('sessionid') ?? '',
      });
      assert.ok(Number(traffic.get('sentbyte')) > 2 * CLEAN.length, traffic.get('sentbyte'));
    },
  );

/** What records say of a verdict, whoever wrote them and when. */
function verdicts(records: readonly LogFields[]): string[] {
  const said = records
    .filter((record) => record.get('subtype') === 'virus')
    .map((record) =>
      ['logid', 'eventtype', 'service', 'direction', 'filename', 'virus', 'analyticscksum']
        .map((name) => `${name}=${record.get(name)}`)
        .join(' '),
    );
  // A client that is refused may try again.
  return [...new Set(said)].sort();
}

for (const [kind, tls] of [
  [VSFTPD, 'none'],
  [PROFTPD, 'explicit'],
] as const)
  peerTest(
    `${kind.name}, TLS ${tls}: the same session, played directly and recorded, has the same verdicts`,
    [...kind.programs, 'lftp', 'tcpdump'],
    async (context) => {
      const here = scratch(context, 'here');
      const keys = join(here, 'keys');
      writeFileSync(keys, '');
      writeFileSync(join(here, 'clean.bin'), CLEAN);
      writeFileSync(join(here, 'eicar.com'), EICAR);
      writeFileSync(join(here, 'stored.com'), EICAR);
      writeFileSync(join(here, 'eicar.gz'), gzipSync(EICAR));
      const store = ({ directory }: FtpServer, name: string): string => `put -O ${directory} ${join(here, name)}`;
      const fetch = ({ directory }: FtpServer, name: string): string => `get -O ${here}/gotten ${directory}${name}`;
      mkdirSync(join(here, 'gotten'));
      const play = (server: FtpServer): void => {
        for (const command of [
          store(server, 'clean.bin'),
          store(server, 'eicar.com'),
          store(server, 'eicar.gz'),
          fetch(server, 'clean.bin'),
          fetch(server, 'stored.com'),
        ])
          try {
            lftp(server, tls, keys, [command]);
          } catch (error) {
            // It fails where a file is refused.
            assert.ok(error instanceof assert.AssertionError);
          }
      };
      const server = await kind.start(context, tls);
      lftp(server, tls, '/dev/null', [store(server, 'stored.com')]);
      const daemon = await startDaemon(context, {
        doors: [{ kind: 'ftp', to: server.port, toAddress: server.address }],
        ssl: ['        config ftps', '            set client-certificate inspect', '        end'],
      });
      play({ ...server, address: '127.0.0.1', port: daemon.ports[0] ?? 0 });
      await daemon.record({ subtype: 'virus', filename: 'stored.com' });
      const live = verdicts(daemon.records());
      assert.equal(live.length, 3, live.join('\n'));

      const file = join(here, 'direct.pcap');
      const recording = await capture(context, `host ${server.address}`, file);
      play(server);
      await recording.stop();
      const { log } = scan(context, file, tls === 'none' ? [] : ['--keylog', keys]);
      assert.deepEqual(verdicts(recordsOf(log)), live);
    },
  );
