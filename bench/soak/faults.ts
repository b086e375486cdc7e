/**
 * FLT-028: sessions one after the other for as long as one likes, one in a hundred broken in each of some ways. Memory and descriptors of the
 * workers must end where they began, and no mail may be lost or come through that should not.
 */
import { Client } from './client.js';
import { mailsOf } from './mails.js';
import type { SoakOptions, SoakResult } from './soak.js';
import { memoryOf, scene, until } from './stage.js';

/** Sessions at once. */
const WIDE = 50;
const FAULTS = ['reset in mail', 'fin in mail', 'reset at greeting', 'garbage', 'endless line', 'half close'] as const;

export async function faults({ seconds = 300 }: SoakOptions): Promise<SoakResult> {
  const { subject, port, seen, counts, end } = await scene({ workers: 2 });
  const mails = mailsOf(100, 20_000);
  const stop = Date.now() + seconds * 1000;
  const told = { sessions: 0, broken: 0, delivered: 0, refused: 0, wrong: 0 };
  const good = async (number: number): Promise<void> => {
    const client = new Client(port);
    await client.reply();
    await client.say('HELO here\r\n');
    const mail = mails[number % mails.length];
    if (mail === undefined || !(await client.begin())) {
      told.wrong++;
      return;
    }
    const reply = (await client.say(mail.bytes)) ?? '';
    if (!reply.startsWith(mail.infected ? '554' : '250')) told.wrong++;
    else if (mail.infected) told.refused++;
    else told.delivered++;
    await client.say('QUIT\r\n');
    client.socket.destroy();
  };
  const broken = async (fault: (typeof FAULTS)[number]): Promise<void> => {
    told.broken++;
    const client = new Client(port);
    if (fault === 'reset at greeting') {
      client.socket.once('connect', () => client.socket.resetAndDestroy());
      return;
    }
    await client.reply();
    if (fault === 'garbage') {
      client.socket.write(Buffer.alloc(2_000, 0xff));
      client.socket.end();
    } else if (fault === 'endless line') client.socket.end('a'.repeat(1 << 20));
    else if (fault === 'half close') client.socket.end('NOOP\r\nNOOP\r\n');
    else {
      await client.begin();
      client.socket.write('Subject: half\r\n\r\nhalf a mail', () =>
        fault === 'reset in mail' ? client.socket.resetAndDestroy() : client.socket.end(),
      );
    }
    if (!client.lost) await new Promise((resolve) => client.socket.once('close', resolve));
  };
  await Promise.all(
    Array.from({ length: WIDE }, async () => {
      while (Date.now() < stop) {
        const number = told.sessions++;
        const fault = number % 100 === 0 ? FAULTS[(number / 100) % FAULTS.length] : undefined;
        await (fault === undefined ? good(number) : broken(fault));
      }
    }),
  );
  const idle = await until(60, () =>
    /session_count=0 .*held_bytes=0/s.test(subject.ask('diagnose', 'sys', 'session', 'stat')),
  );
  const [first, last] = [seen[Math.floor(seen.length / 10)], subject.vitals()];
  const { mails: arrived, infected } = await counts();
  const lost = Number(/\((\d+) lost\)/.exec(subject.ask('get', 'system', 'status'))?.[1] ?? 0);
  const rssMb = memoryOf(seen);
  await end();
  return {
    ok: told.wrong === 0 && infected === 0 && arrived === told.delivered && idle && lost === 0,
    figures: {
      seconds,
      ...told,
      arrived,
      infectedArrived: infected,
      workersLost: lost,
      rssMb,
      descriptorsAtStart: first?.descriptors,
      descriptorsAtEnd: last.descriptors,
    },
  };
}
