/** Asks a running daemon. */
import { connect } from 'node:net';
import { ConfigError, SourceError } from '../core/errors.js';
import { parseReply } from './protocol.js';

/** Prints what the daemon answers as it comes. Rejects with ConfigError (what the daemon says is wrong) or SourceError (there is none). */
export function ask(path: string, words: readonly string[], print: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let received = '';
    socket.setEncoding('utf8');
    socket.once('connect', () => socket.write(`${JSON.stringify({ words })}\n`));
    socket.on('data', (text: string) => {
      received += text;
      for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
        const reply = parseReply(received.slice(0, end));
        received = received.slice(end + 1);
        if (reply === undefined) continue;
        if ('text' in reply) print(reply.text);
        else if (reply.end === 'done') resolve();
        else reject(new ConfigError(reply.error ?? 'it failed'));
      }
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED'
          ? 'no daemon is running there (inspectd serve -c FILE starts one; --control names another socket)'
          : cause.message;
      reject(new SourceError(`control socket ${path}: ${why}`, { cause }));
    });
    socket.once('close', () => reject(new SourceError(`control socket ${path}: the daemon ended`)));
  });
}
