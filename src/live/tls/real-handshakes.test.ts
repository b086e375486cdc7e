/** Handshakes that go wrong or on for ever, and what passes unread, through the daemon; the server is openssl's or Node's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type DaemonSetup, daemonConfig, type RunningDaemon, startDaemon } from '../../testing/peers/daemon.js';
import { peerTest, run, scratch } from '../../testing/peers/peers.js';

/** A mail server behind TLS that greets and says yes to everything, with a certificate that nobody signed. */
async function yes(context: TestContext): Promise<number> {
  const directory = scratch(context, 'yes');
  const [key, cert] = [join(directory, 'key'), join(directory, 'crt')];
  const names = ['-subj', '/CN=mail.test', '-addext', 'subjectAltName=DNS:mail.test', '-days', '9'];
  run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...names]);
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    socket.on('error', () => {});
    socket.write('220 here\r\n');
    socket.on('data', () => socket.write('250 yes\r\n'));
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function raw(context: TestContext, daemon: RunningDaemon): Socket {
  const socket = connect(daemon.ports[0] ?? 0, '127.0.0.1');
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  return socket;
}

async function closed(socket: Socket): Promise<string> {
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('hex');
  });
  if (!socket.destroyed) await once(socket, 'close');
  return heard;
}

/** Connects, waits for the greeting; whether a session was resumed, and the newest session. */
async function greeted(
  context: TestContext,
  daemon: RunningDaemon,
  session?: Buffer,
): Promise<{ reused: boolean; session: Buffer | undefined; socket: TLSSocket }> {
  const socket = tlsConnect({
    port: daemon.ports[0] ?? 0,
    host: '127.0.0.1',
    servername: 'mail.test',
    rejectUnauthorized: false,
    ...(session === undefined ? {} : { session }),
  });
  context.after(() => socket.destroy());
  socket.on('error', () => {});
  let newest: Buffer | undefined;
  socket.on('session', (each: Buffer) => {
    newest = each;
  });
  await once(socket, 'data');
  return { reused: socket.isSessionReused(), session: newest, socket };
}

peerTest(
  'FLT-016: clients that leave, stall or talk nonsense in their hello are ended, and nobody else is',
  ['openssl'],
  async (context) => {
    const daemon = await startDaemon(context, {
      doors: [{ kind: 'smtps', to: await yes(context) }],
      settings: ['set handshake-timeout 2'],
      ssl: ['set ssl-negotiation-log enable'],
    });
    const bystander = await greeted(context, daemon);
    const start = Buffer.from([0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3]);
    for (let length = 1; length <= start.length; length++) {
      const socket = raw(context, daemon);
      socket.end(start.subarray(0, length));
      await closed(socket);
    }
    const reset = raw(context, daemon);
    await once(reset, 'connect');
    reset.write(start, () => reset.resetAndDestroy());
    const nonsense = raw(context, daemon);
    nonsense.write('EHLO here\r\n');
    // A fatal alert: unexpected_message.
    assert.match(await closed(nonsense), /^15030.0002020a$/);
    const stalled = raw(context, daemon);
    stalled.write(start);
    const silent = raw(context, daemon);
    await Promise.all([closed(stalled), closed(silent)]);
    bystander.socket.write('NOOP\r\n');
    const [answer] = (await once(bystander.socket, 'data')) as [Buffer];
    assert.equal(answer.toString(), '250 yes\r\n');
    assert.match(await daemon.ask('get', 'system', 'status'), /Workers: 1 \(0 lost\)/);
    await daemon.record({ logid: '1700062101', eventsubtype: 'unexpected-protocol' });
  },
);

peerTest(
  'a server that stalls or leaves in its handshake is ended in time, and the client told',
  ['openssl'],
  async (context) => {
    const sockets: Socket[] = [];
    let leave = false;
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      sockets.push(socket);
      if (leave) socket.once('data', () => socket.destroy());
    }).listen(0, '127.0.0.1');
    context.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(server, 'listening');
    const daemon = await startDaemon(context, {
      doors: [{ kind: 'smtps', to: (server.address() as AddressInfo).port }],
      settings: ['set handshake-timeout 1'],
    });
    for (const left of [false, true]) {
      leave = left;
      const client = tlsConnect({ port: daemon.ports[0] ?? 0, host: '127.0.0.1', rejectUnauthorized: false });
      const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
      assert.match(error.code ?? '', /ALERT_HANDSHAKE_FAILURE|ALERT_INTERNAL_ERROR/);
    }
    await daemon.record({ logid: '1700062308', msg: 'SSL handshake failed: timeout' });
  },
);

