/** The smallest mail server: it says yes to everything and keeps what it was given, so that a test sees what came through and what did not. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface MailSink {
  readonly port: number;
  /** Mails that were ended by their dot, as they came. */
  readonly mails: readonly string[];
  /** Everything that was said to it, by connection. */
  readonly heard: readonly string[];
  /** Connections that are open. */
  readonly open: ReadonlySet<Socket>;
}

/** Goes with the test. */
export async function startMailSink(context: TestContext, address = '127.0.0.1'): Promise<MailSink> {
  const mails: string[] = [];
  const heard: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const own = heard.push('') - 1;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    socket.write('220 sink\r\n');
    let rest = '';
    let inMail = false;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      heard[own] += text;
      rest += text;
      for (;;) {
        const end = inMail ? rest.indexOf('\r\n.\r\n') : rest.indexOf('\r\n');
        if (end < 0) return;
        const piece = rest.slice(0, end);
        rest = rest.slice(end + (inMail ? 5 : 2));
        if (inMail) mails.push(piece);
        inMail = !inMail && piece.toUpperCase() === 'DATA';
        socket.write(inMail ? '354 go on\r\n' : '250 yes\r\n');
        if (piece.toUpperCase() === 'QUIT') socket.end();
      }
    });
  }).listen(0, address);
  context.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, mails, heard, open };
}
