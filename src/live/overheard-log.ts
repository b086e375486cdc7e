/** A worker's log that tells the primary process of the records that stitches may want. */
import { recordsWanted, type ToldRecord, toldRecord } from '../automation/incident.js';
import { nacQuarantineOf } from '../automation/nac-quarantine.js';
import { stitchesOf } from '../automation/stitches.js';
import type { Config } from '../config/config.js';
import type { LogRecord } from '../log/record.js';
import type { DaemonLog } from './daemon-log.js';

export class OverheardLog implements DaemonLog {
  readonly #log: DaemonLog;
  readonly #tell: (record: ToldRecord) => void;
  #wanted: (record: LogRecord) => boolean;

  constructor(log: DaemonLog, config: Config, tell: (record: ToldRecord) => void) {
    this.#log = log;
    this.#tell = tell;
    this.#wanted = recordsWanted(stitchesOf(config), nacQuarantineOf(config));
  }

  reload(config: Config): void {
    this.#wanted = recordsWanted(stitchesOf(config), nacQuarantineOf(config));
  }

  write(record: LogRecord): void | Promise<void> {
    const written = this.#log.write(record);
    if (this.#wanted(record)) this.#tell(toldRecord(record));
    return written;
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  reopen(): void {
    this.#log.reopen();
  }
}
