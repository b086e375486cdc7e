import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, SERVER } from '../core/flow.js';
import {
  ACK,
  type CapturedFrame,
  Conversation,
  type ConversationOptions,
  FIN,
  PSH,
  pcapFile,
  RST,
  SYN,
  URG,
} from '../testing/packets.js';
import { type RecordedConnection, recordCapture } from '../testing/recorded-capture.js';

async function connectionsOf(frames: readonly CapturedFrame[]): Promise<RecordedConnection[]> {
  return (await recordCapture(pcapFile(frames))).connections;
}

async function only(frames: readonly CapturedFrame[]): Promise<RecordedConnection> {
  const connections = await connectionsOf(frames);
  assert.equal(connections.length, 1);
  return connections[0]!;
}

function opened(options: ConversationOptions = {}): Conversation {
  return new Conversation(options).open();
}

/** A handshake and one exchange with the frames of `text` (5 bytes each) in between, apart so that a test can move them. */
function pieces(
  text: string,
  acknowledged = false,
): { head: CapturedFrame[]; body: CapturedFrame[]; tail: CapturedFrame[] } {
  const talk = opened({ mss: 5 });
  const start = talk.packets.length;
  talk.send(CLIENT, text, acknowledged);
  const end = talk.packets.length;
  talk.acknowledge(SERVER).send(SERVER, '250 ok').close();
  return { head: talk.packets.slice(0, start), body: talk.packets.slice(start, end), tail: talk.packets.slice(end) };
}

test('a clean connection gives both streams, both ends and a close by FIN', async () => {
  const one = await only(opened().send(SERVER, '220 hi\r\n').send(CLIENT, 'QUIT\r\n').close().packets);
  assert.deepEqual(one.streams, ['QUIT\r\n', '220 hi\r\n']);
  assert.deepEqual(one.events, ['end 0', 'end 1', 'close fin']);
  assert.deepEqual(one.start.client, { address: '10.1.100.44', port: 50_122 });
  assert.deepEqual(one.start.server, { address: '172.16.200.55', port: 25 });
  assert.equal(one.start.midstream, false);
  assert.equal(one.start.time, 1_700_000_000_000_000_000n);
});

test('segments in any order, repeated, and a whole stream reversed give the same bytes', async () => {
  const { head, body, tail } = pieces('abcdefghijklmnopqrstuvwxy');
  for (const order of [
    [4, 3, 2, 1, 0],
    [0, 2, 1, 4, 3],
    [0, 0, 1, 1, 3, 3, 2, 4, 0],
    [1, 2, 3, 4, 0],
  ]) {
    const one = await only([...head, ...order.map((at) => body[at]!), ...tail]);
    assert.equal(one.streams[CLIENT], 'abcdefghijklmnopqrstuvwxy', order.join());
    assert.deepEqual(one.events, ['end 0', 'end 1', 'close fin']);
  }
});

test('the same bytes come of any segmentation, order within a window and repetition', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({
        minLength: 1,
        maxLength: 200,
        unit: fc.integer({ min: 0, max: 25 }).map((at) => String.fromCharCode(97 + at)),
      }),
      fc.array(fc.tuple(fc.nat(210), fc.integer({ min: 1, max: 60 })), { maxLength: 30 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      async (text, extra, mss, clientIsn) => {
        const talk = opened({ clientIsn });
        const first = talk.next[CLIENT];
        const cuts = [...extra];
        for (let at = 0; at < text.length; at += mss) cuts.push([at, mss]);
        // A cheap shuffle that fast-check's own arrays decide.
        cuts.sort(([one, a], [other, b]) => ((one * 7 + a * 13) % 17) - ((other * 7 + b * 13) % 17));
        for (const [at, length] of cuts) {
          const payload = Buffer.from(text.slice(at, at + length));
          if (payload.length > 0) talk.segment(CLIENT, { flags: ACK, sequence: first + at, payload });
        }
        const one = await only(talk.packets);
        assert.equal(one.streams[CLIENT], text);
        assert.deepEqual(one.events, ['close capture-end']);
      },
    ),
    { numRuns: 150 },
  );
});

test('a retransmission with other bytes before they are acknowledged is an overlap, after it is not', async () => {
  for (const acknowledged of [false, true]) {
    const talk = opened();
    const at = talk.next[CLIENT];
    talk.send(CLIENT, 'real data', acknowledged);
    talk.segment(CLIENT, { flags: ACK, sequence: at + 2, payload: Buffer.from('XX') });
    const one = await only(talk.send(CLIENT, ' more').packets);
    assert.equal(one.streams[CLIENT], 'real data more');
    assert.equal(one.events.includes('overlap 0'), !acknowledged);
  }
});

