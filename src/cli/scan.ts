/** `inspectd scan`: inputs through inspection to logs, rows and a summary. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ScanEvent } from '../capture/events.js';
import { type InputScanner, Scan } from '../capture/scan.js';
import type { InputReport, ScanSetup } from '../capture/scan-thread.js';
import { ConfigError, SourceError } from '../core/errors.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import type { Secret } from '../core/secret.js';
import { FileSink } from '../log/file-sink.js';
import type { LogFormat } from '../log/format.js';
import { StreamSink } from '../log/stream-sink.js';
import { timeZone } from '../log/time-zone.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { findInputs, type ScanInput, said } from './inputs.js';
import { LineFile } from './line-file.js';
import { Progress } from './progress.js';
import { ScanOutput } from './scan-output.js';
import { chosenClamd, configuredZone, loadConfig, signaturePaths } from './settings.js';
import { Summary } from './summary.js';

export interface ScanOptions {
  readonly config?: string;
  readonly signatures: readonly string[];
  readonly keylog: readonly string[];
  readonly smbSecret: readonly Secret[];
  readonly log?: string;
  readonly logFormat: LogFormat;
  readonly files?: string;
  readonly flows?: string;
  readonly extract?: string;
  readonly clamd?: ClamdAddress;
  readonly jobs?: number;
  readonly summary: 'text' | 'json' | 'none';
  readonly quiet?: boolean;
  readonly progress: boolean;
}

/** The exit status: 0 nothing found, 1 policy strips or blocks something, 2 something could not be read. */
export function scan(names: readonly string[], options: ScanOptions): Promise<number> {
  return scanWith(names, options, (setup, inputs) => {
    const largest = inputs.reduce((most, { size }) => Math.max(most, size ?? 0), 0);
    return new Scan(setup, options.jobs, largest);
  });
}

/** The same by whoever `scannerFor` the inputs is. */
export async function scanWith(
  names: readonly string[],
  options: ScanOptions,
  scannerFor: (setup: ScanSetup, inputs: readonly ScanInput[]) => InputScanner | Promise<InputScanner>,
): Promise<number> {
  const started = process.hrtime.bigint();
  const say = (line: string) => process.stderr.write(`inspectd: ${line}\n`);
  const { config, warnings } = await loadConfig(options.config);
  if (options.quiet !== true) for (const warning of warnings) say(warning);
  if (options.extract !== undefined) makeDirectory(options.extract);
  const clamd = chosenClamd(options.clamd, config);
  if (clamd !== undefined) {
    const { checkClamd } = await import('../scan/clamd/clamd-scanner.js');
    const warnings = await checkClamd(clamd, DEFAULT_LIMITS);
    if (options.quiet !== true) for (const warning of warnings) say(warning);
  }
  const { inputs, problems } = findInputs(names);
  for (const problem of problems) say(problem);
  let failed = problems.length > 0;

  const summary = new Summary();
  const toStream = options.log === undefined || options.log === '-';
  const log = toStream
    ? new StreamSink(process.stdout, options.logFormat)
    : new FileSink(options.log ?? '', options.logFormat);
  const output = new ScanOutput({
    files: options.files === undefined ? undefined : new LineFile(options.files),
    flows: options.flows === undefined ? undefined : new LineFile(options.flows),
    log,
    zone: () => timeZone(configuredZone(config)),
    summary,
  });
  const running = await scannerFor(
    {
      config,
      signatures: signaturePaths(options.signatures),
      limits: DEFAULT_LIMITS,
      // The rows and the kept files have the hash of a message; otherwise it is not worth a second pass over every byte.
      hashMessages: options.files !== undefined || options.extract !== undefined,
      keyLogs: options.keylog,
      secrets: options.smbSecret,
      clamd,
      extract: options.extract,
    },
    inputs,
  );
  const progress = await Progress.of(inputs, options.quiet !== true && options.progress);
  const fail = (line: string) => {
    failed = true;
    progress.clear();
    say(line);
  };
  /** Lines about the run, not about an input: each is said once. */
  const saidOnce = new Set<string>();
  try {
    for (const input of inputs) {
      output.begin(input.name);
      try {
        const report = await scanOne(running, input, (event) => output.event(event), progress);
        summary.input(report);
        if (report.damage !== undefined) fail(`${input.name}: ${report.damage}`);
        for (const failure of report.failures) {
          if (!saidOnce.has(failure)) fail(failure);
          saidOnce.add(failure);
        }
      } catch (error) {
        // What is wrong with the configuration, the signatures or our outputs is wrong for every input; a bug of ours may not be.
        if (output.failed || error instanceof ConfigError) throw error;
        const bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
        fail(
          `${input.name}: ${error instanceof SourceError ? said(error) : `an error of ours; please report it: ${bug}`}`,
        );
      }
    }
    output.close();
    await log.close();
  } catch (error) {
    // What was found so far is written if it can be; that it cannot would say nothing new.
    await Promise.allSettled([Promise.resolve().then(() => output.close()), log.close()]);
    throw error;
  } finally {
    progress.end();
    await running.close();
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (options.summary === 'text' && options.quiet !== true) process.stderr.write(`\n${summary.text(seconds)}`);
  if (options.summary === 'json') process.stderr.write(summary.json(seconds));
  if (failed) return 2;
  return summary.refused > 0 ? 1 : 0;
}

function scanOne(
  running: InputScanner,
  input: ScanInput,
  deliver: (event: ScanEvent) => void | Promise<void>,
  progress: Progress,
): Promise<InputReport> {
  const advance = (done: number) => progress.at(input, done);
  if (input.kind === 'capture') return running.capture({ name: input.name, size: input.size, deliver, advance });
  return running.file({ name: input.name, message: input.kind === 'message', deliver, advance });
}

function makeDirectory(path: string): void {
  try {
    makeWithParents(resolve(path));
  } catch (cause) {
    throw new SourceError(`--extract ${path}: cannot be made: ${said(cause)}`, { cause });
  }
}

/** Node's own `recursive` never returns where a directory takes no new ones (/proc). */
function makeWithParents(path: string): void {
  if (existsSync(path) && statSync(path).isDirectory()) return;
  const parent = dirname(path);
  if (!existsSync(parent)) makeWithParents(parent);
  mkdirSync(path, { mode: 0o700 });
}
