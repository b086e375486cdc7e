/** Infected files that come by mail through the daemon are kept, and are refused all the same when they cannot be. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { listQuarantine } from '../quarantine/look.js';
import { startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { type DaemonSetup, startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { EICAR, sha256 } from '../testing/peers/scanned.js';
import { inspectd } from '../testing/program.js';

const KEPT = ['config smtp', 'set quarantine enable', 'end'];
const PACKED = gzipSync(EICAR);

type Context = Parameters<typeof startDaemon>[0];

/** A daemon before an SMTP server, and what sends it a mail with `bytes` attached. */
async function mailing(context: Context, setup: Omit<DaemonSetup, 'doors'>) {
  const server = await freePort();
  await startAiosmtpd(context, server);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: server }], ...setup });
  const directory = scratch(context, 'mail');
  const send = (name: string, bytes: string | Uint8Array, status: number): string => {
    const file = join(directory, name);
    writeFileSync(file, bytes);
    const swaks = ['--server', `127.0.0.1:${daemon.ports[0]}`, '--from', 'a@example.test', '--to', 'b@example.test'];
    return run('swaks', [...swaks, '--suppress-data', '--header', 'Subject: invoice', '--attach', `@${file}`], {
      statuses: [status],
    });
  };
  return { daemon, send, quarantine: join(daemon.directory, 'state', 'quarantine') };
}

peerTest(
  'an infected attachment is kept once, as it came, and can be looked at and copied out',
  ['swaks'],
  async (context) => {
    const { daemon, send, quarantine } = await mailing(context, { av: KEPT, settings: ['set workers 2'] });
    for (let times = 0; times < 3; times++) assert.match(send('eicar.gz', PACKED, 26), /554 5\.7\.1 .*EICAR_TEST_FILE/);
    send('clean.gz', gzipSync('nothing in here'), 0);
    const record = await daemon.record({ logid: '0211008194', virus: 'EICAR_TEST_FILE', quarskip: 'No-skip' });
    const hash = sha256(PACKED);
    assert.equal(record.get('analyticscksum'), hash);
    assert.deepEqual(readdirSync(quarantine).sort(), [hash, `${hash}.json`]);
    assert.ok(readFileSync(join(quarantine, hash)).equals(PACKED));
    assert.equal(statSync(join(quarantine, hash)).mode & 0o777, 0o600);
    const [{ entry } = { entry: undefined }] = listQuarantine(quarantine);
    assert.equal(entry?.count, 3);
    assert.deepEqual(entry?.first.names, ['eicar.gz']);
    assert.deepEqual([entry?.first.sender, entry?.first.recipients], ['a@example.test', ['b@example.test']]);
    assert.equal(entry?.first.subject, 'invoice');
    assert.equal(entry?.first.service, 'SMTP');

    const ask = async (...words: string[]): Promise<string> => {
      const ran = await inspectd(['quarantine', ...words, '-c', daemon.configuration]);
      assert.equal(ran.status, 0, ran.said.join('\n'));
      return ran.out;
    };
    assert.match(await ask('list'), new RegExp(`^${hash} .*3x  EICAR_TEST_FILE  eicar\\.gz\n1 files\n$`));
    assert.equal((JSON.parse(await ask('show', hash.slice(0, 8))) as { sha256: string }).sha256, hash);
    const copy = join(scratch(context, 'copy'), 'sample');
    await ask('release', hash, copy);
    assert.ok(readFileSync(copy).equals(PACKED));
    await ask('delete', hash);
    assert.match(await ask('list'), /^0 files\n$/);
    assert.equal((await inspectd(['quarantine', 'show', 'ffff', '-c', daemon.configuration])).status, 2);
  },
);

peerTest('what cannot be kept is refused all the same, and both are on record', ['swaks'], async (context) => {
  const { daemon, send, quarantine } = await mailing(context, { av: KEPT });
  writeFileSync(quarantine, 'a file where the directory should be');
  assert.match(send('eicar.com', EICAR, 26), /554 5\.7\.1 .*EICAR_TEST_FILE/);
  await daemon.record({ logid: '0211008194', quarskip: 'File-was-not-quarantined.' });
  const event = await daemon.record({ logdesc: 'Quarantine failed' });
  assert.match(event.get('msg') ?? '', /quarantine/);
});

peerTest(
  'the section says what is kept: a larger file, another service and a full disk are skipped',
  ['swaks', 'tar'],
  async (context) => {
    const section = (...lines: string[]): string =>
      `config antivirus quarantine\n${lines.map((each) => `set ${each}\n`).join('')}end\n`;
    const { daemon, send, quarantine } = await mailing(context, {
      av: KEPT,
      sections: section('maxfilesize 1', 'quarantine-quota 1', 'lowspace drop-new'),
    });
    const directory = scratch(context, 'tar');
    writeFileSync(join(directory, 'eicar.com'), EICAR);
    const large = (fill: string, size: number): Uint8Array => {
      writeFileSync(join(directory, 'filler'), Buffer.alloc(size, fill));
      run('tar', ['-C', directory, '-cf', join(directory, 'large.tar'), 'eicar.com', 'filler']);
      return readFileSync(join(directory, 'large.tar'));
    };
    send('large.tar', large('a', 1024 * 1024), 26);
    await daemon.record({ filename: 'large.tar', quarskip: 'No-quarantine-for-oversized-files.' });
    send('first.tar', large('b', 700_000), 26);
    await daemon.record({ filename: 'first.tar', quarskip: 'No-skip' });
    send('second.tar', large('c', 700_000), 26);
    await daemon.record({ filename: 'second.tar', quarskip: 'File-was-not-quarantined.' });
    assert.equal(readdirSync(quarantine).length, 2);
    const text = readFileSync(daemon.configuration, 'utf8');
    writeFileSync(
      daemon.configuration,
      text.replace(section('maxfilesize 1', 'quarantine-quota 1', 'lowspace drop-new'), section('drop-infected smtp')),
    );
    await daemon.ask('execute', 'reload');
    send('third.tar', large('d', 100), 26);
    await daemon.record({ filename: 'third.tar', quarskip: 'Quarantine-disabled' });
  },
);
