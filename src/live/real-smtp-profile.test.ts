/** What profiles ask for, in mail that swaks sends through the daemon and aiosmtpd delivers: what its reader gets, what its sender is told, what the log has. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type DeliveredPart, delivered, startAiosmtpd } from '../testing/peers/aiosmtpd.js';
import { type DaemonSetup, type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort, peerTest, run, scratch } from '../testing/peers/peers.js';
import { EICAR, sha256 } from '../testing/peers/scanned.js';
import { FROM, TO } from '../testing/peers/smtp-clients.js';

interface Sent {
  /** What swaks wrote about the session. */
  readonly said: string;
  readonly daemon: RunningDaemon;
  readonly mails: readonly (readonly DeliveredPart[])[];
  /** Mails as they lie there. */
  readonly raw: readonly string[];
}

/** swaks's line of the answer to the message. */
const DELIVERED = /lines sent\n<- {2}250 OK/;
const REFUSED = /lines sent\n<\*\* 554 5\.7\.1 /;

/** Sends `files` attached to one mail each time; or `mails` as they are. */
async function sent(
  context: TestContext,
  setup: Partial<DaemonSetup>,
  content: { readonly files?: Readonly<Record<string, Buffer>>; readonly mails?: readonly string[] },
): Promise<Sent> {
  const port = await freePort();
  const directory = scratch(context, 'smtp');
  const maildir = join(directory, 'mail');
  await startAiosmtpd(context, port, maildir);
  const daemon = await startDaemon(context, { doors: [{ kind: 'smtp', to: port }], ...setup });
  const to = ['--server', `127.0.0.1:${daemon.ports[0]}`, '--from', FROM, '--to', TO];
  const written = (name: string, bytes: string | Buffer): string => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return `@${path}`;
  };
  const swaks = (...args: readonly string[]): string =>
    run('swaks', [...to, '--suppress-data', ...args], { statuses: [0, 26] });
  const attached = Object.entries(content.files ?? {}).flatMap(([name, bytes]) => [
    ...['--attach-name', name, '--attach', written(name, bytes)],
  ]);
  let said = attached.length > 0 ? swaks(...attached) : '';
  for (const [at, mail] of (content.mails ?? []).entries()) said += swaks('--data', written(`mail-${at}`, mail));
  const raw = readdirSync(join(maildir, 'new')).map((name) => readFileSync(join(maildir, 'new', name), 'latin1'));
  return { said, daemon, mails: delivered(maildir), raw };
}

const eicar = Buffer.from(EICAR);
const smtp = (...lines: readonly string[]): readonly string[] => [
  'config smtp',
  ...lines.map((each) => `    ${each}`),
  'end',
];

peerTest('monitor: an infected mail is delivered as it was sent, and logged', ['swaks'], async (context) => {
  const { said, mails, daemon } = await sent(
    context,
    { av: smtp('set av-scan monitor') },
    { files: { 'eicar.com': eicar } },
  );
  assert.match(said, DELIVERED);
  assert.equal(mails[0]?.find(({ name }) => name === 'eicar.com')?.sha256, sha256(eicar));
  await daemon.record({ type: 'utm', filename: 'eicar.com', virus: 'EICAR_TEST_FILE', action: 'monitored' });
});

peerTest(
  'without splice the infected part is exchanged for the replacement text, and nothing else is changed',
  ['swaks'],
  async (context) => {
    const random = randomBytes(200_000);
    const { said, mails, raw, daemon } = await sent(
      context,
      {
        options: smtp('set options fragmail'),
        sections: `config system replacemsg mail "email-virus"
    set buffer "Gone: %%FILE%% with %%VIRUS%%, from %%EMAIL_FROM%%."
end
`,
      },
      { files: { 'before.bin': random, 'eicar.com': eicar, 'behind.txt': Buffer.from('text\n') } },
    );
    assert.match(said, DELIVERED);
    const [parts = []] = mails;
    assert.deepEqual(
      parts.map(({ name }) => name).filter((name) => name !== null && name !== 'eicar.com'),
      ['before.bin', 'behind.txt'],
    );
    assert.equal(parts.find(({ name }) => name === 'before.bin')?.sha256, sha256(random));
    const texts = parts.flatMap(({ text }) => (text === null ? [] : [text.trim()]));
    assert.ok(texts.includes(`Gone: eicar.com with EICAR_TEST_FILE, from ${FROM}.`), JSON.stringify(texts));
    const [mail = EICAR] = raw;
    assert.ok(!mail.includes(eicar.toString('base64').slice(0, 40)) && !mail.includes(EICAR));
    await daemon.record({
      action: 'attachment-removed',
      service: 'SMTP',
      filename: 'eicar.com',
      virus: 'EICAR_TEST_FILE',
    });
  },
);

