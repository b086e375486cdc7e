/** A Dovecot of the test's own: POP3 and IMAP on ports of loopback, in clear and by TLS, one user with the messages that it is given. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Certificate, selfSigned } from './certificate.js';
import { listening, pathOf, run, serverDirectory } from './peers.js';

export const USER = 'alice';
export const PASSWORD = 'only-for-this-test';

const PORTS = ['pop3', 'pop3s', 'imap', 'imaps'] as const;

/** The ports that it serves. */
export interface DovecotPorts extends Partial<Record<(typeof PORTS)[number], number>> {
  /** With STLS and STARTTLS on the others. */
  readonly tls?: boolean;
}

/** A number is the port of its POP3. */
export async function startDovecot(
  context: TestContext,
  ports: number | DovecotPorts,
  messages: readonly (string | Buffer)[],
): Promise<void> {
  const served = typeof ports === 'number' ? { pop3: ports } : ports;
  const base = serverDirectory(context, 'dovecot', (directory) => {
    run('doveadm', ['-c', join(directory, 'dovecot.conf'), 'stop'], { statuses: [0, 75] });
  });
  const maildir = join(base, 'mail');
  for (const directory of ['', 'cur', 'new', 'tmp']) mkdirSync(join(maildir, directory));
  mkdirSync(join(base, 'run'));
  messages.forEach((message, at) => {
    writeFileSync(join(maildir, 'new', `${1_000_000 + at}.${at}.test`), message);
  });
  run('chown', ['-R', 'mail:mail', maildir]);
  writeFileSync(join(base, 'users'), `${USER}:{PLAIN}${PASSWORD}:mail:mail::${base}\n`);
  const tls = served.tls === true || served.pop3s !== undefined || served.imaps !== undefined;
  writeFileSync(join(base, 'dovecot.conf'), settings(base, served, tls ? selfSigned(base) : undefined));
  // It detaches, and would keep our pipes open.
  spawnSync(pathOf('dovecot') ?? 'dovecot', ['-c', join(base, 'dovecot.conf')], { stdio: 'ignore' });
  for (const name of PORTS) if (served[name] !== undefined) await listening(served[name]);
}

function settings(base: string, ports: DovecotPorts, tls: Certificate | undefined): string {
  // A program that is not installed may not be named.
  const protocols = (['pop3', 'imap'] as const).filter((name) => (ports[name] ?? ports[`${name}s`]) !== undefined);
  const login = protocols.map(
    (name) => `service ${name}-login {
  inet_listener ${name} {
    port = ${ports[name] ?? 0}
  }
  inet_listener ${name}s {
    port = ${ports[`${name}s`] ?? 0}
    ssl = yes
  }
}
`,
  );
  const compressed = `protocol imap {
  mail_plugins = zlib imap_zlib
}
`;
  return `protocols = ${protocols.join(' ')}
listen = 127.0.0.1
base_dir = ${base}/run
state_dir = ${base}/run
log_path = ${base}/dovecot.log
ssl = ${tls === undefined ? 'no' : `yes\nssl_cert = <${tls.certificate}\nssl_key = <${tls.key}`}
disable_plaintext_auth = no
mail_location = maildir:${base}/mail
first_valid_uid = 1
first_valid_gid = 1
default_vsz_limit = 0
passdb {
  driver = passwd-file
  args = ${base}/users
}
userdb {
  driver = passwd-file
  args = ${base}/users
}
${login.join('')}${protocols.includes('imap') ? compressed : ''}`;
}
