#!/usr/bin/env node
/** The program: what a user types becomes one call of a command's file, loaded only then. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ConfigError, SourceError } from '../core/errors.js';
import type { Secret } from '../core/secret.js';
import { type ClamdAddress, parseClamdAddress } from '../scan/clamd/address.js';
import type { AskOptions } from './ask.js';
import type { CaOptions } from './ca.js';
import type { CheckOptions } from './check.js';
import type { EmsSimOptions } from './ems-sim.js';
import type { ExplainOptions } from './explain.js';
import type { SubmitOptions, WorkerOptions } from './fleet.js';
import type { QuarantineOptions } from './quarantine.js';
import type { ScanOptions } from './scan.js';
import { parseSecret } from './secret.js';
import type { ServeOptions } from './serve.js';
import type { ConnectOptions } from './ztna.js';

/** Nothing bad; something that policy strips or blocks; the work could not be done. */
export const EXIT = { clean: 0, found: 1, failed: 2 } as const;

const program = new Command('inspectd')
  .description('Takes the files out of mail, judges them, and writes FortiOS-format logs.')
  .version(version())
  .configureOutput({
    // One line, like every other message.
    outputError: (text, write) =>
      write(`inspectd: ${text.replace(/^error: /, '').trimEnd()} (inspectd --help explains)\n`),
  })
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `
Examples:
  inspectd scan mail.pcap         what is in this capture?
  inspectd explain odd.eml        what is inside, and why is it judged so?
  inspectd serve -c utm.conf      inspect live connections
  inspectd check -c utm.conf      is this configuration right?
  inspectd help scan              every option, with examples`,
  );

program
  .command('scan')
  .summary('scan captures, messages, files or directories')
  .description(
    'Scans captures (.pcap, .pcapng, either gzipped), messages (.eml), any other file, directories (walked), or - (a capture on standard input).\n' +
      'Logs go to standard output, one FortiOS line for each infected or filtered object; a summary goes to standard error.',
  )
  .argument('<input...>', 'captures, messages, files, directories, or -')
  .option(
    '-c, --config <file>',
    'FortiOS-syntax configuration (default: antivirus on with block, built-in signatures, no file filter)',
  )
  .option(
    '--signatures <path>',
    'a signature file, a YARA rule file (.yar; a file whose rules take over 30 s is unscannable) or a directory of them, beside the built-in ones (repeatable)',
    collect,
    [],
  )
  .option(
    '--keylog <file>',
    'NSS key log that opens TLS sessions (repeatable); a .keys file beside a capture is found by itself',
    collect,
    [],
  )
  .option(
    '--smb-secret <secret>',
    'USER%PASSWORD, DOMAIN\\USER%PASSWORD, USER%%NTHASH or session:ID:KEY: opens sealed SMB sessions, verifies signed ones (repeatable)',
    secret,
    [],
  )
  .option('--log <file>', 'where FortiOS logs go (default: standard output)')
  .addOption(
    new Option('--log-format <format>', 'format of the logs')
      .choices(['default', 'csv', 'cef', 'rfc5424', 'json'])
      .default('default'),
  )
  .option('--files <file>', 'write one JSON object a line for each file seen (- for standard output)')
  .option('--flows <file>', 'write one JSON object a line for each connection (- for standard output)')
  .option('--extract <dir>', 'keep each extracted file as <dir>/<sha256>')
  .option('--clamd <address>', 'ask a clamd as well: HOST:PORT or the path of its socket', clamd)
  .option(
    '--jobs <n>',
    'cores to use (default: two for large captures, or all where there are YARA rules, which run in processes of their own)',
    count,
  )
  .addOption(
    new Option('--summary <form>', 'what to say at the end, on standard error')
      .choices(['text', 'json', 'none'])
      .default('text'),
  )
  .option('--quiet', 'no progress, no warnings')
  .option('--no-progress', 'no progress bar (there is none anyway unless standard error is a terminal)')
  .addHelpText(
    'after',
    `
Exit status: 0 nothing found, 1 policy strips or blocks something, 2 the work could not be done (a damaged capture is scanned as far as it can be read).

Examples:
  inspectd scan mail.pcap                              what is in this capture?
  inspectd scan --files files.jsonl --extract out *.pcap.gz   list and keep every file
  tcpdump -w - port 25 | inspectd scan -               watch as it happens
  inspectd scan -c utm.conf --log-format cef --log /var/log/utm.cef mail.pcapng
  inspectd scan --signatures my-rules.yar suspicious.eml`,
  )
  .action(async (inputs: string[], options: ScanOptions) => {
    const { scan } = await import('./scan.js');
    process.exitCode = await scan(inputs, options);
  });

