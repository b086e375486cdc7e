/** The daemon as users run it, in front of servers of the test: doors on loopback, one policy that inspects everything, its log at hand. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLine } from '../../log/parse-line.js';
import { inspectd, MAIN } from '../program.js';
import { ended, freePort, scratch } from './peers.js';

/** What passes a door, as `config firewall profile-protocol-options` and `ssl-ssh-profile` call it. */
export type DoorKind = 'smtp' | 'pop3' | 'imap' | 'ftp' | 'cifs' | 'smtps' | 'pop3s' | 'imaps' | 'ftps' | 'other';

export interface DoorSetup {
  readonly kind: DoorKind;
  /** The server's port, and its address unless 127.0.0.1. */
  readonly to: number;
  readonly toAddress?: string;
  /** Where clients come: 127.0.0.1 and a free port unless told. */
  readonly address?: string;
  readonly port?: number;
}

export interface DaemonSetup {
  readonly doors: readonly DoorSetup[];
  /** FortiOS lines inside the edits of the profiles: `av` (config antivirus profile), `options`, `ssl`, `policy`. */
  readonly av?: readonly string[];
  readonly ssl?: readonly string[];
  readonly options?: readonly string[];
  readonly policy?: readonly string[];
  readonly settings?: readonly string[];
  /** Whole sections in front of the rest. */
  readonly sections?: string;
  /** Arguments of `inspectd serve` beside -c. */
  readonly args?: readonly string[];
}

export type LogFields = ReadonlyMap<string, string>;

export interface RunningDaemon {
  readonly directory: string;
  readonly configuration: string;
  readonly process: ChildProcess;
  /** Ports of the doors, in their order. */
  readonly ports: readonly number[];
  /** Every record so far. */
  records(): LogFields[];
  /** The first record with all these fields, as soon as it is written. */
  record(fields: Readonly<Record<string, string>>): Promise<LogFields>;
  /** What `inspectd diagnose …` prints. */
  ask(...words: string[]): Promise<string>;
  /** What it said on standard error. */
  said(): string;
  stop(): Promise<void>;
}

const PROTOCOLS = ['smtp', 'pop3', 'imap', 'ftp', 'cifs'] as const;
const TLS_PROTOCOLS = ['smtps', 'pop3s', 'imaps', 'ftps'] as const;

/** Starts it and waits until it listens. It ends with the test. */
export async function startDaemon(context: TestContext, setup: DaemonSetup): Promise<RunningDaemon> {
  const directory = scratch(context, 'daemon');
  const ports: number[] = [];
  for (const { port } of setup.doors) ports.push(port ?? (await freePort()));
  return runDaemon(context, directory, daemonConfig(setup, ports, directory), ports, setup.args);
}

/** The same with a configuration of the test's own, which keeps its state in `directory`/state and logs to `directory`/utm.log. */
export async function runDaemon(
  context: TestContext,
  directory: string,
  text: string,
  ports: readonly number[],
  args: readonly string[] = [],
): Promise<RunningDaemon> {
  const configuration = join(directory, 'utm.conf');
  mkdirSync(join(directory, 'state'));
  writeFileSync(configuration, text);
  const child = spawn(process.execPath, [MAIN, 'serve', '-c', configuration, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  child.stdout.resume();
  context.after(() => ended(child).then(() => undefined));
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', () => {
      if (said.includes('inspectd: ready')) resolve();
    });
    child.once('exit', () => reject(new Error(`the daemon did not start: ${said}`)));
  });
  const records = (): LogFields[] => {
    let text = '';
    try {
      text = readFileSync(join(directory, 'utm.log'), 'utf8');
    } catch {
      // Nothing was logged yet.
    }
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => new Map(parseLine(line)?.fields.map(({ name, value }) => [name, value] as const)));
  };
  return {
    directory,
    configuration,
    process: child,
    ports,
    records,
    async record(fields) {
      const wanted = Object.entries(fields);
      for (let tries = 0; tries < 400; tries++) {
        const found = records().find((each) => wanted.every(([name, value]) => each.get(name) === value));
        if (found !== undefined) return found;
        await sleep(25);
      }
      const all = records().map((each) => [...each].map(([name, value]) => `${name}=${value}`).join(' '));
      return assert.fail(`no record with ${JSON.stringify(fields)} among\n${all.join('\n')}`);
    },
    async ask(...words) {
      const ran = await inspectd([...words, '-c', configuration]);
      assert.equal(ran.status, 0, ran.said.join('\n'));
      return ran.out;
    },
    said: () => said,
    stop: () => ended(child),
  };
}

/** The configuration of `startDaemon`, for tests that write another over it. */
export function daemonConfig(setup: DaemonSetup, ports: readonly number[], directory: string): string {
  const list = (kind: DoorKind): string => {
    const own = setup.doors.flatMap((door, at) => (door.kind === kind ? [ports[at] ?? 0] : []));
    return own.length === 0 ? '' : `            set ports ${own.join(' ')}\n`;
  };
  const section = (kinds: readonly DoorKind[], more: string): string =>
    kinds
      .filter((kind) => list(kind) !== '')
      .map((kind) => `        config ${kind}\n${list(kind)}${more}        end\n`)
      .join('');
  const lines = (each: readonly string[] | undefined): string =>
    (each ?? []).map((line) => `        ${line}\n`).join('');
  const av = PROTOCOLS.map((kind) => `        config ${kind}\n            set av-scan block\n        end\n`).join('');
  const vips = setup.doors
    .map(
      ({ address, to, toAddress }, at) => `    edit "door-${at}"
        set extip ${address ?? '127.0.0.1'}
        set mappedip "${toAddress ?? '127.0.0.1'}"
        set portforward enable
        set extport ${ports[at]}
        set mappedport ${to}
    next
`,
    )
    .join('');
  return `config inspectd settings
    set state-directory "${join(directory, 'state')}"
    set log-file "${join(directory, 'utm.log')}"
    set workers 1
    set drain-timeout 1
${lines(setup.settings)}end
${setup.sections ?? ''}
config firewall vip
${vips}end
config firewall profile-protocol-options
    edit "options"
${section(PROTOCOLS, '')}${lines(setup.options)}    next
end
config firewall ssl-ssh-profile
    edit "ssl"
${section(TLS_PROTOCOLS, '            set status deep-inspection\n')}${lines(setup.ssl)}    next
end
config antivirus profile
    edit "av"
${av}${lines(setup.av)}    next
end
config firewall policy
    edit 1
        set name "inspect"
        set srcintf "any"
        set dstintf "any"
        set srcaddr "all"
        set dstaddr ${setup.doors.map((_, at) => `"door-${at}"`).join(' ')}
        set action accept
        set schedule "always"
        set service "ALL"
        set inspection-mode proxy
        set utm-status enable
        set profile-protocol-options "options"
        set ssl-ssh-profile "ssl"
        set av-profile "av"
        set logtraffic all
${lines(setup.policy)}    next
end
`;
}
