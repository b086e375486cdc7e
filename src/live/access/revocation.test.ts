// A session that is allowed no more is never left open, whatever its ends are doing at that moment; and those that are still allowed go on.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test as unlimited } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import {
  type AccessSetup,
  EMS,
  type RunningAccess,
  serverOf,
  startAccess,
  UID,
} from '../../testing/peers/access-proxy.js';
import { until } from '../../testing/until.js';

const test = (title: string, body: (context: TestContext) => Promise<void>): void =>
  void unlimited(title, { timeout: 60_000 }, body);

const RULE = (tag = 'AV-enabled', more: readonly string[] = []): string => `config firewall proxy-policy
    edit 4
        set proxy access-proxy
        set access-proxy "WIN2K16-P1-RDP"
        set srcintf "any"
        set srcaddr "all"
        set dstaddr "all"
        set ztna-ems-tag "${EMS}_${tag}"
        set action accept
        set schedule "always"
        set logtraffic all
${more.map((line) => `        ${line}\n`).join('')}    next
end
`;

/** What the server got and whether its connections are gone. */
interface Server {
  readonly port: number;
  got(): string;
  open(): number;
  readonly sockets: ReadonlySet<Socket>;
}

async function server(context: TestContext, serve: (socket: Socket) => void = () => {}): Promise<Server> {
  const sockets = new Set<Socket>();
  let got = '';
  const port = await serverOf(context, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1');
    });
    serve(socket);
  });
  return { port, got: () => got, open: () => sockets.size, sockets };
}

async function running(context: TestContext, port: number, setup: Partial<AccessSetup> = {}): Promise<RunningAccess> {
  const access = await startAccess(context, { rules: RULE(), server: port, ...setup });
  await access.endpoint(UID, { ems: EMS, cert: access.identity.serial, tags: 'AV-enabled' });
  return access;
}

const revoke = (access: RunningAccess): Promise<void> => access.endpoint(UID, { tags: '' });

/** A reset that overtakes what was not read yet looks like an end to Node. */
const closed = (socket: Duplex): Promise<void> => {
  socket.on('error', () => {});
  return new Promise((resolve) => {
    for (const event of ['end', 'close'] as const) socket.once(event, () => resolve());
  });
};

for (const encrypted of [false, true]) {
  const way = encrypted ? 'inside TLS' : 'without TLS';
  test(`a silent client, ${way}: both ends are closed at once`, async (context) => {
    const { port, open } = await server(context);
    const access = await running(context, port);
    const stream = await access.connect({ encrypted });
    stream.resume();
    const over = new Promise<void>((resolve) => stream.once('close', () => resolve()));
    stream.on('error', () => {});
    let ended = false;
    stream.on('end', () => {
      ended = true;
    });
    await until('the server has it', () => open() === 1);
    await revoke(access);
    await over;
    await until('the server has lost it', () => open() === 0);
    assert.ok(!ended, 'a reset, no end');
    await access.daemon.record({ logid: '2101060510', policyid: '4' });
  });

  test(`a client that said FIN and waits for the rest, ${way}: it gets no more`, async (context) => {
    const sending: Socket[] = [];
    const { port, open, got } = await server(context, (socket) => sending.push(socket));
    const access = await running(context, port);
    const stream = await access.connect({ encrypted });
    let received = '';
    stream.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    stream.resume();
    stream.end('last words');
    await until('the last words came', () => got() === 'last words');
    sending[0]?.write('before');
    await until('the answer came', () => received === 'before');
    const over = closed(stream);
    await revoke(access);
    sending[0]?.write('after');
    await over;
    assert.equal(received, 'before');
    // Node listens no more to one that has ended; writing tells it.
    await until('it is gone', () => {
      for (const socket of sending) socket.write('after');
      return open() === 0;
    });
  });

  test(`a server that floods a client that does not read, ${way}: nothing of what waits goes on`, async (context) => {
    const { port, open } = await server(context, (socket) => {
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more);
      more();
    });
    const access = await running(context, port);
    const stream = await access.connect({ encrypted });
    stream.pause();
    await until('the server has it', () => open() === 1);
    const over = closed(stream);
    await revoke(access);
    await until('the server has lost it', () => open() === 0);
    await access.daemon.record({ logid: '2101060510' });
    stream.resume();
    await over;
  });
}

