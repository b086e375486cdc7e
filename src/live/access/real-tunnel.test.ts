// Mail, shares and FTP through an access proxy and `inspectd ztna connect`, with servers and clients that we did not write: what is inspected, and the
// records, held against the vendor's (FortiOS 7.0.4).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parseLine } from '../../log/parse-line.js';
import { EMS, type RunningAccess, startAccess, startConnect, UID } from '../../testing/peers/access-proxy.js';
import { startAiosmtpd } from '../../testing/peers/aiosmtpd.js';
import type { LogFields } from '../../testing/peers/daemon.js';
import { PASSWORD as FTP_PASSWORD, VSFTPD } from '../../testing/peers/ftp-servers.js';
import { freePort, peerTest, run, scratch } from '../../testing/peers/peers.js';
import { PASSWORD, SHARE, startSamba, USER } from '../../testing/peers/samba.js';
import { EICAR } from '../../testing/peers/scanned.js';
import { until } from '../../testing/until.js';

const SEEDS = readFileSync('samples/seeds/utm-lines.txt', 'utf8').trimEnd().split('\n');

/** A tunnel to `server`, whose protocol is told by the port; the port of this machine that leads into it. */
async function tunnel(
  context: TestContext,
  kind: 'smtp' | 'cifs' | 'ftp',
  server: number,
  more: { readonly address?: string; readonly args?: readonly string[]; readonly policy?: readonly string[] } = {},
): Promise<{ access: RunningAccess; port: number }> {
  const { address = '127.0.0.1' } = more;
  const sections = `config firewall profile-protocol-options
    edit "options"
        config ${kind}
            set ports ${server}
        end
    next
end
config antivirus profile
    edit "test-av"
        config ${kind}
            set av-scan block
        end
    next
end
config file-filter profile
    edit "test_file_filter"
        config rules
            edit "file01"
                set protocol cifs
                set action block
                set direction any
                set file-type "exe"
            next
        end
    next
end
config firewall proxy-policy
    edit 1
        set uuid 325d4516-74a8-51ec-db9b-a5511f9a7842
        set proxy access-proxy
        set access-proxy "WIN2K16-P1-RDP"
        set srcintf "port1"
        set srcaddr "all"
        set dstaddr "all"
        set ztna-ems-tag "${EMS}_AV-enabled"
        set action accept
        set schedule "always"
        set logtraffic all
        set utm-status enable
        set profile-protocol-options "options"
        set av-profile "test-av"
${(more.policy ?? []).map((line) => `        ${line}\n`).join('')}    next
end
`;
  const access = await startAccess(context, { rules: sections, server, address });
  const { serial } = access.identity;
  await access.endpoint(UID, {
    ems: EMS,
    cert: serial,
    tags: 'AV-enabled',
    user: 'qa',
    domain: 'releaseqa.fortinet.com',
  });
  return { access, port: await startConnect(context, access, { address, port: server }, more.args) };
}

/** The record has the fields of the vendor's line `at`, in its order, and what they say of who and how. */
function likeSeed(record: LogFields, at: number, same: readonly string[]): void {
  const seed = parseLine(SEEDS[at] ?? '');
  assert.ok(seed !== undefined);
  assert.deepEqual(
    [...record.keys()].filter((name) => name !== 'srcdomain'),
    seed.fields.map(({ name }) => name).filter((name) => name !== 'srcdomain'),
  );
  for (const name of same) assert.equal(record.get(name), seed.fields.find((each) => each.name === name)?.value, name);
}

const OF_SESSION = [
  'logid',
  'type',
  'subtype',
  'eventtype',
  'level',
  'policyid',
  'policytype',
  'msg',
  'action',
  'proto',
];
const OF_USER = [
  'unauthusersource',
  'quarskip',
  'virus',
  'viruscat',
  'dtype',
  'ref',
  'virusid',
  'profile',
  'crscore',
  'craction',
  'crlevel',
];

for (const encrypted of [false, true])
  peerTest(
    `an infected mail does not get through the tunnel, a clean one does${encrypted ? ', inside TLS too' : ''}`,
    ['swaks', '/usr/bin/python3'],
    async (context) => {
      const server = await freePort();
      await startAiosmtpd(context, server);
      const { access, port } = await tunnel(context, 'smtp', server, encrypted ? { args: ['--encrypt'] } : {});
      const eicar = join(scratch(context, 'mail'), 'eicar.exe');
      writeFileSync(eicar, EICAR);
      const swaks = (file: string, statuses: readonly number[]): string =>
        run(
          'swaks',
          [
            ...['--server', '127.0.0.1', '--port', String(port), '--from', 'testpc3@qa.fortinet.com'],
            ...[
              '--to',
              'testpc3@qa.fortinet.com',
              '--h-Subject',
              'ZTNA av testing',
              '--attach-type',
              'application/octet-stream',
            ],
            ...['--attach-name', 'eicar.exe', '--attach', `@${file}`],
          ],
          { statuses },
        );
      assert.match(swaks(eicar, [26]), /554 5\.7\.1 .*EICAR_TEST_FILE/);
      const record = await access.daemon.record({ subtype: 'virus' });
      const same = [
        'direction',
        'fctuid',
        'unauthuser',
        'srcdomain',
        'filename',
        'from',
        'to',
        'sender',
        'recipient',
        'subject',
        'attachment',
      ];
      likeSeed(record, 2, [...OF_SESSION, ...OF_USER, ...same.filter((name) => name !== 'fctuid')]);
      assert.equal(record.get('service'), 'SMTP');
      assert.equal(record.get('fctuid'), UID);
      const clean = join(scratch(context, 'mail'), 'clean.bin');
      writeFileSync(clean, randomBytes(100_000));
      assert.match(swaks(clean, [0]), /250 OK/);
      const traffic = await access.daemon.record({ logid: '0000000024', utmaction: 'block' });
      assert.equal(traffic.get('countav'), '1');
      assert.equal(traffic.get('dstport'), String(server));
    },
  );