program
  .command('explain')
  .summary('say what is inside a message or file, and why it is judged so')
  .description(
    'Prints each message, file or transfer of a capture as a tree of what was found inside, in words: every part and member, what is odd\n' +
      'about it and, where readers may differ on a message, every way in which it was read that shows something bad.',
  )
  .argument('<input...>', 'messages, files, directories or captures')
  .option('-c, --config <file>', 'FortiOS-syntax configuration')
  .option('--signatures <path>', 'signatures beside the built-in ones (repeatable)', collect, [])
  .option('--clamd <address>', 'ask a clamd as well: HOST:PORT or the path of its socket', clamd)
  .option('--readings', 'show every reading, also those that show nothing')
  .addHelpText(
    'after',
    `
Exit status: as of scan.

Examples:
  inspectd explain suspicious.eml
  inspectd explain --readings odd.eml | less`,
  )
  .action(async (inputs: string[], options: ExplainOptions) => {
    const { explain } = await import('./explain.js');
    process.exitCode = await explain(inputs, options);
  });

program
  .command('check')
  .summary('check a configuration and the signatures')
  .description(
    'Reads a configuration and says what is wrong with it, by line, or nothing. Also loads the signatures and finds the EICAR test string with them.',
  )
  .option('-c, --config <file>', 'FortiOS-syntax configuration')
  .option('--signatures <path>', 'signatures beside the built-in ones (repeatable)', collect, [])
  .option(
    '--clamd <address>',
    'is this clamd there, and does it say what it leaves out? HOST:PORT or the path of its socket',
    clamd,
  )
  .option('--defaults', 'print every limit and default, and where it can be set')
  .addHelpText(
    'after',
    `
Exit status: 0 nothing wrong, 2 something is.

Examples:
  inspectd check -c utm.conf
  inspectd check --defaults`,
  )
  .action(async (options: CheckOptions) => {
    const { check } = await import('./check.js');
    process.exitCode = await check(options);
  });

program
  .command('submit')
  .summary('scan inputs on other machines')
  .description(
    'Gives inputs to the workers of a fleet and writes what they found as scan does: the same logs, rows and summary, in the same order.\n' +
      'Workers open the files themselves, under the same absolute paths: put them on storage that all machines have.',
  )
  .argument('<input...>', 'captures, messages, files or directories')
  .requiredOption('--redis <url>', 'redis://HOST:PORT, or rediss://USER:PASSWORD@HOST:PORT/DATABASE')
  .option('--queue <name>', 'a queue of your own', 'inspectd')
  .option('-c, --config <file>', 'FortiOS-syntax configuration; it is sent to the workers')
  .option('--log <file>', 'where FortiOS logs go (default: standard output)')
  .addOption(
    new Option('--log-format <format>', 'format of the logs')
      .choices(['default', 'csv', 'cef', 'rfc5424', 'json'])
      .default('default'),
  )
  .option('--files <file>', 'write one JSON object a line for each file seen (- for standard output)')
  .option('--flows <file>', 'write one JSON object a line for each connection (- for standard output)')
  .addOption(
    new Option('--summary <form>', 'what to say at the end, on standard error')
      .choices(['text', 'json', 'none'])
      .default('text'),
  )
  .option('--quiet', 'no progress, no warnings')
  .option('--no-progress', 'no progress bar')
  .addHelpText(
    'after',
    `
Exit status: as of scan.

Examples:
  inspectd worker --redis redis://queue.example:6379          on each machine that scans
  inspectd submit --redis redis://queue.example:6379 /captures`,
  )
  .action(async (inputs: string[], options: SubmitOptions) => {
    const { submit } = await import('./fleet.js');
    process.exitCode = await submit(inputs, options);
  });

program
  .command('worker')
  .summary('scan for a fleet')
  .description(
    'Takes inputs that were submitted and scans them, until SIGTERM: then it ends what it is at. One that dies is noticed when its lock runs out,\n' +
      'and another worker begins its inputs anew.',
  )
  .requiredOption('--redis <url>', 'redis://HOST:PORT, or rediss://USER:PASSWORD@HOST:PORT/DATABASE')
  .option('--queue <name>', 'the queue that inputs are submitted to', 'inspectd')
  .option('--jobs <n>', 'inputs at once', count, 1)
  .option('--lock <seconds>', 'silence after which a worker is taken for dead', count, 30)
  .option('--signatures <path>', 'signatures beside the built-in ones (repeatable)', collect, [])
  .option('--smb-secret <secret>', 'as of scan (repeatable)', secret, [])
  .option('--clamd <address>', 'ask a clamd as well: HOST:PORT or the path of its socket', clamd)
  .action(async (options: WorkerOptions) => {
    const { worker } = await import('./fleet.js');
    await worker(options);
  });

