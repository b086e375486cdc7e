/** A Postfix of the test's own: listens on one port of loopback and throws accepted mail away. With `tls` it offers STARTTLS. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { selfSigned } from './certificate.js';
import { listening, run, serverDirectory } from './peers.js';

/** The directory of its queue and log. */
export async function startPostfix(
  context: TestContext,
  port: number,
  options: { readonly tls?: boolean } = {},
): Promise<string> {
  const base = serverDirectory(context, 'postfix', (directory) => {
    run('postfix', ['-c', join(directory, 'etc'), 'stop'], { statuses: [0, 1] });
  });
  for (const directory of ['etc', 'queue', 'data']) mkdirSync(join(base, directory));
  run('chown', ['postfix', join(base, 'data')]);
  const tls = options.tls === true ? selfSigned(join(base, 'etc')) : undefined;
  writeFileSync(
    join(base, 'etc/main.cf'),
    `compatibility_level = 3.6
queue_directory = ${base}/queue
data_directory = ${base}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.test
mydestination = example.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
local_recipient_maps =
local_transport = discard:
alias_maps =
maillog_file = ${base}/mail.log
maillog_file_prefixes = ${base}
message_size_limit = 104857600
${tls === undefined ? '' : `smtpd_tls_security_level = may\nsmtpd_tls_key_file = ${tls.key}\nsmtpd_tls_cert_file = ${tls.certificate}\n`}`,
  );
  const services = [
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'postlog unix-dgram n - n - 1 postlogd',
    'tlsmgr unix - - n 1000? 1 tlsmgr',
  ];
  for (const name of ['bounce', 'defer', 'trace']) services.push(`${name} unix - - n - 0 bounce`);
  for (const name of ['discard', 'error', 'proxymap', 'anvil']) services.push(`${name} unix - - n - - ${name}`);
  services.push('rewrite unix - - n - - trivial-rewrite', 'retry unix - - n - - error');
  writeFileSync(join(base, 'etc/master.cf'), `127.0.0.1:${port} inet n - n - - smtpd\n${services.join('\n')}\n`);
  run('postfix', ['-c', join(base, 'etc'), 'start']);
  await listening(port);
  return base;
}
