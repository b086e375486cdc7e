import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { type TestContext, test } from 'node:test';
import { ConfigError } from '../core/errors.js';
import { CLIENT, type Related, SERVER } from '../core/flow.js';
import { MemorySink } from '../log/memory-sink.js';
import { fieldValue, type LogRecord } from '../log/record.js';
import { EICAR } from '../testing/inspecting.js';
import { recording, staged } from '../testing/staged.js';
import { InspectionStage, type StageOptions } from './stage.js';

const BODY = EICAR.toString('latin1');
const INFECTED = `Subject: x\r\n\r\n${BODY}`;
const CLEAN = 'Subject: x\r\n\r\nhello';

async function start(context: TestContext, options: StageOptions = {}): Promise<InspectionStage> {
  const stage = await InspectionStage.start(options);
  context.after(() => stage.close());
  return stage;
}

/** One policy for all, with this in its antivirus profile's `config smtp`. */
const policy = (smtp: string): string => `config antivirus profile
    edit "av"
        config smtp
            ${smtp}
        end
        config ftp
            set av-scan block
        end
    next
end
config firewall profile-protocol-options
    edit "options"
        config ftp
            set options clientcomfort
            set comfort-interval 1
            set comfort-amount 100
        end
    next
end
config firewall policy
    edit 7
        set srcintf "any"
        set dstintf "any"
        set srcaddr "all"
        set dstaddr "all"
        set action accept
        set schedule "always"
        set service "ALL"
        set utm-status enable
        set inspection-mode proxy
        set av-profile "av"
        set profile-protocol-options "options"
    next
end
`;

