/** Exim, as a server that keeps what it takes in a queue that nobody empties, and as a client that hands mail on with PIPELINING and CHUNKING (BDAT). */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ended, listening, pathOf, run, scratch, serverDirectory } from './peers.js';

/** The directory of its spool and logs. */
export async function startExim(context: TestContext, port: number): Promise<string> {
  let stop = async (): Promise<void> => {};
  const base = serverDirectory(context, 'exim', () => stop());
  const settings = configure(base, [
    'queue_only',
    `daemon_smtp_ports = ${port}`,
    'local_interfaces = 127.0.0.1',
    'acl_smtp_rcpt = accept',
    'begin routers',
    'all:',
    '  driver = accept',
    '  transport = nowhere',
    'begin transports',
    'nowhere:',
    '  driver = appendfile',
    '  file = /dev/null',
  ]);
  // In the foreground, so that it is our own child.
  const exim = spawn(pathOf('exim4') ?? 'exim4', ['-C', settings, '-bdf'], { stdio: 'ignore' });
  stop = () => ended(exim);
  await listening(port);
  return base;
}

/** Gives `mail` to an Exim that delivers it to `port` of loopback at once. */
export function sendWithExim(context: TestContext, port: number, from: string, to: string, mail: string): void {
  const base = scratch(context, 'exim-client');
  const settings = configure(base, [
    'begin routers',
    'all:',
    '  driver = manualroute',
    '  transport = there',
    '  route_list = * 127.0.0.1',
    '  self = send',
    'begin transports',
    'there:',
    '  driver = smtp',
    `  port = ${port}`,
    '  allow_localhost',
    '  hosts_avoid_tls = *',
  ]);
  run('exim4', ['-C', settings, '-odf', '-i', '-f', from, to], { input: mail });
}

function configure(base: string, lines: readonly string[]): string {
  const settings = join(base, 'exim.conf');
  mkdirSync(join(base, 'spool'));
  // It delivers as that user, never as root.
  chmodSync(base, 0o755);
  run('chown', ['mail:mail', base, join(base, 'spool')]);
  const common = [
    `exim_path = ${pathOf('exim4') ?? 'exim4'}`,
    `spool_directory = ${base}/spool`,
    `log_file_path = ${base}/%slog`,
    `pid_file_path = ${base}/pid`,
    'exim_user = mail',
    'exim_group = mail',
    'primary_hostname = mail.example.test',
    'host_lookup =',
    'rfc1413_query_timeout = 0s',
    'tls_advertise_hosts =',
  ];
  writeFileSync(settings, `${[...common, ...lines].join('\n')}\n`);
  return settings;
}
