/**
 * Programs that speak through TLS and log its keys: Python and openssl are told where, what links GnuTLS or curl by SSLKEYLOGFILE. Those of IMAP
 * and POP3 take all mail of the mailbox and leave it there, those of SMTP send the messages.
 */
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { PASSWORD, USER } from './dovecot.js';
import { APPEND_ALL, FETCH_ALL, imaplib, mutt, written } from './imap-clients.js';
import { run, scratch } from './peers.js';
import { FROM, TO } from './smtp-clients.js';

export interface TlsClient {
  readonly name: string;
  readonly programs: readonly string[];
  readonly protocol: 'imap' | 'pop3' | 'smtp';
  /** Whether TLS begins with the connection, or by a verb. */
  readonly opening: 'tls' | 'starttls';
  readonly stores?: boolean;
  /** `messages`: whole, with LF line ends. Those in the mailbox, or those to send. */
  talk(context: TestContext, port: number, keys: string, messages: readonly string[]): void;
}

/** Python that makes a context which logs its keys. */
const logging = (keys: string, version: 'TLSv1_2' | 'TLSv1_3'): string => `import ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.maximum_version = ssl.TLSVersion.${version}
context.keylog_filename = '${keys}'`;

/** Runs a program that logs where its environment says. */
const logged = (keys: string, program: string, args: readonly string[], input?: string): void => {
  run('env', [`SSLKEYLOGFILE=${keys}`, program, ...args], input === undefined ? {} : { input });
};

/** Says all `lines` at once, and hears what comes until the server closes. */
const sClient = (protocol: TlsClient['protocol'], port: number, keys: string, lines: readonly string[]): void => {
  const options = ['-connect', `127.0.0.1:${port}`, '-starttls', protocol, '-keylogfile', keys, '-quiet', '-crlf'];
  run('openssl', ['s_client', ...options], { input: `${lines.join('\n')}\n` });
};

const smtplib = (port: number, context: string, paths: readonly string[]): void => {
  const source = `import smtplib, sys
${context}
client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
client.starttls(context=context)
for path in sys.argv[2:]: client.sendmail('${FROM}', ['${TO}'], open(path, 'rb').read().replace(b'\\n', b'\\r\\n'))
client.quit()`;
  run(PYTHON, ['-c', source, String(port), ...paths]);
};

const poplib = (port: number, context: string, opening: TlsClient['opening']): void => {
  const clients = {
    tls: `client = poplib.POP3_SSL('127.0.0.1', int(sys.argv[1]), context=context)`,
    starttls: `client = poplib.POP3('127.0.0.1', int(sys.argv[1])); client.stls(context)`,
  };
  const source = `import poplib, sys
${context}
${clients[opening]}
client.user('${USER}'); client.pass_('${PASSWORD}')
for number in range(1, len(client.list()[1]) + 1): client.retr(number)
client.quit()`;
  run(PYTHON, ['-c', source, String(port)]);
};

