/** Everything that poplib, imaplib and curl get of a mailbox, with what they were told of its sizes: to be compared, direct and through the daemon. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { PASSWORD, USER } from './dovecot.js';
import { run, scratch } from './peers.js';

/** A message as POP3 shows it. */
export interface Pop3Dump {
  /** Of STAT, LIST, LIST n, RETR: as they were said. */
  readonly sizes: readonly string[];
  /** The messages; CRLF, one character a byte. */
  readonly messages: readonly string[];
  readonly tops: readonly string[];
}

export function pop3Dump(context: TestContext, port: number): Pop3Dump {
  const source = `import json, poplib, sys
client = poplib.POP3('127.0.0.1', int(sys.argv[1]))
client.user('${USER}'); client.pass_('${PASSWORD}')
text = lambda lines: b''.join(line + b'\\r\\n' for line in lines).decode('latin1')
sizes, messages, tops = [str(client.stat())], [], []
numbers = client.list()[1]
for number in range(1, len(numbers) + 1):
    answer, lines, octets = client.retr(number)
    sizes += [numbers[number - 1].decode(), client.list(number).decode(), answer.decode()]
    messages.append(text(lines))
    tops.append(text(client.top(number, 1000000)[1]))
client.quit()
json.dump({'sizes': sizes, 'messages': messages, 'tops': tops}, open(sys.argv[2], 'w'))`;
  return dumped(context, source, port) as Pop3Dump;
}

export interface ImapDump {
  /** RFC822.SIZE and BODYSTRUCTURE, as they were said. */
  readonly told: readonly string[];
  readonly messages: readonly string[];
  /** The same, put together from ranges. */
  readonly ranges: readonly string[];
  /** `BODY[n]` of each message. */
  readonly parts: readonly (readonly string[])[];
}

/** `count`: parts of each message. */
export function imapDump(context: TestContext, port: number, count: number): ImapDump {
  const source = `import imaplib, json, sys
client = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]))
client.login('${USER}', '${PASSWORD}')
total = int(client.select('INBOX', readonly=True)[1][0])
def literal(number, item): return client.fetch(str(number), f'({item})')[1][0][1]
told, messages, ranges, parts = [], [], [], []
for number in range(1, total + 1):
    told.append(client.fetch(str(number), '(RFC822.SIZE BODYSTRUCTURE)')[1][0].decode())
    messages.append(literal(number, 'BODY.PEEK[]').decode('latin1'))
    parts.append([literal(number, f'BODY.PEEK[{part}]').decode('latin1') for part in range(1, ${count} + 1)])
    whole, size = b'', 5000
    while size == 5000:
        piece = literal(number, f'BODY.PEEK[]<{len(whole)}.5000>')
        size = len(piece)
        whole += piece
    ranges.append(whole.decode('latin1'))
client.logout()
json.dump({'told': told, 'messages': messages, 'ranges': ranges, 'parts': parts}, open(sys.argv[2], 'w'))`;
  return dumped(context, source, port) as ImapDump;
}

/** What curl makes of a path of `pop3://` or `imap://`, one character a byte. */
export function curled(context: TestContext, scheme: 'pop3' | 'imap', port: number, path: string): string {
  const file = join(scratch(context, 'curl'), 'body');
  run('curl', ['-sS', '-u', `${USER}:${PASSWORD}`, '-o', file, `${scheme}://127.0.0.1:${port}/${path}`]);
  return readFileSync(file, 'latin1');
}

function dumped(context: TestContext, source: string, port: number): unknown {
  const file = join(scratch(context, 'dump'), 'dump.json');
  run(PYTHON, ['-c', source, String(port), file]);
  return JSON.parse(readFileSync(file, 'utf8'));
}