program
  .command('serve')
  .summary('inspect live connections')
  .description(
    'Runs the daemon: listens where the configuration says, leads clients to their servers, and inspects what passes.\n' +
      'Stays in the foreground; what it listens on is printed to standard error, records go where "config inspectd settings" says.',
  )
  .requiredOption('-c, --config <file>', 'FortiOS-syntax configuration')
  .option('--signatures <path>', 'signatures beside the built-in ones (repeatable)', collect, [])
  .addHelpText(
    'after',
    `
Signals: SIGHUP reads the configuration again (sessions go on), SIGUSR2 opens the log file anew, SIGTERM lets sessions end and stops
(a second one ends them).

Examples:
  inspectd serve -c samples/utm.conf
  inspectd diagnose sys session list -c samples/utm.conf     what is open?
  inspectd get system status -c samples/utm.conf`,
  )
  .action(async (options: ServeOptions) => {
    const { serve } = await import('./serve.js');
    process.exitCode = await serve(options, version());
  });

program
  .command('ca')
  .summary('print the certificate that clients of TLS inspection must trust')
  .description(
    'Prints the authority that signs the certificates shown to clients in place of those of servers (PEM), and makes it when there is none yet.\n' +
      'It was made for this installation alone; its key never leaves the state directory.',
  )
  .option('-c, --config <file>', 'the configuration of the daemon: it names the state directory')
  .addHelpText(
    'after',
    `
Example (Debian):
  inspectd ca -c utm.conf > /usr/local/share/ca-certificates/inspectd.crt && update-ca-certificates`,
  )
  .action(async (options: CaOptions) => {
    const { ca } = await import('./ca.js');
    process.exitCode = await ca(options);
  });

program
  .command('ems-sim')
  .summary('a simulated EMS, for trying out and for tests')
  .description(
    'Runs a simulator of FortiClient EMS: endpoints with tags, a web page where each is switched (antivirus off, offline, …), certificates of an\n' +
      'authority of its own, and the calls that the daemon makes. It is no EMS: its calls are partly our own (docs/ems.md).',
  )
  .option('--directory <dir>', 'where its keys, certificates and endpoints are kept', 'ems-sim')
  .option('--listen <address>', 'where it listens, for HTTPS', '127.0.0.1:8443')
  .option('--serial <serial>', 'its serial number', 'FCTEMS0000109188')
  .option('--user <name>', 'its administrator', 'admin')
  .option('--password-file <file>', "the administrator's password (or EMS_SIM_PASSWORD in the environment)")
  .option(
    '--name <name>',
    'a name or address that its certificate is good for, beside localhost (repeatable)',
    collect,
    [],
  )
  .option('--endpoint <endpoint>', 'ADDRESS[,USER[,windows|macos|linux]]: an endpoint (repeatable)', collect, [])
  .option('--print-ca', 'print the certificate of its authority and end')
  .addHelpText(
    'after',
    `
Example:
  EMS_SIM_PASSWORD=secret inspectd ems-sim --endpoint 127.0.0.1
  inspectd ems-sim --print-ca                    for "config vpn certificate ca"`,
  )
  .action(async (options: EmsSimOptions & { readonly printCa?: boolean }) => {
    const { emsSim, emsSimAuthority } = await import('./ems-sim.js');
    process.exitCode = options.printCa === true ? emsSimAuthority(options.directory) : await emsSim(options);
  });

program
  .command('ztna')
  .summary('the client of an access proxy')
  .description('What an endpoint does to get through an access proxy (ZTNA).')
  .command('connect')
  .description(
    'Listens on a port of this machine; who connects there is led through the access proxy to the server behind it, with the certificate of\n' +
      'this endpoint. What FortiClient does by a ZTNA connection rule.',
  )
  .requiredOption('--gateway <host:port>', 'the access proxy')
  .requiredOption('--to <host:port>', 'the server behind it, by the address or name that the access proxy maps')
  .requiredOption('--listen <port>', 'where clients of this machine connect: a port of 127.0.0.1, or ADDRESS:PORT')
  .option('--cert <file>', "this endpoint's certificate (PEM)")
  .option('--key <file>', 'its key (PEM)')
  .option('--ca <file>', "who vouches for the access proxy's own certificate (PEM; default: whom this machine trusts)")
  .option('--encrypt', 'keep what is carried inside TLS, where it is not encrypted itself')
  .option('--user <name>', 'sign in; the password is in the environment, INSPECTD_ZTNA_PASSWORD')
  .addHelpText(
    'after',
    `
Example:
  inspectd ztna connect --gateway 192.0.2.86:443 --cert pc.crt --key pc.key --ca gateway-ca.crt --listen 13389 --to 192.168.20.6:3389
  and point the RDP client to 127.0.0.1:13389`,
  )
  .action(async (options: ConnectOptions) => {
    const { connect } = await import('./ztna.js');
    process.exitCode = await connect(options);
  });

