/** Stitches through the daemon: an infected mail, an indicator by hand and by webhook, and what is done about them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { IOC_PATH, STITCH_PATH } from '../automation/incoming-webhook.js';
import { accepted, quarantineExample, startSimulator, UID } from '../testing/ems.js';
import { startMailSink } from '../testing/mail-sink.js';
import { type RunningDaemon, startDaemon } from '../testing/peers/daemon.js';
import { freePort } from '../testing/peers/peers.js';
import { EICAR } from '../testing/peers/scanned.js';
import { inspectd } from '../testing/program.js';
import { until } from '../testing/until.js';

/** Sends a mail with an infected file through the first door; rejects as the client saw it refused. */
async function sendInfected(port: number): Promise<void> {
  const transport = createTransport({ host: '127.0.0.1', port, ignoreTLS: true, connectionTimeout: 10_000 });
  const attachments = [{ filename: 'invoice "5".com', content: EICAR }];
  try {
    await transport.sendMail({ from: 'a@client.test', to: 'b@server.test', subject: 'hello', text: 'hi', attachments });
  } finally {
    transport.close();
  }
}

test('an infected mail that an endpoint sends has it quarantined by EMS, its sessions ended', async (context) => {
  const simulator = await startSimulator(context);
  simulator.endpoints.change(UID, { addresses: ['127.0.0.1'] });
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    sections: quarantineExample(simulator),
  });
  await accepted(daemon);
  await assert.rejects(sendInfected(daemon.ports[0] ?? 0));
  await until('EMS was told', () => simulator.endpoints.get(UID)?.quarantined === true);
  const record = await daemon.record({ logid: '0100046600' });
  assert.deepEqual(
    ['type', 'subtype', 'level', 'logdesc', 'stitch', 'trigger', 'stitchaction', 'from', 'msg'].map((name) =>
      record.get(name),
    ),
    [
      ...['event', 'system', 'notice', 'Automation stitch triggered', 'stitch01', 'trigger01', 'action01', 'log'],
      'stitch:stitch01 is triggered.',
    ],
  );
  await daemon.record({ logid: '0107045114', fctuid: UID });
  await daemon.record({ logid: '0100099127', ip: '127.0.0.1' });
  await until('clients are refused', async () => {
    try {
      await sendInfected(daemon.ports[0] ?? 0);
      return false;
    } catch (error) {
      return (error as { responseCode?: number }).responseCode === undefined;
    }
  });
  assert.equal(sink.mails.length, 0);
});

test('a profile that says so bans whoever sends what is infected', async (context) => {
  const sink = await startMailSink(context);
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    av: ['config nac-quar', 'set infected quar-src-ip', 'set expiry 1h30m', 'end'],
  });
  await assert.rejects(sendInfected(daemon.ports[0] ?? 0));
  await until('the address is banned', async () =>
    (await daemon.ask('diagnose', 'user', 'banned-ip', 'list')).includes('127.0.0.1'),
  );
  assert.match(await daemon.ask('diagnose', 'user', 'banned-ip', 'list'), /^127\.0\.0\.1 .* AV$/m);
});

const TOKEN = 'token-of-the-test-0123456789';

/** A daemon with a stitch for everything: ban, webhook, mail and record. */
async function busy(context: TestContext) {
  const bodies: string[] = [];
  const target = createServer((incoming, response) => {
    let body = `${incoming.method} ${incoming.url} ${incoming.headers['x-who']}\n`;
    incoming.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    incoming.on('end', () => {
      bodies.push(body);
      response.end();
    });
  });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  context.after(() => target.close());
  const { port } = target.address() as { port: number };
  const sink = await startMailSink(context);
  const webhook = await freePort();
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtp', to: sink.port }],
    settings: [`set automation-webhook 127.0.0.1:${webhook}`, `set automation-token "${TOKEN}"`],
    sections: `config system email-server
    set server "127.0.0.1"
    set port ${sink.port}
end
config system automation-trigger
    edit "ioc"
        set event-type ioc
        set ioc-level high
    next
    edit "banned-log"
        set event-type event-log
        set logid 99003
    next
    edit "called"
        set event-type incoming-webhook
    next
end
config system automation-action
    edit "ban"
        set action-type ban-ip
        set ban-time 600
    next
    edit "tell"
        set action-type webhook
        set uri "127.0.0.1:${port}/ioc?ip=%%log.srcip%%&file=%%log.filename%%"
        set http-body "{ \\"virus\\": \\"%%log.virus%%\\", \\"file\\": \\"%%log.filename%%\\" }"
        config http-headers
            edit 1
                set key "X-Who"
                set value "%%log.srcip%%"
            next
        end
    next
    edit "mail"
        set action-type email
        set email-to "soc@example.com"
        set email-subject "found %%log.virus%%"
        set message "at %%log.srcip%%"
    next
    edit "note"
        set action-type log
        set message "reload seen: %%log.logdesc%%"
    next
end
config system automation-stitch
    edit "on ioc"
        set trigger "ioc"
        config actions
            edit 1
                set action "mail"
                set required enable
            next
            edit 2
                set action "tell"
            next
            edit 3
                set action "ban"
                set delay 1
            next
        end
    next
    edit "on reload"
        set trigger "banned-log"
        set action "note"
    next
    edit "by name"
        set trigger "called"
        set action "ban"
    next
end
`,
  });
  return { daemon, bodies, mails: sink.mails, webhook };
}

