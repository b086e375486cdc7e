/** SMB through the daemon: Samba behind it, clients that we did not write in front. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type DaemonSetup, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { PASSWORD, SHARE, startSamba, USER } from '../testing/peers/samba.js';
import { EICAR } from '../testing/peers/scanned.js';
import type { Dialect } from '../testing/peers/smb-clients.js';

interface Served {
  readonly daemon: RunningDaemon;
  /** The share's directory on the server. */
  readonly share: string;
  readonly port: number;
}

async function served(
  context: TestContext,
  settings: readonly string[] = [],
  setup: Partial<DaemonSetup> = {},
): Promise<Served> {
  const server = await freePort();
  const share = await startSamba(context, server, settings);
  const daemon = await startDaemon(context, { ...setup, doors: [{ kind: 'cifs', to: server }] });
  return { daemon, share, port: daemon.ports[0] ?? 0 };
}

/** What smbclient says to `commands`; it goes on behind one that fails, and its status is that of the last. */
function smbclient(
  port: number,
  dialect: Dialect,
  here: string,
  commands: readonly string[],
  more: readonly string[] = [],
) {
  const place = ['-p', String(port), '-U', `${USER}%${PASSWORD}`, '-D', '\\', `//127.0.0.1/${SHARE}`];
  return run(
    'smbclient',
    ['-s', '/dev/null', '-m', dialect, ...more, ...place, '-c', [`lcd "${here}"`, ...commands].join('; ')],
    {
      statuses: [0, 1],
    },
  );
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

for (const dialect of ['SMB2_02', 'SMB2_10', 'SMB3_00', 'SMB3_11'] as const)
  peerTest(
    `smbclient ${dialect}: clean files cross, infected ones do not, either way`,
    ['smbclient', 'smbd'],
    async (context) => {
      const { daemon, share, port } = await served(context);
      const here = scratch(context, 'here');
      writeFileSync(join(here, 'clean.bin'), randomBytes(3_000_001));
      writeFileSync(join(here, 'small.txt'), 'hello');
      writeFileSync(join(here, 'eicar.com'), EICAR);
      writeFileSync(join(share, 'bad.com'), EICAR);
      const said = smbclient(port, dialect, here, [
        'put small.txt',
        'put eicar.com',
        'put clean.bin',
        'get bad.com',
        'get clean.bin back.bin',
        'get small.txt back.txt',
      ]);
      assert.match(said, /VIRUS_INFECTED/);
      assert.equal(sha256(join(share, 'clean.bin')), sha256(join(here, 'clean.bin')), said);
      assert.equal(sha256(join(here, 'back.bin')), sha256(join(here, 'clean.bin')), said);
      assert.equal(readFileSync(join(here, 'back.txt'), 'utf8'), 'hello');
      assert.deepEqual(readdirSync(share).sort(), ['bad.com', 'clean.bin', 'small.txt']);
      assert.ok(!existsSync(join(here, 'bad.com')) || readFileSync(join(here, 'bad.com')).length === 0, said);
      const upload = await daemon.record({
        filename: 'eicar.com',
        action: 'blocked',
        service: 'SMB',
        direction: 'outgoing',
      });
      assert.equal(upload.get('logid'), '0211008192');
      assert.equal(upload.get('virus'), 'EICAR_TEST_FILE');
      await daemon.record({ filename: 'bad.com', action: 'blocked', service: 'SMB', direction: 'incoming' });
    },
  );
