/** Many sessions at once, all of them at work: none may be lost, no infected mail may come through, memory must stay flat. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.js';
import { mailsOf } from './mails.js';
import type { SoakOptions, SoakResult } from './soak.js';
import { memoryOf, scene } from './stage.js';
import type { Vitals } from './subject.js';

export async function sessions({
  count = 2_000,
  seconds = 60,
}: SoakOptions): Promise<SoakResult & { readonly seen: readonly Vitals[] }> {
  const { subject, port, seen, counts, end } = await scene({ workers: 2 });
  const mails = mailsOf(200, 30_000);
  const clients = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      await sleep(at);
      const client = new Client(port);
      await client.reply();
      await client.say('HELO here\r\n');
      return client;
    }),
  );
  const open = /session_count=(\d+)/.exec(subject.ask('diagnose', 'sys', 'session', 'stat'))?.[1];
  const until = Date.now() + seconds * 1000;
  const told = { delivered: 0, refused: 0, wrong: 0, lost: 0 };
  await Promise.all(
    clients.map(async (client, at) => {
      for (let next = at; Date.now() < until; next++) {
        const mail = mails[next % mails.length];
        if (mail === undefined) return;
        const begun = await client.begin();
        const reply = begun ? await client.say(mail.bytes) : undefined;
        if (reply === undefined) {
          told.lost++;
          return;
        }
        if (reply.startsWith(mail.infected ? '554' : '250')) told[mail.infected ? 'refused' : 'delivered']++;
        else told.wrong++;
      }
    }),
  );
  const { mails: arrived, infected } = await counts();
  const lost = clients.filter((client) => client.lost).length;
  for (const client of clients) client.socket.destroy();
  const virus = subject.log().split('subtype="virus"').length - 1;
  await end();
  const ok = told.wrong === 0 && lost === 0 && infected === 0 && arrived === told.delivered && virus === told.refused;
  return {
    ok,
    seen,
    figures: {
      count,
      seconds,
      open: Number(open),
      ...told,
      lostSessions: lost,
      arrived,
      infectedArrived: infected,
      virusRecords: virus,
      rssMb: memoryOf(seen),
    },
  };
}
