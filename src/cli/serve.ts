/** `inspectd serve`: the daemon, in the foreground, as service managers want it. */
import { Daemon } from '../live/primary.js';

export interface ServeOptions {
  readonly config: string;
  readonly signatures: readonly string[];
}

/** Settles when it was told to stop and has: the exit status. Rejects with ConfigError or SourceError when it cannot start. */
export async function serve(options: ServeOptions, version: string): Promise<number> {
  const say = (line: string): void => void process.stderr.write(`inspectd: ${line}\n`);
  const daemon = await Daemon.start({ path: options.config, signatures: options.signatures, version, say });
  for (const door of daemon.doors) say(`listening on ${door}`);
  say(`control socket ${daemon.control}`);
  say('ready');
  await new Promise<void>((resolve) => {
    const stop = (): void => void daemon.stop().then(resolve);
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGUSR2', () => daemon.reopenLog());
    process.on('SIGHUP', () => {
      daemon.reload().then(
        () => say('configuration reloaded'),
        (error: unknown) =>
          say(`configuration not reloaded: ${error instanceof Error ? error.message : String(error)}`),
      );
    });
  });
  say('stopped');
  return 0;
}
