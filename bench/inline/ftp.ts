/** The least FTP that moves files in passive mode (RFC 959, RFC 2428): a server that keeps nothing and a client that looks at nothing. */
import { Buffer } from 'node:buffer';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Moved } from '../../src/testing/file-sessions.js';

const ADDRESS = '127.0.0.1';

/** Serves `files` by name; what is stored is thrown away. */
export function ftpServer(files: ReadonlyMap<string, Buffer>): Server {
  return createServer((control) => {
    control.setNoDelay(true);
    control.on('error', () => {});
    let data: Promise<Socket> | undefined;
    const say = (line: string): void => void control.write(`${line}\r\n`);
    const commands: Record<string, (argument: string) => void> = {
      USER: () => say('331 Password?'),
      PASS: () => say('230 Logged in'),
      TYPE: () => say('200 Binary'),
      QUIT: () => {
        say('221 Bye');
        control.end();
      },
      EPSV: () => {
        const door = createServer({ allowHalfOpen: true });
        data = new Promise((resolve) => {
          door.once('connection', (socket) => {
            door.close();
            resolve(socket);
          });
        });
        door.listen(0, ADDRESS, () => {
          const at = door.address();
          say(`229 Entering extended passive mode (|||${typeof at === 'object' && at !== null ? at.port : 0}|)`);
        });
      },
      RETR: (name) => {
        say('150 Opening data connection');
        void data?.then((socket) => {
          socket.on('error', () => {});
          socket.resume();
          socket.end(files.get(name) ?? Buffer.alloc(0), () => say('226 Transfer complete'));
        });
      },
      STOR: () => {
        say('150 Opening data connection');
        void data?.then((socket) => {
          socket.on('error', () => {});
          socket.resume();
          socket.once('end', () => {
            socket.end();
            say('226 Transfer complete');
          });
        });
      },
    };
    say('220 FTP ready');
    eachLine(control, (line) => {
      const [verb = '', argument = ''] = line.split(' ');
      const command = commands[verb];
      if (command === undefined) say('502 Not here');
      else command(argument);
    });
  });
}

/** Moves `files` one after another; settles when the last is there. Rejects on an answer that is no success. */
export async function ftpClient(control: Socket, files: readonly Moved[]): Promise<void> {
  const answers: string[] = [];
  let wake: (() => void) | undefined;
  let gone = false;
  const notify = (): void => wake?.();
  control.on('error', () => {});
  control.on('close', () => {
    gone = true;
    notify();
  });
  eachLine(control, (line) => {
    answers.push(line);
    notify();
  });
  const answer = async (): Promise<string> => {
    while (answers.length === 0) {
      if (gone) throw new Error('the FTP connection ended');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const line = answers.shift()!;
    if (line.startsWith('4') || line.startsWith('5')) throw new Error(line);
    return line;
  };
  const ask = (line: string): Promise<string> => {
    control.write(`${line}\r\n`);
    return answer();
  };
  await answer();
  for (const line of ['USER alice', 'PASS secret', 'TYPE I']) await ask(line);
  for (const { name, bytes, upload } of files) {
    const port = Number(/\|\|\|(\d+)\|/.exec(await ask('EPSV'))?.[1]);
    const data = connect({ host: ADDRESS, port, allowHalfOpen: true });
    data.on('error', () => {});
    const over = new Promise((resolve) => data.once('close', resolve));
    await ask(`${upload ? 'STOR' : 'RETR'} ${name}`);
    let received = 0;
    data.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    if (upload) data.end(bytes);
    else data.once('end', () => data.end());
    await Promise.all([over, answer()]);
    if (!upload && received !== bytes.length) throw new Error(`${name}: ${received} of ${bytes.length} bytes came`);
  }
  await ask('QUIT');
}

function eachLine(socket: Socket, take: (line: string) => void): void {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      take(line);
    }
  });
}