/** Lets through a half of the next write, and keeps the rest. */
class Halved extends Duplex {
  readonly #wire: Socket;
  armed = false;
  rest: Buffer = Buffer.alloc(0);

  constructor(wire: Socket) {
    super({ allowHalfOpen: true });
    this.#wire = wire;
    wire.on('data', (chunk: Buffer) => this.push(chunk));
    wire.on('close', () => this.destroy());
    wire.on('error', () => {});
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const half = this.armed ? chunk.length >> 1 : chunk.length;
    this.rest = chunk.subarray(half);
    this.#wire.write(chunk.subarray(0, half), () => done());
  }
}

test('a client in the middle of a TLS record: the rest of it comes too late', async (context) => {
  const { port, got, open } = await server(context);
  const access = await running(context, port);
  const wire = connect(access.port, '127.0.0.1');
  const halved = new Halved(wire);
  const { certificate: cert, key } = access.identity;
  const tls = tlsConnect({ socket: halved, host: '127.0.0.1', ca: access.authority.certificate, cert, key });
  tls.on('error', () => {});
  tls.write(
    `GET /tcp?address=127.0.0.1&port=${port}&tls=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: tcp-forwarding/1.0\r\nConnection: Upgrade\r\n\r\n`,
  );
  await once(tls, 'data');
  tls.write('whole');
  await until('the first record came', () => got() === 'whole');
  halved.armed = true;
  tls.write('never'.repeat(100));
  await until('a half is kept back', () => halved.rest.length > 0);
  const over = closed(wire);
  await revoke(access);
  wire.write(halved.rest);
  await over;
  await until('the server has lost it', () => open() === 0);
  assert.equal(got(), 'whole');
});

test('a mail that is held: nothing of it reaches the server, before or after', async (context) => {
  const greeted = (socket: Socket): void => {
    socket.write('220 mail.test ESMTP\r\n');
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1))
        socket.write(line.startsWith('EHLO') ? '250 mail.test\r\n' : line === 'DATA' ? '354 go on\r\n' : '250 OK\r\n');
    });
  };
  const { port, got, open } = await server(context, greeted);
  const profiles = `config firewall profile-protocol-options
    edit "options"
        config smtp
            set ports ${port}
        end
    next
end
`;
  const more = ['set utm-status enable', 'set av-profile "default"', 'set profile-protocol-options "options"'];
  const access = await running(context, port, { sections: profiles, rules: RULE('AV-enabled', more) });
  const stream = await access.connect();
  let said = '';
  stream.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  stream.resume();
  for (const [line, answer] of [
    ['EHLO pc', '250 mail.test'],
    ['MAIL FROM:<a@example.test>', '250 '],
    ['RCPT TO:<b@example.test>', '250 '],
    ['DATA', '354 '],
  ] as const) {
    said = '';
    stream.write(`${line}\r\n`);
    await until(`an answer to ${line}`, () => said.includes(answer));
  }
  stream.write(`Subject: held\r\n\r\n${'secret '.repeat(10_000)}\r\n`);
  const over = closed(stream);
  await revoke(access);
  stream.write('.\r\n');
  await over;
  await until('the server has lost it', () => open() === 0);
  assert.ok(!got().includes('secret') && !got().includes('Subject'));
});

