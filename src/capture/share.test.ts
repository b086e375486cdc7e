import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionStart } from './connection.js';
import { ownerOf } from './share.js';

function between(client: string, server: string, port: number): ConnectionStart {
  return {
    client: { address: client, port: 40_000 },
    server: { address: server, port },
    packet: 0,
    time: 0n,
    midstream: false,
  };
}

test('connections of the same two hosts fall to one thread, whoever dialled', () => {
  for (let host = 0; host < 200; host++) {
    const client = `10.0.0.${host}`;
    const there = ownerOf(between(client, '172.16.200.55', 21), 7);
    assert.equal(ownerOf(between('172.16.200.55', client, 20), 7), there);
    assert.ok(there >= 0 && there < 7);
  }
});

test('clients of one server are spread over the threads', () => {
  const counts = [0, 0, 0, 0];
  for (let host = 0; host < 400; host++)
    counts[ownerOf(between(`10.0.${host >> 6}.${host & 63}`, 'fd00::1', 25), 4)]!++;
  assert.ok(Math.min(...counts) > 60, counts.join());
});

test('all of SMB falls to one thread: its channels may lie between any addresses', () => {
  const one = ownerOf(between('10.0.0.1', '10.0.1.1', 445), 3);
  assert.equal(ownerOf(between('10.7.0.2', '10.8.1.9', 445), 3), one);
  assert.equal(ownerOf(between('10.7.0.2', '10.8.1.9', 139), 3), one);
});
