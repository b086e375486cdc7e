/** The commands that the daemon answers on its control socket: FortiOS's words, printed as FortiOS prints them. */
import type { ControlCommand } from '../control/commands.js';
import { ConfigError } from '../core/errors.js';
import { endpointText } from '../core/session.js';
import { printExpectations, printSessionLines, printSessions } from '../session/print.js';
import type { SessionEntry, SessionFilter, SessionTable } from '../session/session-table.js';
import { flowTrace, NO_INTF, sessionTrace, type WadPinhole, wadOpened, wadRefused } from '../session/wad-debug.js';
import { type CommandedEndpoints, endpointCommands } from './endpoint-commands.js';
import type { Expectations } from './expectations.js';
import type { DaemonTotals } from './metrics.js';
import { cameHow, type PinholeEvent } from './pinholes.js';

/** What the commands look into and set in motion. */
export interface Commanded extends CommandedEndpoints {
  readonly table: SessionTable;
  readonly expectations: Expectations;
  readonly version: string;
  now(): number;
  totals(): DaemonTotals;
  doors(): readonly string[];
  clear(ids: readonly number[]): void;
  /** Settles when every worker has the new configuration; rejects with what was wrong. */
  reload(): Promise<void>;
  reopenLog(): void;
  /** The last records, as they stand in the log file; undefined when there is no file. */
  lastRecords(count: number): readonly string[] | undefined;
  /** Called for every session that opens, and every event of an expectation session, until the function returned is called. */
  watch(heard: (event: WatchedEvent) => void): () => void;
}

export type WatchedEvent = PinholeEvent | { readonly kind: 'session'; readonly session: SessionEntry };

const FILTERS = ['src', 'dst', 'sport', 'dport', 'policy'] as const;
type FilterName = (typeof FILTERS)[number];
/** Records that `execute log display` prints unless told. */
const SHOWN = 10;

export function daemonCommands(daemon: Commanded): ControlCommand[] {
  let filter: SessionFilter = {};
  const { table, expectations } = daemon;
  const selected = () => [...table.select(filter)];
  return [
    ...endpointCommands(daemon),
    {
      words: 'diagnose sys session list',
      rest: '[expectation]',
      help: 'the sessions that the filter lets through, or the expectation sessions',
      run: ([what], { print }) => {
        if (what === undefined) print(printSessions(selected(), daemon.now()));
        else if (what === 'expectation')
          print(printExpectations(expectations.rows((session) => table.get(session)?.policyId ?? 0)));
        else throw new ConfigError(`"diagnose sys session list ${what}": only expectation may follow`);
      },
    },
    {
      words: 'diagnose sys session filter',
      rest: '[src|dst|sport|dport|policy VALUE | clear]',
      help: 'which sessions list and clear mean, until changed; alone: what is set',
      run: ([name, value], { print }) => {
        if (name === undefined) print(filterText(filter));
        else if (name === 'clear' && value === undefined) filter = {};
        else filter = { ...filter, ...filterOf(name, value) };
      },
    },
    {
      words: 'diagnose sys session clear',
      help: 'end the sessions that the filter lets through',
      run: (_, { print }) => {
        const ids = selected().map(({ id }) => id);
        daemon.clear(ids);
        print(`${ids.length} sessions cleared\n`);
      },
    },
    {
      words: 'diagnose sys session stat',
      help: 'how many sessions there are and were',
      run: (_, { print }) => {
        const totals = daemon.totals();
        print(
          `misc info: session_count=${table.size} setup_total=${totals.sessions} exp_count=${expectations.size} clash=0\n` +
            `           denied=${totals.denied} held_bytes=${totals.held}\n`,
        );
      },
    },
    {
      words: 'diagnose wad debug enable category ftp',
      help: 'what happens to expectation sessions, until interrupted',
      run: (_, answer) => following(daemon, answer, [wadText(daemon)]),
    },
    {
      words: 'diagnose debug flow',
      help: 'the flow trace of sessions, and of data connections that find their expectation, until interrupted',
      run: (_, answer) => following(daemon, answer, [flowText(daemon)]),
    },
    {
      words: 'diagnose debug enable',
      help: 'all debug lines that there are, until interrupted',
      run: (_, answer) => following(daemon, answer, [wadText(daemon), flowText(daemon)]),
    },
    {
      words: 'get system session list',
      help: 'a line for each session',
      run: (_, { print }) => print(printSessionLines(selected(), daemon.now())),
    },
    {
      words: 'get system status',
      help: 'version, workers, listeners, totals',
      run: (_, { print }) => {
        const totals = daemon.totals();
        print(
          [
            `Version: inspectd v${daemon.version}`,
            `Workers: ${totals.workers} (${totals.workersLost} lost)`,
            `Sessions: ${totals.open} open, ${totals.sessions} in all, ${totals.denied} denied`,
            `Held: ${totals.held} bytes`,
            'Listeners:',
            ...daemon.doors().map((door) => `  ${door}`),
            '',
          ].join('\n'),
        );
      },
    },
    {
      words: 'execute log display',
      rest: '[COUNT]',
      help: `the last records of the log file (${SHOWN} unless told)`,
      run: ([count], { print }) => {
        const wanted = count === undefined ? SHOWN : Number(count);
        if (!Number.isInteger(wanted) || wanted < 1 || wanted > 10_000)
          throw new ConfigError(`"${count}" is no number from 1 to 10000`);
        const lines = daemon.lastRecords(wanted);
        if (lines === undefined)
          throw new ConfigError('records do not go to a file (config inspectd settings / set log-file)');
        print(lines.map((line) => `${line}\n`).join(''));
      },
    },
    {
      words: 'execute log roll',
      help: 'open the log file anew, after it was moved away',
      run: () => daemon.reopenLog(),
    },
    {
      words: 'execute reload',
      help: 'read the configuration again (as SIGHUP does)',
      run: async (_, { print }) => {
        await daemon.reload();
        print('configuration reloaded\n');
      },
    },
  ];
}

