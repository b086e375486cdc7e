/** `inspectd ems-sim`: a simulated EMS in the foreground, for trying out what the daemon does about endpoints. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEndpoint } from '../config/sections/inspectd.js';
import { ConfigError } from '../core/errors.js';
import { endpointText } from '../core/session.js';
import { SYSTEMS } from '../ems/simulator/endpoints.js';
import { EmsSimulator } from '../ems/simulator/simulator.js';
import { said } from './inputs.js';

export interface EmsSimOptions {
  readonly directory: string;
  readonly listen: string;
  readonly serial: string;
  readonly user: string;
  readonly passwordFile?: string;
  readonly name: readonly string[];
  readonly endpoint: readonly string[];
}

/** The endpoint of the seeds' examples, for the first address that is given. */
const FIRST = { uid: 'F4F3263AEBE54777A6509A8FCCDF9284', user: 'keithli', hostname: 'WIN10-01' };

/** Settles when it was told to stop: the exit status. Rejects with ConfigError or SourceError. */
export async function emsSim(options: EmsSimOptions): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`inspectd: ${line}\n`);
  const listen = parseEndpoint(options.listen);
  if (listen === undefined) throw new ConfigError('--listen: give ADDRESS:PORT or [IPV6]:PORT');
  if (!/^[A-Z0-9]{4,32}$/.test(options.serial)) throw new ConfigError('--serial: capital letters and digits, 4 to 32');
  const directory = resolve(options.directory);
  const endpoints = options.endpoint.map(parseGiven);
  const simulator = await EmsSimulator.start({
    directory,
    serial: options.serial,
    username: options.user,
    password: passwordOf(options.passwordFile),
    listen,
    names: options.name,
  });
  for (const given of endpoints) {
    const { uid } = simulator.register(given);
    say(`endpoint ${uid} (${given.user}) at ${given.addresses.join(', ')}: ${simulator.authority.pathOf(uid)}`);
  }
  say('this is a simulator, not FortiClient EMS');
  say(`serial number ${options.serial}, authority ${join(directory, 'ca.pem')} (holds its key: keep it here)`);
  say(`web page https://${endpointText({ ...listen, port: simulator.port })}/`);
  say('ready');
  await new Promise<void>((stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop());
  });
  await simulator.close();
  return 0;
}

/** Prints the certificate of its authority: for `config vpn certificate ca`. */
export function emsSimAuthority(directory: string): number {
  try {
    const text = readFileSync(join(directory, 'ca.pem'), 'utf8');
    process.stdout.write(text.slice(text.indexOf('-----BEGIN CERTIFICATE-----')));
    return 0;
  } catch (cause) {
    throw new ConfigError(`${directory}: no simulator was started there: ${said(cause)}`, { cause });
  }
}

function passwordOf(file: string | undefined): string {
  if (file === undefined) {
    const password = process.env['EMS_SIM_PASSWORD'];
    if (password !== undefined && password !== '') return password;
    throw new ConfigError(
      'give the password of its administrator: --password-file FILE, or EMS_SIM_PASSWORD in the environment',
    );
  }
  try {
    return readFileSync(file, 'utf8').trimEnd();
  } catch (cause) {
    throw new ConfigError(`${file}: cannot be read: ${said(cause)}`, { cause });
  }
}

/** `ADDRESS[,USER[,windows|macos|linux]]` */
function parseGiven(written: string, at: number) {
  const [address = '', user, os = 'windows', extra] = written.split(',');
  const system = SYSTEMS.find((each) => each === os);
  if (
    parseEndpoint(address.includes(':') ? `[${address}]:1` : `${address}:1`) === undefined ||
    extra !== undefined ||
    system === undefined
  )
    throw new ConfigError(`--endpoint ${written}: give ADDRESS[,USER[,${SYSTEMS.join('|')}]]`);
  const first = at === 0 && user === undefined;
  return {
    ...(at === 0 ? { uid: FIRST.uid } : {}),
    hostname: first ? FIRST.hostname : `PC-${at + 1}`,
    user: user ?? (first ? FIRST.user : `user${at + 1}`),
    os: system,
    addresses: [address],
  };
}
