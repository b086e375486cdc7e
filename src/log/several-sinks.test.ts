import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemorySink } from './memory-sink.js';
import type { LogRecord } from './record.js';
import { severalSinks } from './several-sinks.js';
import type { LogSink } from './sink.js';

const RECORD: LogRecord = { level: 'notice', eventTime: 0n, fields: [] };

function sink(write: LogSink['write'], close: LogSink['close'] = () => Promise.resolve()): LogSink {
  return { write, close };
}

test('a record that all took at once is out at once', () => {
  const [one, other] = [new MemorySink(), new MemorySink()];
  assert.equal(severalSinks([one, other]).write(RECORD), undefined);
  assert.deepEqual([one.records.length, other.records.length], [1, 1]);
  assert.equal(severalSinks([]).write(RECORD), undefined);
});

test('a record is out when the last has it', async () => {
  let done = (): void => {};
  const slow = sink(
    () =>
      new Promise<void>((resolve) => {
        done = resolve;
      }),
  );
  let out = false;
  const written = severalSinks([slow, new MemorySink(), sink(() => Promise.resolve())]).write(RECORD);
  void written?.then(() => {
    out = true;
  });
  await new Promise(setImmediate);
  assert.equal(out, false);
  done();
  await written;
});

test('one that fails, at once or later, is told, keeps the record from no other, and nothing is left unheard', async () => {
  const failing = sink(() => {
    throw new Error('disk full');
  });
  const rejecting = sink(() => Promise.reject(new Error('too late')));
  const last = new MemorySink();
  assert.throws(() => severalSinks([rejecting, failing, last]).write(RECORD), /disk full/);
  assert.equal(last.records.length, 1);
  await assert.rejects(Promise.resolve(severalSinks([rejecting, last]).write(RECORD)), /too late/);
  assert.equal(last.records.length, 2);
  await new Promise(setImmediate);
});

test('all are closed, also behind one that cannot be', async () => {
  let closed = 0;
  const good = sink(
    () => {},
    () => {
      closed++;
      return Promise.resolve();
    },
  );
  const bad = sink(
    () => {},
    () => Promise.reject(new Error('stuck')),
  );
  await assert.rejects(severalSinks([bad, good]).close(), /stuck/);
  assert.equal(closed, 1);
});
