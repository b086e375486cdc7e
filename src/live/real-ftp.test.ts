/** FTP through the daemon, with servers and clients that we did not write: every way of asking for data connections, both directions. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { FTP_CLIENTS, ftplib } from '../testing/peers/ftp-clients.js';
import { type FtpServer, type FtpServerKind, PROFTPD, PURE_FTPD, VSFTPD } from '../testing/peers/ftp-servers.js';
import { peerTest, scratch } from '../testing/peers/peers.js';
import { EICAR, sha256 } from '../testing/peers/scanned.js';

const CLEAN = randomBytes(700_000);

/** A server with files in it, behind the daemon. `through`: the same server where clients find it. */
interface Behind {
  readonly daemon: RunningDaemon;
  readonly server: FtpServer;
  readonly through: FtpServer;
  readonly directory: string;
}

async function behind(context: TestContext, kind: FtpServerKind): Promise<Behind> {
  const server = await kind.start(context, 'none');
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'ftp', to: server.port, toAddress: server.address }],
  });
  const directory = scratch(context, 'files');
  writeFileSync(join(directory, 'clean.bin'), CLEAN);
  writeFileSync(join(directory, 'eicar.com'), EICAR);
  const through = { ...server, address: '127.0.0.1', port: daemon.ports[0] ?? 0 };
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