peerTest(
  'what is larger than the profile allows is refused, or is delivered unscanned, as it says',
  ['swaks'],
  async (context) => {
    const large = Buffer.concat([eicar, Buffer.alloc(1_100_000, '\n')]);
    const options = (flags: string): readonly string[] => [
      'set oversize-log enable',
      ...smtp('set oversize-limit 1', flags),
    ];
    const files = { 'large.txt': large, 'small.txt': Buffer.from('small\n') };
    const refused = await sent(context, { options: options('set options oversize splice') }, { files });
    assert.match(refused.said, REFUSED);
    assert.deepEqual(refused.mails, []);
    await refused.daemon.record({ type: 'utm', eventtype: 'oversize', action: 'blocked', filename: 'large.txt' });
    const passed = await sent(context, { options: options('set options splice') }, { files });
    assert.match(passed.said, DELIVERED);
    assert.equal(passed.mails[0]?.find(({ name }) => name === 'large.txt')?.sha256, sha256(large));
    await passed.daemon.record({ type: 'utm', eventtype: 'oversize', action: 'passthrough', filename: 'large.txt' });
  },
);

peerTest(
  'a mail in pieces (message/partial) is refused piece by piece, and with fragmail delivered and logged',
  ['swaks'],
  async (context) => {
    const whole = `From: <${FROM}>\nTo: <${TO}>\nContent-Type: application/octet-stream; name=eicar.com\n\n${EICAR}\n`;
    const half = whole.length - 40;
    const mails = [whole.slice(0, half), whole.slice(half)].map(
      (piece, at) =>
        `From: <${FROM}>\nTo: <${TO}>\nSubject: pieces\nMIME-Version: 1.0\nContent-Type: message/partial; id="1@example.test"; number=${at + 1}; total=2\n\n${piece}`,
    );
    const refused = await sent(context, {}, { mails });
    assert.equal(refused.said.match(new RegExp(REFUSED, 'g'))?.length, 2);
    assert.deepEqual(refused.mails, []);
    await refused.daemon.record({ type: 'utm', logid: '0261008450', action: 'blocked' });
    const passed = await sent(context, { options: smtp('set options fragmail splice') }, { mails });
    assert.equal(passed.said.match(new RegExp(DELIVERED, 'g'))?.length, 2);
    assert.equal(passed.raw.length, 2);
    await passed.daemon.record({ type: 'utm', eventtype: 'mimefragmented', action: 'passthrough' });
  },
);

/** What a record says of each, whatever was done. */
const ARCHIVE_RECORDS = {
  encrypted: { msg: 'Encrypted archive.' },
  corrupted: { msg: 'Corrupted archive.' },
  partiallycorrupted: { msg: 'Partially corrupted archive.' },
} as const;

peerTest(
  'encrypted and corrupted archives pass, are logged or are refused, as the profile says',
  ['swaks', 'zip'],
  async (context) => {
    const directory = scratch(context, 'zip');
    writeFileSync(join(directory, 'eicar.com'), EICAR);
    writeFileSync(join(directory, 'text.txt'), 'harmless text\n'.repeat(1_000));
    const zipped = (name: string, member: string, ...options: readonly string[]): Buffer => {
      run('zip', ['-q', '-j', ...options, join(directory, name), join(directory, member)]);
      return readFileSync(join(directory, name));
    };
    const broken = zipped('whole.zip', 'text.txt');
    const cut = Buffer.from(broken.subarray(0, -30));
    broken.fill(0xff, 80, 120);
    const log = 'set archive-log encrypted corrupted partiallycorrupted';
    for (const [reason, bytes] of [
      ['encrypted', zipped('encrypted.zip', 'eicar.com', '-P', 'secret')],
      ['corrupted', cut],
      ['partiallycorrupted', broken],
    ] as const) {
      const name = `${reason}.zip`;
      const files = { [name]: bytes };
      const silent = await sent(context, {}, { files });
      const logged = await sent(context, { av: smtp(log) }, { files });
      for (const { said, mails } of [silent, logged]) {
        assert.match(said, DELIVERED);
        assert.equal(mails[0]?.find((part) => part.name === name)?.sha256, sha256(bytes));
      }
      assert.ok(silent.daemon.records().every((record) => record.get('type') !== 'utm'));
      await logged.daemon.record({ type: 'utm', action: 'passthrough', filename: name, ...ARCHIVE_RECORDS[reason] });
      const refused = await sent(context, { av: smtp(`set archive-block ${reason}`, log) }, { files });
      assert.match(refused.said, REFUSED);
      assert.deepEqual(refused.mails, []);
      await refused.daemon.record({ type: 'utm', action: 'blocked', filename: name, ...ARCHIVE_RECORDS[reason] });
    }
  },
);
