/**
 * Programs that send mail: some take a message as it is, some make one of files. Each sends what it is given over one connection of its own choosing to a port
 * of loopback; those that can send several mails over one connection.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { sendWithExim } from './exim.js';
import { pathOf, run, scratch } from './peers.js';

export const FROM = 'alice@example.test';
export const TO = 'bob@example.test';

interface Client {
  readonly name: string;
  readonly programs: readonly string[];
}

export interface MessageClient extends Client {
  /** `messages`: whole, with LF line ends. */
  send(context: TestContext, port: number, messages: readonly string[]): void;
}

export interface FileClient extends Client {
  /** Makes one mail with `files` attached. */
  attach(context: TestContext, port: number, files: readonly string[]): void;
}

const each =
  (send: (port: number, message: string) => void): MessageClient['send'] =>
  (_, port, messages) => {
    for (const message of messages) send(port, message);
  };

/** Python and Perl get the port and the files that hold the messages. */
const script =
  (program: string, flag: string, source: string): MessageClient['send'] =>
  (context, port, messages) => {
    const directory = scratch(context, 'messages');
    const paths = messages.map((message, at) => {
      const path = join(directory, String(at));
      writeFileSync(path, message);
      return path;
    });
    run(program, [flag, source, String(port), ...paths]);
  };

export const MESSAGE_CLIENTS: readonly MessageClient[] = [
  {
    name: 'msmtp',
    programs: ['msmtp'],
    send: each((port, message) => {
      const options = ['--host=127.0.0.1', `--port=${port}`, '--auth=off', '--tls=off', `--from=${FROM}`];
      run('msmtp', [...options, TO], { input: message });
    }),
  },
  {
    name: 'nullmailer',
    programs: ['nullmailer-smtp'],
    send(context, port, messages) {
      const directory = scratch(context, 'nullmailer');
      for (const [at, message] of messages.entries()) {
        const file = join(directory, String(at));
        writeFileSync(file, `${FROM}\n${TO}\n\n${message}`);
        // It reads its settings from its input and the mail from descriptor 3.
        const command = `export HELOHOST=client.example.test; printf 'host=127.0.0.1\\nport=${port}\\n\\n' | "$0" 3<"$1"`;
        run('sh', ['-c', command, pathOf('nullmailer-smtp') ?? '', file]);
      }
    },
  },
  {
    name: 'smtplib',
    programs: [PYTHON],
    send: script(
      PYTHON,
      '-c',
      `import smtplib, sys
client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
for path in sys.argv[2:]:
    client.sendmail('${FROM}', ['${TO}', 'carol@example.test'], open(path, 'rb').read().replace(b'\\n', b'\\r\\n'))
client.quit()`,
    ),
  },
  {
    name: 'Net::SMTP',
    programs: ['perl'],
    send: script(
      'perl',
      '-e',
      `use Net::SMTP; my $port = shift;
my $client = Net::SMTP->new('127.0.0.1', Port => $port, Hello => 'client.example.test') or die;
for my $path (@ARGV) {
  open(my $in, '<', $path) or die; binmode $in;
  $client->mail('${FROM}') && $client->to('${TO}') && $client->data() or die;
  while (my $line = <$in>) { $client->datasend($line) or die }
  $client->dataend() or die;
}
$client->quit;`,
    ),
  },
  {
    // A person at a terminal, or a program that thinks so: odd case and spaces, mistakes, a byte at a time, several tries.
    name: 'by hand',
    programs: [PYTHON],
    send: script(
      PYTHON,
      '-c',
      `import re, socket, sys
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
answers = client.makefile('rb')
def answer():
    line = answers.readline()
    while line[3:4] == b'-': line = answers.readline()
    return line
def say(line):
    for byte in line + b'\\r\\n': client.sendall(bytes([byte]))
    return answer()
answer()
say(b'helo Client.example.test'); say(b'WHAT'); say(b'noop'); say(b'')
for path in sys.argv[2:]:
    text = re.sub(rb'(?m)^\\.', b'..', open(path, 'rb').read()).replace(b'\\n', b'\\r\\n')
    say(b'MAIL FROM:<nobody@example.test>'); say(b'rset')
    say(b'mail from:<${FROM}>'); say(b'rcpt To:<${TO}>')
    assert say(b'Data')[:3] == b'354'
    at = 0
    while at < len(text):
        size = 1 + (at * 7919) % 4001
        client.sendall(text[at:at + size])
        at += size
    assert say(b'.')[:3] == b'250'
say(b'quit')`,
    ),
  },
  {
    name: 'Exim',
    programs: ['exim4'],
    send(context, port, messages) {
      for (const message of messages) sendWithExim(context, port, FROM, TO, message);
    },
  },
];

/** With bytes whose lines end in LF smtplib sends them so, and stuffs dots behind them. */
export const bareLfClient: MessageClient = {
  name: 'smtplib with bare LF',
  programs: [PYTHON],
  send: script(
    PYTHON,
    '-c',
    `import smtplib, sys
client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
for path in sys.argv[2:]: client.sendmail('${FROM}', ['${TO}'], open(path, 'rb').read())
client.quit()`,
  ),
};

export const FILE_CLIENTS: readonly FileClient[] = [
  {
    name: 's-nail',
    programs: ['s-nail'],
    attach(_, port, files) {
      const settings = [`mta=smtp://127.0.0.1:${port}`, 'smtp-auth=none', 'v15-compat', 'hostname=example.test'];
      run(
        's-nail',
        [
          '-:/',
          '-#',
          ...settings.flatMap((one) => ['-S', one]),
          ...['-r', FROM, '-s', 'by s-nail'],
          ...files.flatMap((file) => ['-a', file]),
          TO,
        ],
        { input: 'text\n' },
      );
    },
  },
  {
    name: 'mutt',
    programs: ['mutt'],
    attach(context, port, files) {
      const directory = scratch(context, 'mutt');
      mkdirSync(join(directory, 'Mail'));
      const settings = join(directory, 'muttrc');
      const lines = [
        `set smtp_url="smtp://127.0.0.1:${port}"`,
        `set from="${FROM}" use_envelope_from=yes hostname="example.test"`,
        `set copy=no ssl_starttls=no ssl_force_tls=no folder="${directory}/Mail" tmpdir="${directory}"`,
      ];
      writeFileSync(settings, `${lines.join('\n')}\n`);
      run('mutt', ['-n', '-F', settings, '-s', 'by mutt', '-a', ...files, '--', TO], { input: 'text\n' });
    },
  },
];
