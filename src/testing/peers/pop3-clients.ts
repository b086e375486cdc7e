/** Programs that fetch all mail of a POP3 mailbox from a port of loopback and leave it there. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { PASSWORD, USER } from './dovecot.js';
import { run, scratch } from './peers.js';

export interface Pop3Client {
  readonly name: string;
  readonly programs: readonly string[];
  fetch(context: TestContext, port: number): void;
}

export const POP3_CLIENTS: readonly Pop3Client[] = [
  {
    name: 'mpop',
    programs: ['mpop'],
    fetch(context, port) {
      const directory = scratch(context, 'mpop');
      const options = ['--tls=off', '--auth=user', '--keep=on', '--only-new=off', '--half-quiet'];
      run('mpop', [
        '--host=127.0.0.1',
        `--port=${port}`,
        `--user=${USER}`,
        `--passwordeval=echo ${PASSWORD}`,
        `--delivery=mbox,${directory}/mbox`,
        `--uidls-file=${directory}/uidls`,
        ...options,
      ]);
    },
  },
  {
    name: 'getmail',
    programs: ['getmail'],
    fetch(context, port) {
      const directory = scratch(context, 'getmail');
      const lines = [
        '[retriever]',
        'type = SimplePOP3Retriever',
        'server = 127.0.0.1',
        `port = ${port}`,
        `username = ${USER}`,
        `password = ${PASSWORD}`,
        '[destination]',
        'type = MDA_external',
        'path = /bin/dd',
        'arguments = ("of=/dev/null", "status=none")',
        'allow_root_commands = true',
        '[options]',
        'read_all = true',
        'delete = false',
      ];
      writeFileSync(join(directory, 'getmailrc'), `${lines.join('\n')}\n`);
      run('getmail', ['--getmaildir', directory, '--rcfile', 'getmailrc', '--quiet']);
    },
  },
  {
    name: 'poplib',
    programs: [PYTHON],
    fetch(_, port) {
      const source = `import poplib, sys
client = poplib.POP3('127.0.0.1', int(sys.argv[1]))
client.user('${USER}'); client.pass_('${PASSWORD}'); client.stat()
for number in range(1, len(client.list()[1]) + 1):
    client.top(number, 0); client.retr(number)
client.quit()`;
      run(PYTHON, ['-c', source, String(port)]);
    },
  },
  {
    name: 'Net::POP3',
    programs: ['perl'],
    fetch(_, port) {
      const source = `use Net::POP3; my $client = Net::POP3->new('127.0.0.1', Port => shift) or die;
my $count = $client->login('${USER}', '${PASSWORD}'); die unless defined $count;
for my $number (1 .. $count) { $client->get($number) or die; }
$client->quit;`;
      run('perl', ['-e', source, String(port)]);
    },
  },
];
