import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { SourceError } from '../core/errors.js';
import { FileSink } from './file-sink.js';
import { MemorySink } from './memory-sink.js';
import { type FieldName, field, type LogRecord } from './record.js';
import { StreamSink } from './stream-sink.js';
import { FACILITIES, octetCounted, priority } from './syslog.js';
import { syslogMessage, syslogSink } from './syslog-sink.js';

function record(name: FieldName, value: string): LogRecord {
  return { level: 'warning', eventTime: 0n, fields: field(name, value) };
}

test('the file sink appends whole lines to what is there and follows a rotation', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  try {
    const path = join(folder, 'utm.log');
    for (const value of ['one', 'two']) {
      const sink = new FileSink(path, 'default');
      sink.write(record('filename', value));
      await sink.close();
    }
    assert.equal(readFileSync(path, 'utf8'), 'filename="one"\nfilename="two"\n');
    const sink = new FileSink(path, 'json');
    renameSync(path, `${path}.1`);
    sink.reopen();
    sink.write(record('filename', 'three'));
    await sink.close();
    assert.equal(readFileSync(path, 'utf8'), '{"filename":"three"}\n');
    assert.throws(() => sink.write(record('filename', 'four')), SourceError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a line that a crash has cut is ended before the next one, so that no record is lost in it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  try {
    const path = join(folder, 'utm.log');
    writeFileSync(path, 'filename="one"\nfilename="tw');
    const sink = new FileSink(path, 'default');
    for (const value of ['three', 'four']) sink.write(record('filename', value));
    await sink.close();
    assert.equal(readFileSync(path, 'utf8'), 'filename="one"\nfilename="tw\nfilename="three"\nfilename="four"\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a log file that cannot be opened or written is an error that names it', () => {
  assert.throws(
    () => new FileSink('/nonexistent/utm.log', 'default'),
    (error) => error instanceof SourceError && /\/nonexistent\/utm\.log/.test(error.message),
  );
  const full = new FileSink('/dev/full', 'default');
  assert.throws(() => full.write(record('filename', 'x')), SourceError);
});

test('the stream sink answers with a promise while its reader is behind, and goes on when there is room', async () => {
  const taken: string[] = [];
  let release = (): void => undefined;
  const stream = new Writable({
    highWaterMark: 8,
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      taken.push(chunk);
      release = done;
    },
  });
  const sink = new StreamSink(stream, 'default');
  const waiting = sink.write(record('filename', 'long enough'));
  assert.ok(waiting instanceof Promise);
  release();
  await waiting;
  assert.deepEqual(taken, ['filename="long enough"\n']);
});

test('a stream whose reader is gone fails the writer instead of hanging it', async () => {
  const stream = new Writable({ highWaterMark: 1, write: () => undefined });
  const sink = new StreamSink(stream, 'default');
  const waiting = sink.write(record('filename', 'x'));
  stream.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
  await assert.rejects(Promise.resolve(waiting), SourceError);
  assert.throws(() => sink.write(record('filename', 'y')), /broken pipe/);
});

test('the memory sink keeps the latest records and counts the others', () => {
  const sink = new MemorySink(2);
  for (const value of ['a', 'b', 'c']) sink.write(record('filename', value));
  assert.deepEqual(
    sink.records.map(({ fields }) => fields[0]?.value),
    ['b', 'c'],
  );
  assert.equal(sink.dropped, 1);
});

test('the priority is facility times eight plus severity, and the octet count counts bytes', () => {
  assert.equal(priority('local7', 'alert'), 185);
  assert.equal(priority('local7', 'warning'), 188);
  assert.equal(priority('local7', 'information'), 190);
  assert.equal(FACILITIES.length, 24);
  assert.equal(octetCounted('<188>é').toString(), '7 <188>é');
});

test('the priority of rfc5424 is not written twice', () => {
  assert.match(syslogMessage(record('logid', '1'), { format: 'rfc5424' }), /^<188>1 1970/);
  assert.match(syslogMessage(record('logid', '1'), { format: 'default' }), /^<188>logid="1"$/);
});

test('syslog over UDP sends a datagram a record, with the device behind the time', async () => {
  const server = createSocket('udp4');
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const sink = syslogSink({
    server: '127.0.0.1',
    port: server.address().port,
    mode: 'udp',
    format: 'default',
    device: { name: 'FGT', id: 'FG1' },
  });
  const received = once(server, 'message');
  const fields = [...field('date', '2022-01-13'), ...field('time', '16:13:04'), ...field('vd', 'root')];
  await sink.write({ level: 'warning', eventTime: 0n, fields });
  const [datagram] = (await received) as [Buffer];
  assert.equal(datagram.toString(), '<188>date=2022-01-13 time=16:13:04 devname="FGT" devid="FG1" vd="root"');
  await sink.close();
  server.close();
});

test('reliable syslog counts octets, keeps what came before the connection, and flushes at the end', async () => {
  const chunks: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => socket.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sink = syslogSink({ server: '127.0.0.1', port, mode: 'reliable', format: 'default' });
  await sink.write(record('vd', 'a'));
  await sink.write(record('vd', 'é'));
  await sink.close();
  assert.equal(Buffer.concat(chunks).toString(), '11 <188>vd="a"12 <188>vd="é"');
  server.close();
});

test('reliable syslog without a server drops past its backlog, and says at the end what was not sent', async () => {
  // A port that was free a moment ago refuses.
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const frame = octetCounted('<188>vd="a"').length;
  const sink = syslogSink({ server: '127.0.0.1', port, mode: 'reliable', format: 'default', backlog: 2 * frame });
  for (let count = 0; count < 3; count++) await sink.write(record('vd', 'a'));
  assert.equal(sink.dropped, 1);
  await assert.rejects(sink.close(), /2 records not sent/);
});