test('what was delivered is remembered over the end of a block', async () => {
  for (const text of ['same bytes', 'SAME bytes']) {
    const talk = opened();
    const at = talk.next[CLIENT];
    talk.send(CLIENT, 'same bytes', false).acknowledge(CLIENT);
    // 400 KB of the server, more than a block, which acknowledges nothing of the client.
    const filler = Buffer.alloc(1000, 'f');
    for (let i = 0; i < 400; i++) {
      talk.segment(SERVER, { flags: ACK, payload: filler, acknowledgment: at }).lose(SERVER, filler.length);
    }
    talk.segment(CLIENT, { flags: ACK, sequence: at, payload: Buffer.from(text) });
    const one = await only(talk.packets);
    assert.deepEqual(one.events, text === 'same bytes' ? ['close capture-end'] : ['overlap 0', 'close capture-end']);
    assert.equal(one.streams[SERVER].length, 400_000);
  }
});

test('two contents of bytes that wait are both looked at; the first is kept', async () => {
  const talk = opened();
  const at = talk.next[CLIENT];
  talk.segment(CLIENT, { flags: ACK, sequence: at + 4, payload: Buffer.from('5678') });
  talk.segment(CLIENT, { flags: ACK, sequence: at + 2, payload: Buffer.from('34XX78 9') });
  talk.segment(CLIENT, { flags: ACK, sequence: at, payload: Buffer.from('12') });
  const one = await only(talk.packets);
  assert.equal(one.streams[CLIENT], '12345678 9');
  assert.deepEqual(one.events, ['overlap 0', 'close capture-end']);
});

test('bytes that fill a gap are compared with those that wait behind it', async () => {
  const talk = opened();
  const at = talk.next[CLIENT];
  talk.segment(CLIENT, { flags: ACK, sequence: at + 2, payload: Buffer.from('cd') });
  talk.segment(CLIENT, { flags: ACK, sequence: at, payload: Buffer.from('abXd') });
  const one = await only(talk.packets);
  assert.equal(one.streams[CLIENT], 'abXd');
  assert.ok(one.events.includes('overlap 0'));
});

test('bytes that were acknowledged and not seen are told missing before the answer to them', async () => {
  const talk = opened().send(CLIENT, 'before ').lose(CLIENT, 10);
  talk.segment(SERVER, { flags: ACK | PSH, payload: Buffer.from('250 ok') });
  const one = await only(talk.lose(SERVER, 6).send(CLIENT, 'after').packets);
  assert.equal(one.streams[CLIENT], 'before [-10]after');
  assert.deepEqual(one.events, ['gap 0 10', 'close capture-end']);
});

test('an acknowledgement that was captured before its bytes loses nothing', async () => {
  const { head, body, tail } = pieces('abcdefghij');
  const one = await only([...head, tail[0]!, ...body, ...tail.slice(1)]);
  assert.deepEqual(one.streams, ['abcdefghij', '250 ok']);
  assert.deepEqual(one.events, ['end 0', 'end 1', 'close fin']);
});

test('without a word of the other side a gap is told at the end', async () => {
  const { head, body } = pieces('abcdefghijklmno');
  const one = await only([head[0]!, body[0]!, body[2]!]);
  assert.equal(one.streams[CLIENT], 'abcde[-5]klmno');
  assert.deepEqual(one.events, ['gap 0 5', 'close capture-end']);
});

test('bytes that come after they were given up are not delivered', async () => {
  const talk = opened();
  const at = talk.next[CLIENT];
  talk.lose(CLIENT, 4).segment(SERVER, { flags: ACK, payload: Buffer.from('x') });
  talk.segment(CLIENT, { flags: ACK, sequence: at, payload: Buffer.from('late') });
  const one = await only(talk.send(CLIENT, 'next').packets);
  assert.equal(one.streams[CLIENT], '[-4]next');
});

test('one byte past the limit of a connection gives up the first missing bytes', async () => {
  const talk = opened().lose(CLIENT, 3).send(CLIENT, 'x'.repeat(1000), false);
  const file = pcapFile(talk.packets.slice(0, 4));
  const cost = 1000 + 128;
  const within = await recordCapture(file, { reorderPerFlow: cost });
  assert.deepEqual(within.connections[0]!.packets, [3, 3]); // told at the end, and by the last packet alike
  assert.equal(within.statistics.tcp.gaps, 1);
  const more = pcapFile([...talk.packets, ...talk.send(CLIENT, 'tail').packets.slice(-2)]);
  const kept = await recordCapture(more, { reorderPerFlow: cost * 2 });
  const crossed = await recordCapture(more, { reorderPerFlow: cost - 1 });
  assert.equal(kept.connections[0]!.streams[CLIENT], crossed.connections[0]!.streams[CLIENT]);
  assert.equal(crossed.connections[0]!.packets[0], 3);
  assert.ok(kept.connections[0]!.packets[0]! > 3);
  const all = await recordCapture(more, { reorder: cost - 1 });
  assert.equal(all.connections[0]!.packets[0], 3);
});

