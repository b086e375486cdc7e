/** `inspectd submit` and `inspectd worker`: scans that are shared out among machines through Redis. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../core/errors.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import type { Secret } from '../core/secret.js';
import { FleetScan } from '../fleet/fleet-scan.js';
import { FleetWorker } from '../fleet/fleet-worker.js';
import type { JobData } from '../fleet/jobs.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { type ScanOptions, scanWith } from './scan.js';
import { signaturePaths } from './settings.js';

export interface SubmitOptions
  extends Pick<ScanOptions, 'config' | 'log' | 'logFormat' | 'files' | 'flows' | 'summary' | 'quiet' | 'progress'> {
  readonly redis: string;
  readonly queue: string;
}

export interface WorkerOptions {
  readonly redis: string;
  readonly queue: string;
  readonly jobs: number;
  readonly lock: number;
  readonly signatures: readonly string[];
  readonly smbSecret: readonly Secret[];
  readonly clamd?: ClamdAddress;
}

/** The exit status, as of scan. Rejects with ConfigError or SourceError. */
export function submit(names: readonly string[], options: SubmitOptions): Promise<number> {
  if (names.includes('-')) throw new ConfigError('submit: workers cannot read your standard input; give files');
  const { redis, queue, ...rest } = options;
  const config =
    options.config === undefined ? undefined : { text: readFileSync(options.config, 'utf8'), name: options.config };
  return scanWith(names, { ...rest, signatures: [], keylog: [], smbSecret: [] }, ({ hashMessages }, inputs) =>
    FleetScan.start(
      redis,
      queue,
      inputs.map(({ name, kind, size }) => {
        const data: JobData = { path: resolve(name), kind, size, config, hashMessages };
        return { name, data };
      }),
    ),
  );
}

/** Ends the process when it was told to, and what it was at is done. Rejects with ConfigError or SourceError. */
export async function worker(options: WorkerOptions): Promise<never> {
  const say = (line: string): void => void process.stderr.write(`inspectd: ${line}\n`);
  const running = await FleetWorker.start({
    redis: options.redis,
    queue: options.queue,
    jobs: options.jobs,
    lock: options.lock,
    setup: {
      signatures: signaturePaths(options.signatures),
      limits: DEFAULT_LIMITS,
      keyLogs: [],
      secrets: options.smbSecret,
      clamd: options.clamd,
      extract: undefined,
    },
    say,
  });
  say('ready');
  await new Promise<void>((resolve) => {
    let told = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => {
        if (!told) say('ending what it is at; a second signal gives it up');
        void running.close(told).then(resolve);
        told = true;
      });
  });
  // A connection that is being made anew would keep the process.
  process.exit(0);
}
