/**
 * Programs that speak IMAP to a port of loopback. Some take every message of INBOX, whole or in pieces, and leave it there; some store
 * messages.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { PASSWORD, USER } from './dovecot.js';
import { run, scratch } from './peers.js';

interface Client {
  readonly name: string;
  readonly programs: readonly string[];
}

export interface ImapFetcher extends Client {
  /** Takes all messages; `count` is how many there are. */
  fetch(context: TestContext, port: number, count: number): void;
}

export interface ImapStorer extends Client {
  /** Stores `messages`, whole and with LF line ends, in INBOX. */
  store(context: TestContext, port: number, messages: readonly string[]): void;
}

/** How a Python program comes to its connection. */
export type Opening = 'clear' | 'tls' | 'starttls';

const OPENINGS: Readonly<Record<Opening, string>> = {
  clear: `client = imaplib.IMAP4('127.0.0.1', port)`,
  tls: `client = imaplib.IMAP4_SSL('127.0.0.1', port, ssl_context=context)`,
  starttls: `client = imaplib.IMAP4('127.0.0.1', port); client.starttls(context)`,
};

export interface ImaplibOptions {
  readonly opening?: Opening;
  /** Python that makes the `context` of TLS. */
  readonly context?: string;
  readonly compressed?: boolean;
  readonly paths?: readonly string[];
}

/** Logs in and runs `body`, with `client` in INBOX, which has `total` messages, and `paths`. */
export function imaplib(port: number, body: string, options: ImaplibOptions = {}): void {
  const { opening = 'clear', paths = [] } = options;
  const source = `import imaplib, io, re, sys, zlib
port, paths = int(sys.argv[1]), sys.argv[2:]
${options.context ?? ''}
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
def plain(message): return message.replace(b'\\n', b'\\r\\n')
class Deflated(io.RawIOBase):
    # Raw deflate over the socket in both directions (RFC 4978).
    def __init__(self, sock):
        self.sock, self.inflate, self.rest = sock, zlib.decompressobj(-15), b''
    def readable(self): return True
    def readinto(self, into):
        while not self.rest:
            sealed = self.sock.recv(65536)
            if not sealed: return 0
            self.rest = self.inflate.decompress(sealed)
        size = min(len(into), len(self.rest))
        into[:size], self.rest = self.rest[:size], self.rest[size:]
        return size
${OPENINGS[opening]}
ok(client.login('${USER}', '${PASSWORD}'))
if ${options.compressed === true ? 'True' : 'False'}:
    imaplib.Commands['COMPRESS'] = ('AUTH', 'SELECTED')
    ok(client._simple_command('COMPRESS', 'DEFLATE'))
    inflated = io.BufferedReader(Deflated(client.sock))
    client.read, client.readline = inflated.read, inflated.readline
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    def send(data): client.sock.sendall(deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))
    client.send = send
total = int(ok(client.select('INBOX'))[0])
${body}
client.logout()`;
  run(PYTHON, ['-c', source, String(port), ...paths]);
}

/** Bodies for imaplib. */
export const FETCH_ALL = `for number in range(1, total + 1): ok(client.fetch(str(number), '(UID FLAGS BODY[])'))`;
export const APPEND_ALL = `for path in paths: ok(client.append('INBOX', '(\\\\Seen)', None, plain(open(path, 'rb').read())))`;

/** Ways to take all that INBOX holds. */
const WAYS: Readonly<Record<string, string>> = {
  'BODY[]': FETCH_ALL,
  RFC822: `ok(client.fetch(f'1:{total}', '(RFC822.SIZE RFC822)'))`,
  'single parts by their structure': `for number in range(1, total + 1):
    ok(client.fetch(str(number), '(ENVELOPE BODYSTRUCTURE)'))
    for part in range(1, 10): ok(client.fetch(str(number), f'(BODY.PEEK[{part}])'))`,
  'single parts with their MIME header': `for number in range(1, total + 1):
    for part in range(1, 10): ok(client.uid('FETCH', str(number), f'(BODY.PEEK[{part}.MIME] BODY.PEEK[{part}])'))`,
  'header and text': `for number in range(1, total + 1): ok(client.fetch(str(number), '(BODY[HEADER])')); ok(client.fetch(str(number), '(BODY[TEXT])'))`,
  'ranges of the message': `for number in range(1, total + 1):
    at, size = 0, 4096
    while size == 4096:
        size = len(ok(client.fetch(str(number), f'(BODY.PEEK[]<{at}.4096>)'))[0][1])
        at += size`,
  'ranges, from the last to the first': `for number in range(1, total + 1):
    size = int(re.search(rb'RFC822.SIZE (\\d+)', ok(client.fetch(str(number), '(RFC822.SIZE)'))[0])[1])
    for at in range(size // 9000 * 9000, -1, -9000): ok(client.fetch(str(number), f'(BODY.PEEK[]<{at}.9000>)'))`,
  BINARY: `for number in range(1, total + 1):
    ok(client.fetch(str(number), '(BODYSTRUCTURE)'))
    for part in range(1, 10):
        # Dovecot decodes no uuencode.
        if client.fetch(str(number), f'(BINARY.PEEK[{part}])')[0] != 'OK': ok(client.fetch(str(number), f'(BODY.PEEK[{part}])'))`,
};

