/** Runs the program as a user does, in a process of its own, and keeps what it said. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

export const MAIN: string = fileURLToPath(new URL('../../program/main.js', import.meta.url));
export const SAMPLES: string = fileURLToPath(new URL('../../../samples/', import.meta.url));
export const CAPTURES: string = join(SAMPLES, 'captures');

/** The captures of `samples/`, without `.pcap`. */
export const CAPTURE_NAMES: readonly string[] = readdirSync(CAPTURES)
  .filter((name) => name.endsWith('.pcap'))
  .map((name) => name.slice(0, -'.pcap'.length))
  .sort();

export function capturePath(name: string): string {
  return join(CAPTURES, `${name}.pcap`);
}

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  /** Lines of standard error. */
  readonly said: readonly string[];
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input piece by piece, a turn of the event loop apart. */
  readonly input?: readonly Uint8Array[];
}

export function inspectd(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      timeout: 60_000,
    });
    const out: Buffer[] = [];
    const said: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    child.on('error', reject);
    child.on('close', (status) =>
      resolve({
        status,
        out: Buffer.concat(out).toString(),
        said: Buffer.concat(said)
          .toString()
          .split('\n')
          .filter((line) => line !== ''),
      }),
    );
    // A program that ends before it has read everything is not this helper's matter.
    child.stdin.on('error', () => {});
    void feed(child.stdin, options.input ?? []);
  });
}

async function feed(into: NodeJS.WritableStream, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    into.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  into.end();
}

/** What a scan wrote, as text. */
export interface Written extends Ran {
  readonly log: string;
  readonly files: string;
  readonly flows: string;
}

/** `inspectd scan` with all three outputs in files of `directory` that no other call uses. */
export async function scanned(directory: string, args: readonly string[], options: RunOptions = {}): Promise<Written> {
  const own = mkdtempSync(join(directory, 'scan-'));
  const [log, files, flows] = ['log', 'files', 'flows'].map((name) => join(own, name)) as [string, string, string];
  const ran = await inspectd(
    ['scan', '--quiet', '--summary', 'none', '--log', log, '--files', files, '--flows', flows, ...args],
    options,
  );
  return { ...ran, log: textOf(log), files: textOf(files), flows: textOf(flows) };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** A row of `--files`, as far as tests look at it. */
export interface FileRow {
  readonly input: string;
  readonly id: string;
  readonly parent: string | null;
  readonly flow: number | null;
  readonly service: string | null;
  readonly transfer: string | null;
  readonly name: string | null;
  readonly size: number;
  readonly sha256: string | null;
  readonly type: string;
  readonly state: string;
  readonly verdict: string;
  readonly virus: readonly string[];
  readonly reason: string | null;
}

export function rows<T = FileRow>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** A directory that goes when the tests of the file are over. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'inspectd-test-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
