/**
 * FLT-022: how long one hostile message keeps everybody else waiting. Each is mailed through a stage in this process, as a worker has it, and the
 * longest time that the event loop stood still meanwhile is what counts.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENT } from '../../src/core/flow.js';
import { InspectionStage } from '../../src/stage/stage.js';
import { ambiguousMail, hiddenMail } from '../../src/testing/ambiguous-mail.js';
import { hostileArchives } from '../../src/testing/hostile-archives.js';
import { staged } from '../../src/testing/staged.js';
import type { SoakOptions, SoakResult } from './soak.js';

/** Milliseconds that a session may be kept waiting by another. */
const WANTED = 200;
const PATIENCE = 40_000;

export async function stalls(_: SoakOptions): Promise<SoakResult> {
  const stage = await InspectionStage.start();
  const payload = Buffer.alloc(300_000, 'noise and more of it ');
  const messages = new Map<string, string>();
  for (const { name, bytes } of hostileArchives()) messages.set(name, attached(name, bytes));
  for (const [name, mails] of Object.entries(ambiguousMail(payload)))
    for (const [at, mail] of mails.entries()) messages.set(`${name} ${at}`, mail);
  for (const [name, mail] of Object.entries(hiddenMail(payload))) messages.set(name, mail);
  messages.set('20 MB in one part', attached('large.bin', Buffer.alloc(20_000_000, 'a')));
  messages.set(
    '100,000 parts',
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(100_000)}--b--\r\n`,
  );
  messages.set('a line of 20 MB', `Subject: x\r\n\r\n${'a'.repeat(20_000_000)}\r\n`);
  const found: (readonly [name: string, ms: number, took: number])[] = [];
  for (const [name, text] of messages) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const began = performance.now();
    const session = staged(stage);
    session.greet();
    session.client('DATA\r\n');
    delay.enable();
    // As it comes from a wire: a turn of the loop between chunks.
    const bytes = Buffer.from(`${text.replace(/^\./gm, '..')}\r\n.\r\n`, 'latin1');
    for (let at = 0; at < bytes.length && session.connection.alive; at += 65_536) {
      session.connection.receive(CLIENT, Buffer.from(bytes.subarray(at, at + 65_536)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (stage.held > 0 && session.connection.alive && performance.now() - began < PATIENCE) {
      if (!/^(250|354) [^\n]*\n$/m.test(session.take(CLIENT))) await sleep(5);
      else break;
    }
    await sleep(20);
    delay.disable();
    session.connection.close();
    found.push([name, delay.max / 1e6, performance.now() - began]);
  }
  stage.close();
  found.sort((a, b) => b[1] - a[1]);
  const late = found.filter(([, ms]) => ms > WANTED);
  return {
    ok: late.length === 0,
    figures: {
      messages: found.length,
      wantedMs: WANTED,
      overIt: late.length,
      longest: found.slice(0, 10).map(([name, ms, took]) => `${name}: ${ms.toFixed(0)} ms of ${took.toFixed(0)}`),
    },
  };
}

function attached(name: string, bytes: Buffer): string {
  const text = bytes.toString('base64').replace(/.{76}/g, '$&\r\n');
  return `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${text}\r\n--b--\r\n`;
}