for (const [name, summary] of [
  ['diagnose', 'look into the running daemon: sessions, expectations, debug lines'],
  ['get', 'the state of the running daemon'],
  ['execute', 'have the running daemon do something: reload, show its log'],
] as const)
  program
    .command(`${name} [words...]`)
    .summary(summary)
    .description(`Asks the running daemon; FortiOS's words. "inspectd ${name} ?" lists what there is.`)
    .option('-c, --config <file>', 'the configuration that the daemon was started with: it names the control socket')
    .option('--control <socket>', 'the control socket itself')
    .action(async (words: string[], options: AskOptions) => {
      const { ask } = await import('./ask.js');
      process.exitCode = await ask([name, ...words], options);
    });

program
  .command('quarantine [words...]')
  .summary('the infected files that were kept: list, show, release, delete')
  .description(
    'Looks into the directory where the daemon keeps infected files ("config antivirus quarantine"; "set quarantine enable" in a profile).\n' +
      'A file is named by its SHA-256, or the beginning of it. Whatever is released is infected still.',
  )
  .option('-c, --config <file>', 'the configuration of the daemon: it names the state directory')
  .option('--directory <dir>', 'the quarantine itself')
  .addHelpText(
    'after',
    `
Exit status: 0 done, 2 it could not be done.

Examples:
  inspectd quarantine list -c utm.conf
  inspectd quarantine show 275a021b -c utm.conf               when, from where, under which names
  inspectd quarantine release 275a021b ./sample -c utm.conf   a copy, readable by you alone
  inspectd quarantine delete 275a021b -c utm.conf`,
  )
  .action(async (words: string[], options: QuarantineOptions) => {
    const { quarantine } = await import('./quarantine.js');
    process.exitCode = await quarantine(words, options);
  });

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function clamd(value: string): ClamdAddress {
  const address = parseClamdAddress(value);
  if (address === undefined) throw new InvalidArgumentError('give HOST:PORT, [IPV6]:PORT or the path of a socket.');
  return address;
}

function secret(value: string, before: Secret[]): Secret[] {
  const parsed = parseSecret(value);
  if (parsed === undefined)
    throw new InvalidArgumentError('give USER%PASSWORD, DOMAIN\\USER%PASSWORD, USER%%NTHASH or session:ID:KEY.');
  return [...before, parsed];
}

function count(value: string): number {
  if (!/^[1-9]\d{0,2}$/.test(value)) throw new InvalidArgumentError('give a whole number from 1 to 999.');
  return Number(value);
}

/** Rows went to standard output, and nobody reads there any more. */
function readerLeft(error: unknown): boolean {
  return error instanceof SourceError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
}

function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// A reader that goes away (| head) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.clean);
  process.stderr.write(`inspectd: standard output: cannot be written: ${error.message}\n`);
  process.exit(EXIT.failed);
});

/** Runs the command that was typed, to its exit status. */
async function main(): Promise<void> {
  let ended = false;
  // A process in which nothing is left to wait for ends, whatever was still to be done: that must not look like a scan that found nothing.
  process.once('beforeExit', () => {
    if (ended) return;
    process.stderr.write('inspectd: an error of ours; please report it: it stopped before it was done\n');
    process.exitCode = EXIT.failed;
  });
  try {
    await program.parseAsync();
  } catch (error) {
    if (
      error instanceof Error &&
      'exitCode' in error &&
      'code' in error &&
      String(error.code).startsWith('commander.')
    ) {
      process.exitCode = error.exitCode === 0 ? EXIT.clean : EXIT.failed;
    } else if (readerLeft(error)) {
      process.exitCode = EXIT.clean;
    } else if (error instanceof ConfigError || error instanceof SourceError) {
      for (const line of error.message.split('\n')) process.stderr.write(`inspectd: ${line}\n`);
      process.exitCode = EXIT.failed;
    } else {
      process.stderr.write(
        `inspectd: an error of ours; please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
      process.exitCode = EXIT.failed;
    }
  }
  ended = true;
}

// Nothing is left for it to reject with.
void main();