test('with several processes and sessions: all of the endpoint end, and none of another', async (context) => {
  const { port, open } = await server(context, (socket) => socket.pipe(socket));
  const access = await running(context, port, { settings: ['set workers 2'] });
  const otherUid = UID.replace('F4', '00');
  const other = access.authority.issue(otherUid);
  await access.endpoint(otherUid, { ems: EMS, cert: other.serial, tags: 'AV-enabled' });
  const mine = await Promise.all(Array.from({ length: 12 }, () => access.connect()));
  const theirs = await Promise.all(Array.from({ length: 12 }, () => access.connect(other)));
  await until('all are there', () => open() === 24);
  const over = mine.map((stream) => {
    stream.resume();
    return closed(stream);
  });
  await revoke(access);
  await Promise.all(over);
  await until('half of them are gone', () => open() === 12);
  for (const stream of theirs) {
    stream.write('a');
    stream.resume();
    await once(stream, 'data');
  }
  const ended = access.daemon.records().filter((each) => each.get('logid') === '2101060510');
  assert.equal(ended.length, 12);
});

test('a process that takes the place of one that was lost knows the endpoints', async (context) => {
  const { port } = await server(context, (socket) => socket.pipe(socket));
  const access = await running(context, port);
  const { pid } = access.daemon.process;
  const children = (): string[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
      .split(' ')
      .filter((each) => each !== '');
  const [lost] = children();
  process.kill(Number(lost), 'SIGKILL');
  await until('another is there', () => children().length === 1 && children()[0] !== lost);
  let stream: Awaited<ReturnType<RunningAccess['connect']>> | undefined;
  for (let tries = 0; stream === undefined && tries < 100; tries++) {
    stream = await access.connect().catch(() => undefined);
    if (stream === undefined) await sleep(50);
  }
  assert.ok(stream !== undefined);
  const over = closed(stream);
  stream.resume();
  await revoke(access);
  await over;
});

test('reloads: what is the same costs nothing, a server that is mapped no more ends its sessions', async (context) => {
  const { port, open } = await server(context, (socket) => socket.pipe(socket));
  const setup = { rules: RULE(), server: port };
  const access = await running(context, port, setup);
  const stream = await access.connect();
  stream.resume();
  await access.reload({ ...setup, settings: ['set idle-timeout 1000'] });
  await access.reload({
    ...setup,
    rules: `${RULE()}config firewall proxy-policy\n edit 9\n set action deny\n set proxy access-proxy\n next\nend\n`,
  });
  stream.write('a');
  await once(stream, 'data');
  const over = closed(stream);
  await access.reload({ ...setup, mappedport: [port === 9 ? 10 : 9] });
  await over;
  await until('the server has lost it', () => open() === 0);
});

test('a client that came by the old rules and asks behind a reload is not let in by them', async (context) => {
  const { port, open } = await server(context);
  const setup = { rules: RULE(), server: port };
  const access = await running(context, port, setup);
  const { certificate: cert, key } = access.identity;
  const tls = tlsConnect({ host: '127.0.0.1', port: access.port, ca: access.authority.certificate, cert, key });
  await once(tls, 'secureConnect');
  await access.reload({ ...setup, rules: RULE('Low') });
  let got = '';
  tls.on('data', (chunk: Buffer) => {
    got += chunk.toString();
  });
  const over = closed(tls);
  tls.write(
    `GET /tcp?address=127.0.0.1&port=${port}&tls=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: tcp-forwarding/1.0\r\nConnection: Upgrade\r\n\r\n`,
  );
  await over;
  assert.equal(got, '');
  assert.equal(open(), 0);
  await access.daemon.record({ logid: '2101060510' });
});

test('changes in the middle of a reload: whoever may not is gone when both are over', async (context) => {
  const { port, open } = await server(context, (socket) => socket.pipe(socket));
  const setup = { rules: RULE(), server: port };
  const access = await running(context, port, { ...setup, settings: ['set workers 2'] });
  for (let round = 0; round < 3; round++) {
    await access.endpoint(UID, { tags: 'AV-enabled' });
    const streams = await Promise.all(Array.from({ length: 6 }, () => access.connect()));
    const over = streams.map((stream) => {
      stream.resume();
      return closed(stream);
    });
    const reloading = access.reload({ ...setup, settings: ['set workers 2', `set idle-timeout ${1000 + round}`] });
    await revoke(access);
    await Promise.all([reloading, ...over]);
    await until('the server has lost them', () => open() === 0);
  }
});
