/** An SMTP server that takes every mail and keeps it: just enough of RFC 5321 for a client that behaves. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { TestContext } from 'node:test';

export interface MailSink {
  readonly port: number;
  /** Mails so far, as they came. */
  readonly mails: readonly string[];
}

export async function startMailSink(context: TestContext): Promise<MailSink> {
  const mails: string[] = [];
  const server = createServer((socket) => {
    let received = '';
    let data = false;
    const say = (line: string): boolean => socket.write(`${line}\r\n`);
    socket.setEncoding('latin1');
    socket.on('error', () => {});
    say('220 sink ESMTP');
    socket.on('data', (text: string) => {
      received += text;
      for (;;) {
        const end = received.indexOf(data ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const line = received.slice(0, end);
        received = received.slice(end + (data ? 5 : 2));
        if (data) {
          mails.push(line);
          data = false;
          say('250 taken');
        } else if (/^data/i.test(line)) {
          data = true;
          say('354 go on');
        } else if (/^quit/i.test(line)) {
          say('221 bye');
          socket.end();
        } else say('250 sink');
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return { port: (server.address() as { port: number }).port, mails };
}
