/**
 * FTPS through the daemon (RFC 4217), with servers and clients that we did not write: both channels are read, servers that want data connections to
 * resume the control connection's TLS session get that, and clients are never asked for it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PYTHON } from '../testing/peers/aiosmtpd.js';
import { startDaemon } from '../testing/peers/daemon.js';
import { FTPS_CLIENTS, ftplib } from '../testing/peers/ftp-clients.js';
import {
  type FtpServerKind,
  type FtpsDemands,
  type FtpTls,
  PROFTPD,
  PURE_FTPD,
  VSFTPD,
} from '../testing/peers/ftp-servers.js';
import { peerTest, scratch } from '../testing/peers/peers.js';
import { EICAR, sha256 } from '../testing/peers/scanned.js';

const CLEAN = randomBytes(700_000);
const REUSE_12: FtpsDemands = { reuse: true, most: 'TLSv1.2' };
const REUSE_13: FtpsDemands = { reuse: true, most: 'TLSv1.3' };

const CASES: readonly (readonly [FtpServerKind, Exclude<FtpTls, 'none'>, FtpsDemands | undefined])[] = [
  [VSFTPD, 'explicit', REUSE_12],
  [VSFTPD, 'explicit', REUSE_13],
  [VSFTPD, 'implicit', REUSE_12],
  [PROFTPD, 'explicit', REUSE_12],
  [PROFTPD, 'explicit', REUSE_13],
  [PURE_FTPD, 'explicit', undefined],
];

for (const [kind, tls, demands] of CASES) {
  const way = `${tls} TLS${demands === undefined ? '' : `, sessions resumed, ${demands.most} at most`}`;
  peerTest(
    `${kind.name}, ${way}: clean files pass, infected ones do not, CCC is refused`,
    [...kind.programs, ...FTPS_CLIENTS[tls].flatMap(({ programs }) => programs)],
    async (context) => {
      const server = await kind.start(context, tls, demands);
      const daemon = await startDaemon(context, {
        doors: [{ kind: tls === 'implicit' ? 'ftps' : 'ftp', to: server.port, toAddress: server.address }],
        // vsftpd asks every client for a certificate, and does without.
        ssl: ['        config ftps', '            set client-certificate inspect', '        end'],
      });
      const directory = scratch(context, 'files');
      const [eicar, gotten] = ['stored.com', 'gotten'].map((name) => join(directory, name)) as [string, string];
      writeFileSync(eicar, EICAR);
      const through = { ...server, address: '127.0.0.1', port: daemon.ports[0] ?? 0 };
      for (const client of FTPS_CLIENTS[tls]) {
        const file = join(directory, `${client.name}.bin`);
        writeFileSync(file, CLEAN);
        client.exchange(context, through, tls, [file], '/dev/null');
      }
      if (tls === 'explicit') {
        // Put there behind the daemon's back, by a client that resumes sessions.
        FTPS_CLIENTS.explicit[0]?.exchange(context, server, tls, [eicar], '/dev/null');
        const name = FTPS_CLIENTS.explicit[0]?.name ?? '';
        ftplib(
          context,
          through,
          tls,
          '/dev/null',
          [
            `ftp.cwd('${server.directory}')`,
            'eicar, gotten = sys.argv[1:]',
            `ftp.retrbinary('RETR ${name}.bin', open(gotten, 'wb').write)`,
            'def refused(action, code):',
            '    try: action()',
            '    except ftplib.error_perm as error: assert str(error).startswith(code), str(error); return',
            "    raise Exception('was not refused')",
            "refused(lambda: ftp.storbinary('STOR upload.com', open(eicar, 'rb')), '550')",
            // The data connections behind the blocked ones resume the session as well.
            'def listed():',
            '    names = [os.path.basename(each) for each in ftp.nlst()]',
            "    assert 'stored.com' in names and 'upload.com' not in names, names",
            'listed()',
            'def fetch():',
            "    data = ftp.transfercmd('RETR stored.com')",
            '    try: assert not data.recv(1000)',
            '    except OSError: pass',
            '    data.close()',
            '    ftp.voidresp()',
            "refused(fetch, '550')",
            'listed()',
            "refused(lambda: ftp.sendcmd('CCC'), '533')",
          ],
          [eicar, gotten],
        );
        assert.equal(sha256(readFileSync(gotten)), sha256(CLEAN));
        await daemon.record({ action: 'blocked', service: 'FTPS', virus: 'EICAR_TEST_FILE', filename: 'upload.com' });
        await daemon.record({ logdesc: 'Protocol anomaly', msg: 'ftp-command-refused, from the client' });
      }
    },
  );
}

for (const kind of [VSFTPD, PROFTPD, PURE_FTPD])
  peerTest(
    `${kind.name}, explicit TLS with PROT C: data in clear text is judged as well`,
    [...kind.programs, PYTHON],
    async (context) => {
      const server = await kind.start(context, 'explicit');
      const daemon = await startDaemon(context, {
        doors: [{ kind: 'ftp', to: server.port, toAddress: server.address }],
        ssl: ['        config ftps', '            set client-certificate inspect', '        end'],
      });
      const directory = scratch(context, 'files');
      const [eicar, clean] = ['eicar.com', 'clean.bin'].map((name) => join(directory, name)) as [string, string];
      writeFileSync(eicar, EICAR);
      writeFileSync(clean, CLEAN);
      ftplib(
        context,
        { ...server, address: '127.0.0.1', port: daemon.ports[0] ?? 0 },
        'explicit',
        '/dev/null',
        [
          'ftp.prot_c()',
          `ftp.cwd('${server.directory}')`,
          'eicar, clean = sys.argv[1:]',
          'for passive in [True, False]:',
          '    ftp.set_pasv(passive)',
          "    ftp.storbinary('STOR clean.bin', open(clean, 'rb'))",
          '    got = io.BytesIO()',
          "    ftp.retrbinary('RETR clean.bin', got.write)",
          "    assert got.getvalue() == open(clean, 'rb').read()",
          "    try: ftp.storbinary('STOR upload.com', open(eicar, 'rb'))",
          "    except ftplib.error_perm as error: assert str(error).startswith('550'), str(error)",
          "    else: raise Exception('was not refused')",
          'names = [os.path.basename(each) for each in ftp.nlst()]',
          "assert 'clean.bin' in names and 'upload.com' not in names, names",
        ],
        [eicar, clean],
      );
      await daemon.record({ action: 'blocked', virus: 'EICAR_TEST_FILE', filename: 'upload.com' });
    },
  );
