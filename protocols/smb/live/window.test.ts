// Numbers and credits toward the server.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { COMMAND, HEADER } from '../smb2-message.js';
import { type Command, commandsIn } from './message.js';
import { type Outgoing, ServerWindow } from './window.js';
import type { Wire } from './wire.js';

interface Sent {
  readonly command: number;
  readonly id: number;
  readonly charge: number;
}

/** A window, what went out of it, and why it gave up. */
function opened(): { window: ServerWindow; sent: Sent[]; stuck: string[] } {
  const sent: Sent[] = [];
  const stuck: string[] = [];
  const out = (bytes: Buffer): void =>
    void sent.push({ command: bytes.readUInt16LE(12), id: bytes.readUInt32LE(24), charge: bytes.readUInt16LE(6) });
  const wire = {
    send: (_: unknown, bytes: Buffer) => out(bytes),
    forward: (_: unknown, bytes: Buffer) => out(bytes.subarray(4)),
  } as unknown as Wire;
  const window = new ServerWindow(wire, 100, (why) => stuck.push(why));
  window.multiCredit = true;
  return { window, sent, stuck };
}

function bytesOf(command: number, id: number, charge: number, credits = 0): Buffer {
  const bytes = Buffer.alloc(HEADER + 4);
  bytes.writeUInt32BE(0xfe53_4d42, 0);
  bytes.writeUInt16LE(charge, 6);
  bytes.writeUInt16LE(command, 12);
  bytes.writeUInt16LE(credits, 14);
  bytes.writeUInt32LE(id, 24);
  return bytes;
}

function request(charge: number, from?: Outgoing['from']): Outgoing {
  const bytes = bytesOf(COMMAND.read, from?.id ?? 0, charge);
  return { bytes, keys: undefined, seal: false, from, answered: () => {} };
}

function answer(command: number, id: number, credits: number): Command {
  return commandsIn(bytesOf(command, id, 0, credits), false, undefined)![0]!;
}

test('requests wait for credits, in their order, and take as many numbers as credits', () => {
  const { window, sent } = opened();
  window.granted(3);
  window.send(request(3));
  window.send(request(2));
  window.send(request(1));
  assert.deepEqual(
    sent.map(({ id }) => id),
    [0],
  );
  window.answer(answer(COMMAND.read, 0, 2));
  assert.deepEqual(
    sent.map(({ id }) => id),
    [0, 3, 5],
  );
});

test('numbers in front of one that must be kept go to an ECHO', () => {
  const { window, sent, stuck } = opened();
  window.granted(10);
  const wire = Buffer.concat([Buffer.alloc(4), bytesOf(COMMAND.read, 5, 1)]);
  window.send(request(1, { id: 5, wire, fixed: true }));
  assert.deepEqual(sent, [
    { command: COMMAND.echo, id: 0, charge: 5 },
    { command: COMMAND.read, id: 5, charge: 1 },
  ]);
  window.send(request(1, { id: 4, wire, fixed: true }));
  assert.deepEqual(stuck, ['taken']);
});

test('with too few credits and nothing under way an ECHO asks for more, and not for ever', () => {
  const { window, sent, stuck } = opened();
  window.send(request(8));
  assert.deepEqual(sent, [{ command: COMMAND.echo, id: 0, charge: 1 }]);
  window.answer(answer(COMMAND.echo, 0, 8));
  assert.deepEqual(sent.at(-1), { command: COMMAND.read, id: 1, charge: 8 });
  const mean = opened();
  mean.window.send(request(8));
  for (let id = 0; id < 100; id++) mean.window.answer(answer(COMMAND.echo, id, 1));
  assert.deepEqual(mean.stuck, ['many']);
  assert.deepEqual(stuck, []);
});

test('an answer to another command than was asked ends it', () => {
  const { window, stuck } = opened();
  window.send(request(1));
  assert.equal(window.answer(answer(COMMAND.create, 0, 1)), 'client');
  assert.deepEqual(stuck, ['other']);
  assert.equal(window.answer(answer(COMMAND.read, 77, 1)), undefined);
});