peerTest(
  'TLS-019: after the configuration changed no session is resumed that was judged by the old one',
  ['openssl'],
  async (context) => {
    const setup: DaemonSetup = { doors: [{ kind: 'smtps', to: await yes(context) }] };
    const daemon = await startDaemon(context, setup);
    const first = await greeted(context, daemon);
    assert.ok(first.session !== undefined);
    assert.equal((await greeted(context, daemon, first.session)).reused, true);
    await daemon.ask('execute', 'reload');
    assert.equal((await greeted(context, daemon, first.session)).reused, false);
    const strict = { ...setup, ssl: ['config smtps', '    set untrusted-server-cert block', 'end'] };
    writeFileSync(daemon.configuration, daemonConfig(strict, daemon.ports, daemon.directory));
    await daemon.ask('execute', 'reload');
    await assert.rejects(greeted(context, daemon, first.session), /alert/);
    // The session that was let in before goes on.
    first.socket.write('NOOP\r\n');
    const [answer] = (await once(first.socket, 'data')) as [Buffer];
    assert.equal(answer.toString(), '250 yes\r\n');
  },
);

peerTest('without deep inspection TLS passes unread, and the log says so', ['openssl'], async (context) => {
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtps', to: await yes(context) }],
    ssl: ['config smtps', '    set status disable', 'end'],
  });
  const { socket } = await greeted(context, daemon);
  assert.equal(socket.getPeerCertificate().subject.CN, 'mail.test');
  assert.equal(socket.getPeerCertificate().issuer.CN, 'mail.test');
  const event = await daemon.record({ logdesc: 'Session passed uninspected' });
  assert.equal(event.get('msg'), 'tls-no-keys');
});

/** The first flight of Node's client for a name. */
async function helloFor(context: TestContext, servername: string): Promise<Buffer> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const client = tlsConnect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', servername });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  return hello;
}

/** The same hello with an encrypted one in it (draft-ietf-tls-esni, extension 0xfe0d), which nobody here can open. */
function sealed(hello: Buffer): Buffer {
  const extension = Buffer.from('fe0d000400000000', 'hex');
  const bytes = Buffer.concat([hello, extension]);
  // Behind random: session id, suites, compression methods.
  let at = 5 + 4 + 2 + 32;
  at += 1 + bytes.readUInt8(at);
  at += 2 + bytes.readUInt16BE(at);
  at += 1 + bytes.readUInt8(at);
  bytes.writeUInt16BE(bytes.readUInt16BE(at) + extension.length, at);
  bytes.writeUIntBE(bytes.readUIntBE(6, 3) + extension.length, 6, 3);
  bytes.writeUInt16BE(bytes.readUInt16BE(3) + extension.length, 3);
  return bytes;
}

peerTest('TLS-025: no exemption by name holds for a hello whose real name is sealed', [], async (context) => {
  const heard: Buffer[] = [];
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      heard.push(bytes);
      socket.destroy();
    });
  }).listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const exempt = [
    'config ssl-exempt',
    '    edit 1',
    '        set type wildcard-fqdn',
    '        set wildcard-fqdn "*.test"',
  ];
  const daemon = await startDaemon(context, {
    doors: [{ kind: 'smtps', to: (server.address() as AddressInfo).port }],
    ssl: ['set ssl-exemptions-log enable', ...exempt, '    next', 'end'],
  });
  const hello = await helloFor(context, 'mail.test');
  for (const bytes of [hello, sealed(hello)]) {
    const client = raw(context, daemon);
    client.write(bytes);
    await closed(client);
  }
  assert.equal(heard.length, 2);
  // The first passes as it is; the second is read by us, and the server gets a hello of ours.
  assert.equal(heard[0]?.equals(hello), true);
  assert.equal(heard[1]?.includes(hello.subarray(11, 43)), false);
  assert.equal(daemon.records().filter((record) => record.get('logid') === '1700062006').length, 1);
});