test('more connections than the limit: the silent ones are closed', async () => {
  const frames = [1, 2, 3].flatMap(
    (port) => opened({ client: { address: '10.0.0.1', port: 4000 + port } }).send(CLIENT, `mail ${port}`).packets,
  );
  const { connections, statistics } = await recordCapture(pcapFile(frames), { flows: 2 });
  assert.deepEqual(
    connections.map((one) => one.cause),
    ['limit', 'capture-end', 'capture-end'],
  );
  assert.equal(statistics.tcp.evicted, 1);
  assert.deepEqual(
    connections.map((one) => one.streams[CLIENT]),
    ['mail 1', 'mail 2', 'mail 3'],
  );
});

test('a sequence number wraps', async () => {
  const one = await only(
    opened({ clientIsn: 0xffff_fff0, mss: 7 }).send(CLIENT, 'over the end of the numbers').close().packets,
  );
  assert.equal(one.streams[CLIENT], 'over the end of the numbers');
  assert.equal(one.cause, 'fin');
});

test('keepalive and zero-window probes change nothing', async () => {
  const talk = opened().send(CLIENT, 'abc');
  talk.segment(CLIENT, { flags: ACK, sequence: talk.next[CLIENT] - 1, payload: Buffer.from([0]) });
  talk.segment(CLIENT, { flags: ACK, sequence: talk.next[CLIENT] - 1 });
  talk.segment(CLIENT, { flags: ACK, payload: Buffer.from('d') }).segment(SERVER, { flags: ACK, window: 0 });
  const one = await only(talk.send(CLIENT, 'def').packets);
  assert.equal(one.streams[CLIENT], 'abcdef');
  assert.deepEqual(one.events, ['close capture-end']);
});

test('data in a SYN is data, and comes once when it is sent again', async () => {
  const talk = new Conversation();
  talk.segment(CLIENT, { flags: SYN, acknowledgment: 0, payload: Buffer.from('early') }).lose(CLIENT, 1);
  talk
    .segment(SERVER, { flags: SYN | ACK })
    .lose(SERVER, 1)
    .send(CLIENT, 'early bird');
  assert.equal((await only(talk.packets)).streams[CLIENT], 'early bird');
});

test('a repeated SYN and a simultaneous open are one connection', async () => {
  const talk = new Conversation();
  talk.segment(CLIENT, { flags: SYN, acknowledgment: 0 }).segment(CLIENT, { flags: SYN, acknowledgment: 0 });
  talk.segment(SERVER, { flags: SYN, acknowledgment: 0 }).lose(CLIENT, 1);
  talk.segment(SERVER, { flags: SYN | ACK }).lose(SERVER, 1);
  const one = await only(talk.send(CLIENT, 'a').send(SERVER, 'b').packets);
  assert.deepEqual(one.streams, ['a', 'b']);
});

test('urgent data stays in line', async () => {
  const talk = opened().send(CLIENT, 'a');
  talk.segment(CLIENT, { flags: ACK | URG, urgent: 1, payload: Buffer.from('!') }).lose(CLIENT, 1);
  assert.equal((await only(talk.send(CLIENT, 'b').packets)).streams[CLIENT], 'a!b');
});

test('a half-closed connection goes on in the other direction', async () => {
  const talk = opened().send(CLIENT, 'ask').finish(CLIENT).send(SERVER, 'answer').finish(SERVER);
  const one = await only(talk.packets);
  assert.deepEqual(one.streams, ['ask', 'answer']);
  assert.deepEqual(one.events, ['end 0', 'end 1', 'close fin']);
});

test('a FIN with data, and a FIN before missing data, end after all of it', async () => {
  const talk = opened();
  talk.lose(CLIENT, 3).segment(CLIENT, { flags: FIN | ACK, payload: Buffer.from('def') });
  talk.segment(CLIENT, { flags: ACK, sequence: talk.next[CLIENT] - 3, payload: Buffer.from('abc') });
  talk.lose(CLIENT, 4).acknowledge(SERVER);
  const one = await only(talk.packets);
  assert.equal(one.streams[CLIENT], 'abcdef');
  assert.deepEqual(one.events, ['end 0', 'close capture-end']);
});

