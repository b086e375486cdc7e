/**
 * FLT-019: far more mail under way than there is room for. Each session stops in the middle of its mail. Those that find no room are told so
 * (452, or 421 with the connection), nothing of theirs arrives, and the workers stay under their ceiling.
 */
import { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.js';
import type { SoakOptions, SoakResult } from './soak.js';
import { memoryOf, scene, until } from './stage.js';

/** Of each mail, before it stops. */
const BYTES = 256 * 1024;
/** For each of two workers: 512 MiB held, half as much again around it (allocations are not cut to size), Node, thousands of sockets. */
const CEILING_MB = 2 * 1_000;

export async function memory({ count = 10_000 }: SoakOptions): Promise<SoakResult> {
  const { subject, port, seen, counts, end } = await scene({ workers: 2 });
  const line = `${'a'.repeat(76)}\r\n`;
  const body = Buffer.from(`Subject: large\r\n\r\n${line.repeat(BYTES / line.length)}`);
  const clients: Client[] = [];
  let begun = 0;
  await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      await sleep(at);
      const client = new Client(port);
      clients.push(client);
      await client.reply();
      await client.say('HELO here\r\n');
      if (!(await client.begin())) return;
      begun++;
      client.socket.write(body);
    }),
  );
  // Everything that is going to arrive has.
  let before = -1;
  await until(120, async () => {
    await sleep(2_000);
    const sent = clients.reduce((sum, { socket }) => sum + socket.bytesWritten - socket.writableLength, 0);
    const settled = sent === before;
    before = sent;
    return settled;
  });
  const held = subject.ask('diagnose', 'sys', 'session', 'stat');
  const refused = clients.filter((client) => client.lost).length;
  const { mails } = await counts();
  for (const client of clients) client.socket.destroy();
  const cleared = await until(60, () =>
    /session_count=0 .*held_bytes=0/s.test(subject.ask('diagnose', 'sys', 'session', 'stat')),
  );
  const rssMb = memoryOf(seen);
  await end();
  return {
    ok: mails === 0 && cleared && rssMb.peak < CEILING_MB,
    figures: {
      count,
      begun,
      endedForLackOfRoom: refused,
      heldMb: Math.round(Number(/held_bytes=(\d+)/.exec(held)?.[1] ?? 0) / 1e6),
      arrived: mails,
      clearedAtEnd: cleared,
      ceilingMb: CEILING_MB,
      rssMb,
    },
  };
}