test('mail, webhook and ban follow an infected mail in their order, what the sender wrote stays inside its quotes', async (context) => {
  const { daemon, bodies, mails } = await busy(context);
  await assert.rejects(sendInfected(daemon.ports[0] ?? 0));
  await until('the address is banned', async () =>
    (await daemon.ask('diagnose', 'user', 'banned-ip', 'list')).includes('127.0.0.1'),
  );
  assert.match(mails[0] ?? '', /^Subject: found EICAR_TEST_FILE\r$/m);
  assert.match(mails[0] ?? '', /^at 127\.0\.0\.1$/m);
  assert.equal(
    bodies[0],
    'POST /ioc?ip=127.0.0.1&file=invoice%20%225%22.com 127.0.0.1\n{ "virus": "EICAR_TEST_FILE", "file": "invoice \\"5\\".com" }',
  );
  await daemon.record({ logid: '0100099123', ip: '127.0.0.1' });
  await daemon.record({ logid: '0100099120', stitchaction: 'tell' });
});

test('a stitch by log id, one by hand, and one that cannot do its work', async (context) => {
  const { daemon, bodies } = await busy(context);
  await daemon.ask('execute', 'reload');
  await daemon.record({ logid: '0100099122', msg: 'reload seen: Configuration reloaded' });
  assert.equal(await daemon.ask('diagnose', 'automation', 'ioc', '192.0.2.7', 'medium'), 'stitches triggered: 0\n');
  assert.equal(await daemon.ask('diagnose', 'automation', 'ioc', '192.0.2.7', 'high', 'C2'), 'stitches triggered: 1\n');
  await daemon.record({ logid: '0100046600', stitch: 'on ioc', from: 'cli' });
  await until('the webhook was called', () => bodies.length === 1);
  assert.match(bodies[0] ?? '', /"virus": "C2"/);
  await daemon.ask('diagnose', 'automation', 'test', 'by name', '192.0.2.8');
  await until('the address is banned', async () =>
    (await daemon.ask('diagnose', 'user', 'banned-ip', 'list')).includes('192.0.2.8'),
  );
  await assert.rejects(daemon.ask('diagnose', 'automation', 'test', 'nothing'), /no stitch "nothing"/);
});

test('others tell of indicators and call stitches by a webhook, with the token alone', async (context) => {
  const { daemon, webhook } = await busy(context);
  const ca = await inspectd(['ca', '-c', daemon.configuration]);
  const post = (path: string, body: string, token = TOKEN): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ host: '127.0.0.1', port: webhook, path, method: 'POST', ca: ca.out, agent: false },
          headers: { authorization: `Bearer ${token}` },
        },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  assert.equal(await post(IOC_PATH, '{"ip":"192.0.2.9"}', 'token-of-somebody-else'), 401);
  assert.equal(await post(IOC_PATH, '{"ip":"192.0.2.9","level":"high","virus":"C2"}'), 200);
  await daemon.record({ logid: '0100046600', stitch: 'on ioc', from: 'webhook' });
  for (const bad of ['', '{', '[]', '{"ip":"nowhere"}', '{"ip":{"a":1}}', '{"ip":"192.0.2.9","level":"worst"}'])
    assert.equal(await post(IOC_PATH, bad), 400, bad);
  assert.equal(await post('/', '{}'), 404);
  assert.equal(await post(`${STITCH_PATH}nothing`, '{}'), 404);
  assert.equal(await post(`${STITCH_PATH}by%20name`, '{"srcip":"192.0.2.10"}'), 200);
  await daemon.record({ logid: '0100099123', ip: '192.0.2.10' });
  const failing = post(`${STITCH_PATH}by%20name`, '{}');
  assert.equal(await failing, 200);
  const record = await daemon.record({ logid: '0100099121', stitchaction: 'ban' });
  assert.match(record.get('msg') ?? '', /names no address/);
  assertNoToken(daemon);
});

function assertNoToken(daemon: RunningDaemon): void {
  const text = daemon
    .records()
    .map((each) => [...each].join())
    .join();
  assert.ok(!text.includes(TOKEN) && !daemon.said().includes(TOKEN));
}