test('data beyond a FIN that nobody acknowledged is delivered, and is an overlap', async () => {
  const talk = opened().send(CLIENT, 'head ');
  talk.segment(CLIENT, { flags: FIN | ACK });
  const one = await only(talk.send(CLIENT, 'evil').packets);
  assert.equal(one.streams[CLIENT], 'head evil');
  assert.deepEqual(one.events, ['overlap 0', 'close capture-end']);
});

test('a RST closes the connection, and data that was never acknowledged was delivered', async () => {
  const one = await only(opened().send(CLIENT, 'unacknowledged', false).reset(CLIENT).packets);
  assert.equal(one.streams[CLIENT], 'unacknowledged');
  assert.deepEqual(one.events, ['close reset']);
});

test('a RST that its sender does not keep to, or with a wrong number, blinds nobody', async () => {
  const talk = opened().send(CLIENT, 'one ').reset(CLIENT).send(CLIENT, 'two ');
  talk.segment(CLIENT, { flags: RST, sequence: talk.next[CLIENT] - 100_000 });
  talk.segment(SERVER, { flags: RST, payload: Buffer.from('text'), sequence: talk.next[SERVER] + 0x3000_0000 });
  const one = await only(talk.send(CLIENT, 'three').packets);
  assert.equal(one.streams[CLIENT], 'one two three');
  assert.deepEqual(one.events, ['close capture-end']);
});

test('a RST closes after a while of the capture, at its own time', async () => {
  const talk = opened().send(CLIENT, 'x').reset(SERVER);
  const other = opened({ client: { address: '10.0.0.9', port: 5000 }, mss: 1 }).send(CLIENT, 'y'.repeat(600));
  const [one] = await connectionsOf([...talk.packets, ...other.packets]);
  assert.equal(one!.cause, 'reset');
  assert.equal(one!.packets.at(-1), 5 + 1024);
});

test('the same ports again are a second connection: after a FIN, after a RST, and with neither', async () => {
  for (const finish of ['fin', 'reset', 'reuse']) {
    const first = opened().send(CLIENT, 'first');
    if (finish === 'fin') first.close();
    if (finish === 'reset') first.reset(CLIENT);
    const second = opened({ clientIsn: 77_000_000, serverIsn: 5 }).send(CLIENT, 'second').close();
    const connections = await connectionsOf([...first.packets, ...second.packets]);
    assert.deepEqual(
      connections.map((one) => one.streams[CLIENT]),
      ['first', 'second'],
      finish,
    );
    assert.equal(connections[1]!.start.packet, first.packets.length);
    assert.equal(connections[0]!.cause, finish);
    assert.equal(connections[1]!.cause, 'fin');
  }
});

test('a SYN that the server does not answer does not end a connection', async () => {
  const talk = opened().send(CLIENT, 'one ');
  talk.segment(CLIENT, { flags: SYN, sequence: 4_000_000, acknowledgment: 0 });
  assert.equal((await only(talk.send(CLIENT, 'two').packets)).streams[CLIENT], 'one two');
});

test('a SYN that a host would drop, before the real one, makes no second connection', async () => {
  const talk = new Conversation();
  talk.segment(CLIENT, { flags: SYN, sequence: 4_000_000, acknowledgment: 0, badChecksum: true });
  assert.equal((await only(talk.open().send(CLIENT, 'data').packets)).streams[CLIENT], 'data');
});

test('a segment with a bad checksum and the true one are two contents', async () => {
  const talk = opened();
  talk.segment(CLIENT, { flags: ACK, payload: Buffer.from('fake'), badChecksum: true });
  const one = await only(talk.send(CLIENT, 'true').packets);
  assert.ok(one.events.includes('overlap 0'));
});

test('a segment or an acknowledgement from far away is not believed alone', async () => {
  const talk = opened().send(CLIENT, 'a');
  talk.segment(CLIENT, { flags: ACK, sequence: talk.next[CLIENT] + 0x2000_0000, payload: Buffer.from('far') });
  talk.segment(SERVER, { flags: ACK, acknowledgment: talk.next[CLIENT] + 0x2000_0000 });
  assert.equal((await only(talk.send(CLIENT, 'b').packets)).streams[CLIENT], 'ab');
});

test('after a great loss the connection is found again', async () => {
  const talk = opened({ mss: 1 }).send(CLIENT, 'a').lose(CLIENT, 100_000_000).send(CLIENT, 'b'.repeat(100), false);
  const [stream] = (await only(talk.packets)).streams;
  assert.match(stream, /^a\[-1000000\d\d\]b{37}$/);
});

