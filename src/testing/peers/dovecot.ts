/** A Dovecot of the test's own: POP3 on one port of loopback, one user with the messages that it is given. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { listening, pathOf, run, serverDirectory } from './peers.js';

export const USER = 'alice';
export const PASSWORD = 'only-for-this-test';

export async function startDovecot(
  context: TestContext,
  port: number,
  messages: readonly (string | Buffer)[],
): Promise<void> {
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
  writeFileSync(
    join(base, 'dovecot.conf'),
    `protocols = pop3
listen = 127.0.0.1
base_dir = ${base}/run
state_dir = ${base}/run
log_path = ${base}/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:${maildir}
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
service pop3-login {
  inet_listener pop3 {
    port = ${port}
  }
  inet_listener pop3s {
    port = 0
  }
}
`,
  );
  // It detaches, and would keep our pipes open.
  spawnSync(pathOf('dovecot') ?? 'dovecot', ['-c', join(base, 'dovecot.conf')], { stdio: 'ignore' });
  await listening(port);
}