function filterOf(name: string, value: string | undefined): SessionFilter {
  if (!(FILTERS as readonly string[]).includes(name) || value === undefined)
    throw new ConfigError(`filter by ${FILTERS.join(', ')} and a value, or clear`);
  if (name === 'src' || name === 'dst') return { [name]: value };
  if (!/^\d{1,10}$/.test(value)) throw new ConfigError(`"${value}" is no number`);
  return { [name as FilterName]: Number(value) };
}

function filterText(filter: SessionFilter): string {
  return `session filter:\n${FILTERS.map((name) => `        ${name}: ${filter[name] ?? 'any'}\n`).join('')}`;
}

/** The debug lines of an event, if it has any. */
type Lines = (event: WatchedEvent, stamp: string) => string | undefined;

/** Until the one who asked is gone. */
function following(
  daemon: Commanded,
  { print, signal }: Parameters<ControlCommand['run']>[1],
  kinds: readonly Lines[],
): Promise<void> {
  return new Promise((resolve) => {
    const stop = daemon.watch((event) => {
      const stamp = stampOf(new Date());
      for (const lines of kinds) {
        const text = lines(event, stamp);
        if (text !== undefined) print(text);
      }
    });
    const end = (): void => {
      stop();
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}

function flowText(daemon: Commanded): Lines {
  let trace = 0;
  return (event, stamp) => {
    const second = stamp.slice(0, SECONDS);
    if (event.kind === 'session') return sessionTrace(event.session, second, ++trace);
    if (event.kind !== 'used') return undefined;
    const hole = wadPinhole(daemon, event);
    const intf = daemon.table.get(event.hole.session)?.intf?.[0] ?? NO_INTF;
    return hole === undefined ? undefined : flowTrace(hole, event.by, second, ++trace, intf);
  };
}

/** So much of a stamp tells the second: FortiOS's flow trace has no more. */
const SECONDS = '2021-07-26 21:42:05'.length;

function wadText(daemon: Commanded): Lines {
  return (event, stamp) => {
    const refused = (session: number, what: string): string => wadRefused(session, what, stamp, process.pid);
    switch (event.kind) {
      case 'opened': {
        const hole = wadPinhole(daemon, event);
        return hole === undefined ? undefined : wadOpened(hole, stamp, process.pid);
      }
      case 'refused':
        return refused(event.session, `${event.why} ${endpointText(event.target)}`);
      case 'intruder':
        return refused(event.hole.session, `${event.by.address} ${cameHow(event)}`);
      case 'closed':
        return refused(event.hole.session, event.why);
      case 'used':
      case 'session':
        return undefined;
    }
  };
}

function wadPinhole(
  { table }: Commanded,
  { hole }: Extract<PinholeEvent, { kind: 'opened' | 'used' }>,
): WadPinhole | undefined {
  const row = table.get(hole.session);
  return row === undefined ? undefined : { ...hole, client: row.client, dialled: row.dialled };
}

/** `2021-07-26 21:42:05.094380`, local. */
function stampOf(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${day} ${time}.${String(at.getMilliseconds()).padStart(3, '0')}000`;
}