test('a capture that begins in the middle guesses the client by the port', async () => {
  const talk = opened().send(SERVER, '220 hi').send(CLIENT, 'QUIT');
  const one = await only(talk.packets.slice(3));
  assert.equal(one.start.midstream, true);
  assert.equal(one.start.client.port, 50_122);
  assert.deepEqual(one.streams, ['QUIT', '220 hi']);
  const bare = await recordCapture(pcapFile(opened().finish(CLIENT).packets.slice(2)));
  assert.equal(bare.connections.length, 0);
  assert.equal(bare.statistics.tcp.stray, 3);
});

test('runs end where another connection speaks, wanted or not, and the clock is at their last packet', async () => {
  const talk = opened({ mss: 4 }).send(CLIENT, 'abcdefghijkl', false);
  const other = opened({ client: { address: '10.9.9.9', port: 1 } });
  const frames = [...talk.packets, ...other.packets, ...talk.send(CLIENT, 'mnop', false).packets.slice(-1)];
  const { connections } = await recordCapture(pcapFile(frames));
  assert.deepEqual(connections[0]!.packets, [5, 9, 9]);
  assert.equal(connections[0]!.calls, 2);
  const shares = await Promise.all(
    [50_122, 1].map((port) => recordCapture(pcapFile(frames), {}, {}, ({ client }) => client.port === port)),
  );
  const all = shares.flatMap((share) => share.connections).sort((a, b) => a.start.packet - b.start.packet);
  assert.deepEqual(all, connections);
});

test('idle connections are closed at fixed packets, by packet time', async () => {
  const talk = opened().send(CLIENT, 'x');
  const late = opened({ client: { address: '10.9.9.9', port: 1 }, start: 1_700_010_000_000_000_000n, step: 1000n });
  const filler = Array.from({ length: 65_536 }, () => late.packets[2]!);
  const [one] = await connectionsOf([...talk.packets, ...late.packets, ...filler]);
  assert.equal(one!.cause, 'idle');
  assert.equal(one!.packets.at(-1), 65_536);
});

test('a later connection of the same ports is found without its SYN', async () => {
  const first = opened().send(CLIENT, 'first').close();
  const second = opened({ clientIsn: 77_000_000, serverIsn: 99_000_000 }).send(CLIENT, 'second');
  const connections = await connectionsOf([...first.packets, ...second.packets.slice(2)]);
  assert.deepEqual(
    connections.map((one) => [one.streams[CLIENT], one.start.midstream]),
    [
      ['first', false],
      ['second', true],
    ],
  );
});

test('times that run backwards, are zero or of the year 2106 change no order', async () => {
  const talk = opened({ mss: 2 }).send(CLIENT, 'abcdef').close();
  const times = [4_294_967_295n, 0n, 1_700_000_000n, 5n];
  const frames = talk.packets.map((frame, at) => ({ ...frame, time: times[at % 4]! * 1_000_000_000n }));
  const one = await only(frames);
  assert.equal(one.streams[CLIENT], 'abcdef');
  assert.equal(one.start.time, 4_294_967_295_000_000_000n);
  assert.equal(one.cause, 'fin');
});

test('thousands of single bytes in reverse order are put right', async () => {
  const talk = opened({ mss: 1 });
  const start = talk.packets.length;
  const text = Array.from({ length: 5000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');
  const frames = talk.send(CLIENT, text, false).packets;
  const one = await only([...frames.slice(0, start), ...frames.slice(start).reverse()]);
  assert.equal(one.streams[CLIENT], text);
});

test('segments wait over the ends of blocks, neighbours and others', async () => {
  const talk = opened({ mss: 10 });
  const start = talk.packets.length;
  const text = Array.from({ length: 3000 }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');
  const frames = talk.send(CLIENT, text, false).packets;
  const head = frames.slice(0, start);
  const body = frames.slice(start);
  const other = opened({ client: { address: '10.9.9.9', port: 1 } }).send(CLIENT, 'f'.repeat(300_000)).packets;
  const evens = body.filter((_, at) => at % 2 === 0 && at > 0 && at < 100);
  const rest = body.filter((_, at) => at >= 100);
  const odds = body.filter((_, at) => at % 2 === 1 && at < 100);
  const connections = await connectionsOf([...head, ...evens, ...other, ...rest, ...other, ...odds, body[0]!]);
  assert.equal(connections[0]!.streams[CLIENT], text);
  assert.deepEqual(connections[0]!.events, ['close capture-end']);
});