export const TLS_CLIENTS: readonly TlsClient[] = [
  {
    name: 'imaplib, TLS 1.3',
    programs: [PYTHON],
    protocol: 'imap',
    opening: 'tls',
    talk: (_, port, keys) => imaplib(port, FETCH_ALL, { opening: 'tls', context: logging(keys, 'TLSv1_3') }),
  },
  {
    name: 'imaplib, TLS 1.2 and COMPRESS in it',
    programs: [PYTHON],
    protocol: 'imap',
    opening: 'starttls',
    talk: (_, port, keys) =>
      imaplib(port, FETCH_ALL, { opening: 'starttls', context: logging(keys, 'TLSv1_2'), compressed: true }),
  },
  {
    name: 'imaplib, storing',
    programs: [PYTHON],
    protocol: 'imap',
    opening: 'starttls',
    stores: true,
    talk: (context, port, keys, messages) =>
      imaplib(port, APPEND_ALL, {
        opening: 'starttls',
        context: logging(keys, 'TLSv1_3'),
        paths: written(context, messages),
      }),
  },
  {
    name: 'curl',
    programs: ['curl'],
    protocol: 'imap',
    opening: 'tls',
    talk(_, port, keys, messages) {
      const account = ['-sS', '-k', '-o', '/dev/null', '--user', `${USER}:${PASSWORD}`];
      for (let number = 1; number <= messages.length; number++)
        logged(keys, 'curl', [...account, `imaps://127.0.0.1:${port}/INBOX;MAILINDEX=${number}`]);
    },
  },
  {
    name: 'mutt',
    programs: ['mutt', 'script'],
    protocol: 'imap',
    opening: 'starttls',
    talk: (context, port, keys) => mutt(context, port, { keys }),
  },
  {
    name: 'openssl',
    programs: ['openssl'],
    protocol: 'imap',
    opening: 'starttls',
    talk(_, port, keys, messages) {
      const lines = [
        `a LOGIN ${USER} ${PASSWORD}`,
        'b SELECT INBOX',
        `c FETCH 1:${messages.length} BODY[]`,
        'd LOGOUT',
      ];
      sClient('imap', port, keys, lines);
    },
  },
  {
    name: 'poplib, TLS 1.3',
    programs: [PYTHON],
    protocol: 'pop3',
    opening: 'starttls',
    talk: (_, port, keys) => poplib(port, logging(keys, 'TLSv1_3'), 'starttls'),
  },
  {
    name: 'poplib, TLS 1.2',
    programs: [PYTHON],
    protocol: 'pop3',
    opening: 'tls',
    talk: (_, port, keys) => poplib(port, logging(keys, 'TLSv1_2'), 'tls'),
  },
  {
    name: 'mpop',
    programs: ['mpop'],
    protocol: 'pop3',
    opening: 'starttls',
    talk(context, port, keys) {
      const directory = scratch(context, 'mpop');
      const account = ['--host=127.0.0.1', `--port=${port}`, `--user=${USER}`, `--passwordeval=echo ${PASSWORD}`];
      const security = ['--tls=on', '--tls-starttls=on', '--tls-certcheck=off', '--auth=user'];
      const delivery = [`--delivery=mbox,${directory}/mbox`, `--uidls-file=${directory}/uidls`, '--keep=on'];
      logged(keys, 'mpop', [...account, ...security, ...delivery, '--only-new=off', '--half-quiet']);
    },
  },
  {
    name: 'openssl',
    programs: ['openssl'],
    protocol: 'pop3',
    opening: 'starttls',
    talk(_, port, keys, messages) {
      const retrievals = messages.map((__, at) => `RETR ${at + 1}`);
      sClient('pop3', port, keys, [`USER ${USER}`, `PASS ${PASSWORD}`, ...retrievals, 'QUIT']);
    },
  },
  {
    name: 'smtplib, TLS 1.3',
    programs: [PYTHON],
    protocol: 'smtp',
    opening: 'starttls',
    talk: (context, port, keys, messages) => smtplib(port, logging(keys, 'TLSv1_3'), written(context, messages)),
  },
  {
    name: 'smtplib, TLS 1.2',
    programs: [PYTHON],
    protocol: 'smtp',
    opening: 'starttls',
    talk: (context, port, keys, messages) => smtplib(port, logging(keys, 'TLSv1_2'), written(context, messages)),
  },
  {
    name: 'msmtp',
    programs: ['msmtp'],
    protocol: 'smtp',
    opening: 'starttls',
    talk(_, port, keys, messages) {
      const security = ['--tls=on', '--tls-starttls=on', '--tls-certcheck=off', '--auth=off'];
      for (const message of messages)
        logged(keys, 'msmtp', ['--host=127.0.0.1', `--port=${port}`, ...security, `--from=${FROM}`, TO], message);
    },
  },
  {
    name: 'curl',
    programs: ['curl'],
    protocol: 'smtp',
    opening: 'starttls',
    talk(_, port, keys, messages) {
      const mail = ['--mail-from', FROM, '--mail-rcpt', TO, '--ssl-reqd', '-k', '--crlf', '-T', '-'];
      for (const message of messages) logged(keys, 'curl', ['-sS', `smtp://127.0.0.1:${port}`, ...mail], message);
    },
  },
  {
    name: 'openssl',
    programs: ['openssl'],
    protocol: 'smtp',
    opening: 'starttls',
    talk(_, port, keys, messages) {
      const mails = messages.flatMap((message) => [
        `MAIL FROM:<${FROM}>`,
        `RCPT TO:<${TO}>`,
        'DATA',
        `${message.replace(/^\./gm, '..')}.`,
      ]);
      sClient('smtp', port, keys, ['EHLO client.example.test', ...mails, 'QUIT']);
    },
  },
];