export const IMAP_FETCHERS: readonly ImapFetcher[] = [
  ...Object.entries(WAYS).map(([way, body]) => ({
    name: `imaplib (${way})`,
    programs: [PYTHON],
    fetch: (_: TestContext, port: number) => imaplib(port, body),
  })),
  {
    name: 'imaplib through COMPRESS',
    programs: [PYTHON],
    fetch: (_, port) => imaplib(port, FETCH_ALL, { compressed: true }),
  },
  {
    name: 'mbsync',
    programs: ['mbsync'],
    fetch: (context, port) => mbsync(context, port, [], 'Pull'),
  },
  {
    name: 'fetchmail',
    programs: ['fetchmail'],
    fetch(context, port) {
      const directory = scratch(context, 'fetchmail');
      const settings = join(directory, 'fetchmailrc');
      const account = `user "${USER}" password "${PASSWORD}" mda "/bin/cat >/dev/null" keep fetchall no sslcertck sslproto ""`;
      writeFileSync(settings, `poll 127.0.0.1 service ${port} protocol imap ${account}\n`, { mode: 0o600 });
      const own = ['--pidfile', join(directory, 'pid'), '--idfile', join(directory, 'ids')];
      run('fetchmail', ['--fetchmailrc', settings, '--nodetach', '--silent', ...own]);
    },
  },
  {
    name: 'getmail',
    programs: ['getmail'],
    fetch(context, port) {
      const directory = scratch(context, 'getmail');
      const lines = [
        '[retriever]',
        'type = SimpleIMAPRetriever',
        'server = 127.0.0.1',
        `port = ${port}`,
        `username = ${USER}`,
        `password = ${PASSWORD}`,
        'mailboxes = ("INBOX",)',
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
    name: 'OfflineIMAP',
    programs: ['offlineimap'],
    fetch(context, port) {
      const directory = scratch(context, 'offlineimap');
      const lines = [
        '[general]',
        `metadata = ${directory}/metadata`,
        'accounts = test',
        'fsync = false',
        '[Account test]',
        'localrepository = here',
        'remoterepository = there',
        '[Repository here]',
        'type = Maildir',
        `localfolders = ${directory}/mail`,
        '[Repository there]',
        'type = IMAP',
        'remotehost = 127.0.0.1',
        `remoteport = ${port}`,
        `remoteuser = ${USER}`,
        `remotepass = ${PASSWORD}`,
        'ssl = no',
        'starttls = no',
        'auth_mechanisms = LOGIN',
        'maxconnections = 1',
      ];
      writeFileSync(join(directory, 'offlineimaprc'), `${lines.join('\n')}\n`);
      run('offlineimap', ['-c', join(directory, 'offlineimaprc'), '-o', '-u', 'quiet']);
    },
  },
  {
    name: 'mutt',
    programs: ['mutt', 'script'],
    fetch: (context, port) => mutt(context, port),
  },
  {
    name: 'curl',
    programs: ['curl'],
    fetch(_, port, count) {
      for (let number = 1; number <= count; number++) run('curl', curl(port, `INBOX;MAILINDEX=${number}`));
    },
  },
  {
    // The structure is fetched first, over the same connection.
    name: 'curl (SECTION)',
    programs: ['curl'],
    fetch(_, port, count) {
      for (let number = 1; number <= count; number++) {
        const parts = Array.from({ length: 9 }, (__, at) =>
          curl(port, `INBOX;MAILINDEX=${number};SECTION=${at + 1}`, '--next'),
        );
        run('curl', [...curl(port, 'INBOX', '-X', `FETCH ${number} BODYSTRUCTURE`), ...parts.flat()]);
      }
    },
  },
];

export const IMAP_STORERS: readonly ImapStorer[] = [
  {
    name: 'imaplib',
    programs: [PYTHON],
    store: (context, port, messages) => imaplib(port, APPEND_ALL, { paths: written(context, messages) }),
  },
  {
    name: 'imaplib through COMPRESS',
    programs: [PYTHON],
    store: (context, port, messages) =>
      imaplib(port, APPEND_ALL, { compressed: true, paths: written(context, messages) }),
  },
  {
    // All messages in one command, and nothing waits (RFC 3502, RFC 7888).
    name: 'MULTIAPPEND by hand',
    programs: [PYTHON],
    store: (context, port, messages) =>
      imaplib(
        port,
        `tag = client._new_tag()
client.send(tag + b' APPEND INBOX')
for path in paths:
    message = plain(open(path, 'rb').read())
    client.send(b' (\\\\Seen) {%d+}\\r\\n' % len(message) + message)
client.send(b'\\r\\n')
ok(client._command_complete('APPEND', tag))`,
        { paths: written(context, messages) },
      ),
  },
  {
    name: 'literal8 by hand',
    programs: [PYTHON],
    store: (context, port, messages) =>
      imaplib(
        port,
        `for path in paths:
    message, tag = plain(open(path, 'rb').read()), client._new_tag()
    client.send(tag + b' APPEND INBOX ~{%d}\\r\\n' % len(message))
    while client._get_response(): ok(client._command_complete('APPEND', tag))
    client.send(message + b'\\r\\n')
    ok(client._command_complete('APPEND', tag))`,
        { paths: written(context, messages) },
      ),
  },
  {
    name: 'mbsync',
    programs: ['mbsync'],
    store: (context, port, messages) => mbsync(context, port, messages, 'Push'),
  },
  {
    name: 'mutt',
    programs: ['mutt', 'script'],
    store: (context, port, messages) => mutt(context, port, { messages }),
  },
  {
    name: 'curl',
    programs: ['curl'],
    store(context, port, messages) {
      for (const path of written(
        context,
        messages.map((each) => each.replaceAll('\n', '\r\n')),
      ))
        run('curl', curl(port, 'INBOX', '-T', path));
    },
  },
];

/** One transfer of curl. */
export function curl(port: number, path: string, ...options: readonly string[]): string[] {
  return [...options, '-sS', '-o', '/dev/null', '--user', `${USER}:${PASSWORD}`, `imap://127.0.0.1:${port}/${path}`];
}

/** Files that hold `messages`. */
export function written(context: TestContext, messages: readonly string[]): string[] {
  const directory = scratch(context, 'messages');
  return messages.map((message, at) => {
    const path = join(directory, String(at));
    writeFileSync(path, message);
    return path;
  });
}

/** Brings a maildir with `messages` and INBOX together, in one direction. */
function mbsync(context: TestContext, port: number, messages: readonly string[], direction: 'Pull' | 'Push'): void {
  const directory = scratch(context, 'mbsync');
  for (const name of ['', 'new', 'cur', 'tmp']) mkdirSync(join(directory, 'INBOX', name), { recursive: true });
  messages.forEach((message, at) => {
    writeFileSync(join(directory, 'INBOX/cur', `${1_000_000 + at}.${at}.test:2,`), message);
  });
  const lines = [
    'IMAPStore there',
    'Host 127.0.0.1',
    `Port ${port}`,
    `User ${USER}`,
    `Pass ${PASSWORD}`,
    'SSLType None',
    'AuthMechs LOGIN',
    '',
    'MaildirStore here',
    `Inbox ${directory}/INBOX`,
    '',
    'Channel test',
    'Far :there:INBOX',
    'Near :here:INBOX',
    `Sync ${direction}`,
    `SyncState ${directory}/state-`,
  ];
  writeFileSync(join(directory, 'mbsyncrc'), `${lines.join('\n')}\n`);
  run('mbsync', ['-c', join(directory, 'mbsyncrc'), 'test']);
}

/**
 * On a terminal, since it wants one: copies every message of INBOX to a file, or `messages` to INBOX. With `keys` it speaks through STARTTLS and
 * logs its keys there.
 */
export function mutt(
  context: TestContext,
  port: number,
  { messages = [], keys }: { messages?: readonly string[]; keys?: string } = {},
): void {
  const directory = scratch(context, 'mutt');
  const inbox = `imap://${USER}:${PASSWORD}@127.0.0.1:${port}/INBOX`;
  const file = join(directory, 'mbox');
  const storing = messages.length > 0;
  const mail = messages.map((each) => `From alice Sun Nov 22 10:00:00 2026\n${each}\n`);
  if (storing) writeFileSync(file, mail.join(''));
  const [from, to] = storing ? [file, inbox] : [inbox, file];
  const security = keys === undefined ? 'no' : 'yes';
  const lines = [
    `set ssl_starttls=${security} ssl_force_tls=${security} imap_check_subscribed=no confirmappend=no confirmcreate=no`,
    `set folder="${directory}" tmpdir="${directory}" delete=no move=no wait_key=no copy=no quit=yes`,
    `push "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>${to}<enter><exit>"`,
  ];
  const settings = join(directory, 'muttrc');
  writeFileSync(settings, `${lines.join('\n')}\n`);
  const environment = keys === undefined ? '' : `SSLKEYLOGFILE=${keys} `;
  run('script', ['-qec', `${environment}TERM=xterm mutt -n -F ${settings} -f ${from}`, '/dev/null'], {
    // It asks whether the certificate will do, and hears no answer but that of the keyboard: once.
    input: keys === undefined ? '' : 'o',
  });
}