peerTest(
  'files of a share: infected ones and filtered ones do not get through the tunnel',
  ['smbclient', 'smbd'],
  async (context) => {
    const server = await freePort();
    const share = await startSamba(context, server);
    const { access, port } = await tunnel(context, 'cifs', server, {
      policy: ['set file-filter-profile "test_file_filter"'],
    });
    const here = scratch(context, 'here');
    const clean = randomBytes(1_000_001);
    writeFileSync(join(here, 'clean.bin'), clean);
    writeFileSync(join(here, 'eicar.gz'), gzipSync(EICAR));
    const program = Buffer.alloc(4096);
    program.write('MZ');
    program.writeUInt32LE(0x80, 0x3c);
    program.write('PE\0\0', 0x80);
    writeFileSync(join(here, 'tool.exe'), program);
    const said = run(
      'smbclient',
      [
        ...[
          '-s',
          '/dev/null',
          '-m',
          'SMB3_11',
          '-p',
          String(port),
          '-U',
          `${USER}%${PASSWORD}`,
          `//127.0.0.1/${SHARE}`,
        ],
        ...['-c', `lcd "${here}"; put clean.bin; put eicar.gz; put tool.exe; get clean.bin back.bin`],
      ],
      { statuses: [0, 1] },
    );
    assert.ok(readFileSync(join(here, 'back.bin')).equals(clean), said);
    assert.ok(!existsSync(join(share, 'eicar.gz')) || readFileSync(join(share, 'eicar.gz')).length === 0, said);
    assert.ok(!existsSync(join(share, 'tool.exe')) || readFileSync(join(share, 'tool.exe')).length === 0, said);
    const record = await access.daemon.record({ subtype: 'virus', filename: 'eicar.gz' });
    likeSeed(record, 6, [...OF_SESSION, ...OF_USER, 'service', 'direction']);
    const filtered = await access.daemon.record({ subtype: 'file-filter', filename: 'tool.exe' });
    assert.equal(filtered.get('policytype'), 'proxy-policy');
    assert.equal(filtered.get('service'), 'CIFS');
    assert.equal(filtered.get('fctuid'), UID);
    assert.equal(filtered.get('action'), 'blocked');
  },
);

peerTest(
  'FTP: data connections of a tunnelled session are inspected, and are cut with it',
  ['curl', 'vsftpd'],
  async (context) => {
    const server = await VSFTPD.start(context, 'none');
    const { access, port } = await tunnel(context, 'ftp', server.port, { address: server.address });
    const directory = scratch(context, 'files');
    const clean = randomBytes(700_000);
    writeFileSync(join(directory, 'clean.bin'), clean);
    writeFileSync(join(directory, 'eicar.com'), EICAR);
    const curl = (args: readonly string[], statuses: readonly number[]): string =>
      run(
        'curl',
        ['--silent', '--show-error', '--max-time', '40', '--user', `${server.user}:${FTP_PASSWORD}`, ...args],
        { statuses },
      );
    const at = (name: string): string => `ftp://127.0.0.1:${port}/${server.directory}${name}`;
    curl(['--upload-file', join(directory, 'clean.bin'), at('clean.bin')], [0]);
    curl(['--output', join(directory, 'back.bin'), at('clean.bin')], [0]);
    assert.ok(readFileSync(join(directory, 'back.bin')).equals(clean));
    curl(['--upload-file', join(directory, 'eicar.com'), at('eicar.com')], [8, 18, 25, 56, 55]);
    const record = await access.daemon.record({ subtype: 'virus', filename: 'eicar.com' });
    assert.equal(record.get('service'), 'FTP');
    assert.equal(record.get('policytype'), 'proxy-policy');
    assert.equal(record.get('fctuid'), UID);

    // More than the system keeps on the way.
    const large = Buffer.alloc(40 << 20, clean);
    writeFileSync(join(directory, 'large.bin'), large);
    curl(['--upload-file', join(directory, 'large.bin'), at('large.bin')], [0]);
    const slow = spawn('curl', [
      ...['--silent', '--limit-rate', '10k', '--user', `${server.user}:${FTP_PASSWORD}`],
      ...['--output', join(directory, 'cut.bin'), at('large.bin')],
    ]);
    const over = new Promise<number | null>((resolve) => slow.once('exit', (status) => resolve(status)));
    await until(
      'a part is here',
      () => existsSync(join(directory, 'cut.bin')) && readFileSync(join(directory, 'cut.bin')).length > 0,
    );
    await access.endpoint(UID, { tags: '' });
    assert.notEqual(await over, 0);
    assert.ok(readFileSync(join(directory, 'cut.bin')).length < large.length);
    await access.daemon.record({ logid: '2101060510', policyid: '1' });
  },
);