/** Answers when it is told to. */
function gate() {
  const waiting: { readonly record: LogRecord; done(): void; fail(error: Error): void }[] = [];
  return {
    waiting,
    sink: {
      write: (record: LogRecord) =>
        new Promise<void>((done, fail) => {
          waiting.push({ record, done, fail });
        }),
      close: () => Promise.resolve(),
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a mail with a virus never reaches the server, its sender is told, and the next mail passes', async (context) => {
  const log = new MemorySink();
  const stage = await start(context, { log });
  const { greet, mail, said, take, server, connection } = staged(stage);
  greet();
  assert.match(mail(INFECTED), /^554 5\.7\.1 .*EICAR_TEST_FILE.*\r\n$/);
  assert.equal(take(SERVER), 'RSET\r\n');
  server('250 ok\r\n');
  assert.deepEqual(
    said.filter((each) => !/^(pause|go on)/.test(each)),
    ['infected blocked', 'judged block'],
  );
  assert.equal(log.records.length, 1);
  assert.equal(fieldValue(log.records[0]!, 'virus'), 'EICAR_TEST_FILE');
  assert.equal(connection.service, 'SMTP');
  const next = staged(stage);
  next.greet();
  assert.equal(next.mail(CLEAN), '');
  assert.equal(next.take(SERVER), 'DATA\r\n');
  next.server('354 go\r\n');
  assert.equal(next.take(SERVER), `${CLEAN}\r\n.\r\n`);
  assert.equal(stage.held, 0);
});

test('FLT-011: a verdict waits until its record is written, also one that lets the mail pass', async (context) => {
  const { sink, waiting } = gate();
  for (const scan of ['block', 'monitor']) {
    const stage = await start(context, { log: sink, config: policy(`set av-scan ${scan}`) });
    const { greet, mail, take } = staged(stage);
    greet();
    assert.equal(mail(INFECTED), '');
    await turn();
    assert.equal(take(SERVER), '');
    const [wait] = waiting.splice(0);
    wait?.done();
    await turn();
    if (scan === 'block') assert.match(take(CLIENT), /^554 /);
    else assert.equal(take(SERVER), 'DATA\r\n');
  }
});

test('FLT-011: what cannot be put on record does not pass: its connection ends, others go on', async (context) => {
  for (const fail of ['later', 'at once']) {
    const { sink, waiting } = gate();
    const failing = {
      ...sink,
      write: (record: LogRecord) => {
        if (fail === 'at once') throw new Error('disk full');
        return sink.write(record);
      },
    };
    const stage = await start(context, { log: failing, config: policy('set av-scan monitor') });
    const { greet, mail, said, sent, connection } = staged(stage);
    greet();
    const before = sent(SERVER);
    mail(INFECTED);
    waiting[0]?.fail(new Error('disk full'));
    await turn();
    assert.equal(sent(SERVER), before);
    assert.ok(said.includes('reset log-failed') && said.includes('failed Error: disk full'), said.join('\n'));
    assert.equal(connection.alive, false);
    const other = staged(stage);
    other.greet();
    other.mail(CLEAN);
    assert.equal(other.take(SERVER), 'DATA\r\n');
    assert.equal(stage.held > 0, true);
    other.connection.close();
    assert.equal(stage.held, 0);
  }
});

test('stages with different profiles live in one process', async (context) => {
  const blocking = staged(await start(context, { config: policy('set av-scan block') }));
  const monitoring = staged(await start(context, { config: policy('set av-scan monitor') }));
  const blind = staged(await start(context, { config: policy('set av-scan disable') }));
  const strict = staged(await start(context));
  const replies = [blocking, monitoring, blind, strict].map((each) => {
    each.greet();
    return each.mail(INFECTED).slice(0, 3);
  });
  assert.deepEqual(replies, ['554', '', '', '554']);
  assert.deepEqual(
    [monitoring, blind].map(({ said }) => said.filter((each) => /^(infected|judged)/.test(each))),
    [['infected monitored', 'judged monitor'], ['judged pass']],
  );
});

test('a reload holds for connections that come after it, and one that is wrong changes nothing', async (context) => {
  const stage = await start(context, { config: policy('set av-scan block') });
  const before = staged(stage);
  before.greet();
  assert.match(before.mail(INFECTED), /^554 /);
  await stage.reload({ config: policy('set av-scan monitor') });
  const after = staged(stage);
  after.greet();
  assert.equal(after.mail(INFECTED), '');
  assert.equal(after.take(SERVER), 'DATA\r\n');
  await assert.rejects(stage.reload({ config: policy('set av-scan nonsense') }), ConfigError);
  await assert.rejects(stage.reload({ signatures: ['/nowhere/at/all.yar'] }), ConfigError);
  const still = staged(stage);
  still.greet();
  assert.equal(still.mail(INFECTED), '');
  // The one that was open goes on, by the policy that it was admitted by.
  before.server('250 ok\r\n');
  for (const line of ['MAIL FROM:<a@example.test>', 'RCPT TO:<b@example.test>']) {
    before.client(`${line}\r\n`);
    before.server('250 ok\r\n');
  }
  before.take(CLIENT);
  assert.match(before.mail(INFECTED), /^554 /);
});

test('a connection that closes with something held drops it, whatever its verdict is', async (context) => {
  const { sink, waiting } = gate();
  const stage = await start(context, { log: sink, config: policy('set av-scan monitor') });
  const { greet, mail, connection, sent, said } = staged(stage);
  greet();
  const before = sent(SERVER);
  mail(INFECTED);
  assert.ok(stage.held > 0);
  connection.close();
  assert.equal(stage.held, 0);
  waiting[0]?.done();
  await turn();
  assert.equal(sent(SERVER), before);
  assert.ok(!said.some((each) => each.startsWith('reset')));
  // Nothing is wrong with doing it twice, or with bytes that come late.
  connection.close();
  connection.receive(CLIENT, Buffer.from('x'));
  connection.end(SERVER);
  assert.equal(sent(SERVER), before);
});

test('what all connections of a stage hold is bounded: the one that crosses it ends', async (context) => {
  const stage = await start(context, { limits: { heldInAll: 3000 } });
  const one = staged(stage);
  const other = staged(stage);
  for (const each of [one, other]) {
    each.greet();
    each.client('DATA\r\n');
  }
  one.client(`Subject: x\r\n\r\n${'a'.repeat(1000)}\r\n`);
  other.client(`Subject: x\r\n\r\n${'b'.repeat(2500)}\r\n`);
  assert.deepEqual([one.connection.alive, other.connection.alive], [true, false]);
  assert.ok(other.said.includes('reset held-limit-of-all'));
  one.take(CLIENT);
  one.client('.\r\n');
  assert.equal(one.take(SERVER).slice(-6), 'DATA\r\n');
});

test('without what it takes, TLS ends a connection and announced connections are refused', async (context) => {
  const stage = await start(context);
  const tls = staged(stage);
  tls.server('220 mail ESMTP\r\n');
  tls.client('EHLO a\r\n');
  tls.server('250-mail\r\n250 STARTTLS\r\n');
  tls.client('STARTTLS\r\n');
  tls.server('220 go\r\n');
  assert.equal(tls.said.at(-1), 'reset no-tls');
  const ftp = staged(stage, { server: { address: '192.0.2.2', port: 21 } });
  ftp.server('220 ftp\r\n');
  ftp.client('USER a\r\n');
  ftp.server('230 in\r\n');
  ftp.client('PASV\r\n');
  ftp.server('227 Entering Passive Mode (192,0,2,2,4,1)\r\n');
  assert.match(ftp.take(CLIENT), /\r\n(4|5)\d\d .*\r\n$/);
  assert.equal(ftp.connection.alive, true);
});

/** An FTP control connection whose client has asked for a file, and the connection that it announced. */
async function download(stage: InspectionStage) {
  let announced: Related | undefined;
  const control = staged(
    stage,
    { server: { address: '192.0.2.2', port: 21 } },
    {
      expect: (related, ready) => {
        announced = related;
        ready({ address: '192.0.2.9', port: 2000 });
      },
    },
  );
  control.server('220 ftp\r\n');
  control.client('USER a\r\n');
  control.server('230 in\r\n');
  control.client('TYPE I\r\n');
  control.server('200 ok\r\n');
  control.client('PASV\r\n');
  control.server('227 Entering Passive Mode (192,0,2,2,4,1)\r\n');
  assert.match(control.take(CLIENT), /192,0,2,9,7,208/);
  control.client('RETR a.bin\r\n');
  control.server('150 here it comes\r\n');
  assert.ok(announced);
  const bytes: [Buffer[], Buffer[]] = [[], []];
  const said: string[] = [];
  const heard: (() => void)[] = [];
  const output = recording(bytes, said);
  const data = control.connection.related(
    announced,
    {},
    {
      ...output,
      write: (toward, each) => {
        output.write(toward, each);
        for (const hear of heard.splice(0)) hear();
      },
    },
  );
  return {
    control,
    data,
    said,
    got: () => Buffer.concat(bytes[CLIENT]),
    more: () => new Promise<void>((resolve) => heard.push(resolve)),
  };
}

test('a connection that was announced is inspected as part of its parent', async (context) => {
  const stage = await start(context, { config: policy('set av-scan block') });
  const { control, data, said, got } = await download(stage);
  data.receive(SERVER, Buffer.from(EICAR));
  data.end(SERVER);
  control.server('226 done\r\n');
  assert.equal(got().length, 0);
  assert.match(control.take(CLIENT), /550 .*EICAR_TEST_FILE/);
  assert.ok(said.some((each) => each.startsWith('reset')));
});

test('a receiver is comforted with the amount that its profile says, and never gets the last bytes before the verdict', async (context) => {
  const comfortTail = 1000;
  const stage = await start(context, { config: policy('set av-scan block'), limits: { comfortTail } });
  const { control, data, got, more } = await download(stage);
  const content = Buffer.alloc(1150, 'a');
  data.receive(SERVER, content);
  await more();
  assert.equal(got().length, 100);
  await more();
  assert.equal(got().length, 150);
  data.receive(SERVER, Buffer.from('the end'));
  data.end(SERVER);
  control.server('226 done\r\n');
  while (got().length < 1157) await turn();
  assert.equal(got().toString(), `${content.toString()}the end`);
});

test('oddities are told once each, and no more kinds than the limit', async (context) => {
  const stage = await start(context, { limits: { anomaliesPerFlow: 1 } });
  const odd: string[] = [];
  const { connection, client, server } = staged(
    stage,
    {},
    {
      event: (event) => {
        if (event.kind === 'anomaly') odd.push(event.code);
      },
    },
  );
  server('220 mail ESMTP\r\n');
  for (let times = 0; times < 3; times++) client('NO\u0000OP\r\n');
  client(`${'x'.repeat(70_000)}\r\n`);
  assert.equal(odd.length, 1);
  assert.deepEqual([...connection.anomalies.keys()], odd);
  assert.ok((connection.anomalies.get(odd[0] ?? '') ?? 0) >= 3);
});

test('what is none of our protocols passes where none of them is at home, and ends where one is', async (context) => {
  const stage = await start(context);
  const foreign = staged(stage, { server: { address: '192.0.2.2', port: 4711 } });
  foreign.client('\x01\x02\x03\x04 anything at all\n');
  foreign.server('\x05\x06\x07\x08 back\n');
  for (let times = 0; times < 100; times++) foreign.client('\x01\x02 more and more and more of it\n'.repeat(10));
  assert.ok(foreign.said.includes('bypassed unknown-protocol true'), foreign.said.join('\n'));
  assert.equal(foreign.sent(CLIENT), '\x05\x06\x07\x08 back\n');
  const home = staged(stage);
  home.client('\x01\x02\x03\x04 anything at all\n');
  home.server('\x05\x06\x07\x08 back\n');
  for (let times = 0; times < 100; times++) home.client('\x01\x02 more and more and more of it\n'.repeat(10));
  assert.equal(home.connection.alive, false);
  assert.equal(home.sent(SERVER).length, 0);
});

test('EICAR must be found, or a stage does not start; so must what its configuration and signatures are', async () => {
  await assert.rejects(InspectionStage.start({ config: 'config nonsense' }), ConfigError);
  await assert.rejects(InspectionStage.start({ signatures: ['/nowhere/at/all.yar'] }), ConfigError);
});
