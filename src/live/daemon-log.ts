/** Where one process of the daemon writes its records, as the configuration says: a file or standard output, and a syslog server. */
import type { Config } from '../config/config.js';
import { FileSink } from '../log/file-sink.js';
import { severalSinks } from '../log/several-sinks.js';
import type { LogSink } from '../log/sink.js';
import { StreamSink } from '../log/stream-sink.js';
import { syslogSink } from '../log/syslog-sink.js';

export interface DaemonLog extends LogSink {
  /** The file was moved away: go on in a new one. */
  reopen(): void;
}

/** Records are on the disk within this, in milliseconds. */
const SYNC = 1_000;

/** Throws SourceError: a file that cannot be opened. */
export function openDaemonLog(config: Config): DaemonLog {
  const settings = config.sections['inspectd settings'];
  const device = { name: config.sections['system global'].hostname ?? 'inspectd', id: 'INSPECTD' };
  const sinks: LogSink[] = [];
  let file: FileSink | undefined;
  if (settings.logFile === undefined) sinks.push(new StreamSink(process.stdout, settings.logFormat));
  else {
    file = new FileSink(settings.logFile, settings.logFormat);
    sinks.push(file);
    setInterval(() => file?.sync(), SYNC).unref();
  }
  const syslog = config.sections['log syslogd setting'];
  if (syslog.status && syslog.server !== undefined)
    sinks.push(
      syslogSink({
        server: syslog.server,
        port: syslog.port,
        mode: syslog.mode === 'udp' ? 'udp' : 'reliable',
        facility: syslog.facility,
        format: syslog.format,
        device,
      }),
    );
  const all = severalSinks(sinks);
  return {
    write: (record) => all.write(record),
    close: () => all.close(),
    reopen: () => file?.reopen(),
  };
}
