/** The records of a live session that are no file's: its traffic at the end, what passed uninspected, what was odd. */

import { CLIENT } from '../core/flow.js';
import type { TlsFacts } from '../core/session.js';
import { sessionOf } from '../inspector/session-facts.js';
import { type EventName, eventRecord } from '../log/event.js';
import type { RecordContext } from '../log/header.js';
import type { LogRecord } from '../log/record.js';
import type { LogSink } from '../log/sink.js';
import type { TimeZone } from '../log/time-zone.js';
import { type TrafficAction, trafficRecord } from '../log/traffic.js';
import { accessAccepted } from '../log/ztna.js';
import type { StageEvent } from '../stage/output.js';
import { portService } from './access/access-log.js';
import type { Admission, LiveSession, SessionEnd } from './live-session.js';

/** What a session caused so far. */
interface Tally {
  virus: number;
  filter: number;
  ssl: number;
  blocked: boolean;
}

export class SessionLog {
  readonly #sink: LogSink;
  readonly #zone: TimeZone;
  readonly #now: () => bigint;
  readonly #failed: (error: unknown) => void;
  readonly #tallies = new Map<number, Tally>();

  /** `failed`: a record that could not be written; nothing waits for these. */
  constructor(sink: LogSink, zone: TimeZone, now: () => bigint, failed: (error: unknown) => void) {
    this.#sink = sink;
    this.#zone = zone;
    this.#now = now;
    this.#failed = failed;
  }

  get context(): RecordContext {
    return { eventTime: this.#now(), zone: this.#zone };
  }

  opened(session: LiveSession): void {
    const { admission } = session;
    this.#tallies.set(admission.id, { virus: 0, filter: 0, ssl: 0, blocked: false });
    if (admission.match.admission?.logStart === true && admission.match.admission.log === 'all')
      this.#traffic(admission, session, 'start', undefined);
  }

  event(session: LiveSession, event: StageEvent): void {
    const tally = this.#tallies.get(session.admission.id);
    switch (event.kind) {
      case 'outcome':
        if (tally === undefined) break;
        if (event.outcome.kind === 'file-filter') tally.filter++;
        else tally.virus++;
        if (event.outcome.action === 'blocked' || event.outcome.action === 'attachment-removed') tally.blocked = true;
        break;
      case 'anomaly':
        this.note(
          'anomaly',
          `${event.code}, from the ${event.side === CLIENT ? 'client' : 'server'}`,
          session.admission,
        );
        break;
      case 'bypassed':
        if (event.allowed) this.note('uninspected', event.reason, session.admission);
        break;
      case 'failed':
        this.note('internal-error', text(event.error), session.admission);
        break;
      case 'detected':
      case 'judged':
        break;
    }
  }

  /** A TLS record of the session was written. */
  ssl(id: number): void {
    const tally = this.#tallies.get(id);
    if (tally !== undefined) tally.ssl++;
  }

  closed(session: LiveSession, end: SessionEnd): void {
    const { admission } = session;
    const tally = this.#tallies.get(admission.id);
    this.#tallies.delete(admission.id);
    if (end.how === 'reset' && end.reason !== 'shutdown') this.note('ended', end.reason ?? '', admission);
    // What ended it is on record, and that was its traffic record.
    if (end.how === 'cut' && admission.access !== undefined) return;
    const log = admission.match.admission?.log ?? 'utm';
    const touched = tally !== undefined && tally.virus + tally.filter + tally.ssl > 0;
    if (log === 'all' || (log === 'utm' && touched)) this.#traffic(admission, session, actionOf(end), tally, end);
  }

  denied(admission: Admission): void {
    if (admission.match.admission?.log === 'disable') return;
    this.#traffic(admission, undefined, 'deny', undefined);
  }

  note(name: EventName, message: string, admission?: Admission): void {
    this.#write(
      eventRecord(
        name,
        message,
        this.context,
        admission === undefined ? undefined : factsOf(admission, undefined, undefined),
      ),
    );
  }

  write(record: LogRecord): void {
    this.#write(record);
  }

  #traffic(
    admission: Admission,
    session: LiveSession | undefined,
    action: TrafficAction,
    tally: Tally | undefined,
    end?: SessionEnd,
  ): void {
    const client = session?.clientBytes ?? { sent: 0, received: 0 };
    const server = session?.serverBytes ?? { sent: 0, received: 0 };
    const duration = session === undefined ? 0 : Math.floor((performance.now() - session.started) / 1000);
    const utmAction: 'block' | 'allow' | undefined =
      tally === undefined || tally.virus + tally.filter === 0 ? undefined : tally.blocked ? 'block' : 'allow';
    const counts = {
      duration,
      sent: client.sent,
      received: client.received,
      serverSent: server.sent,
      serverReceived: server.received,
      utmAction,
      virusRecords: tally?.virus ?? 0,
      filterRecords: tally?.filter ?? 0,
      sslRecords: tally?.ssl ?? 0,
    };
    if (admission.access !== undefined && end?.how !== 'unreachable') {
      const { service } = session ?? {};
      const tls = service === undefined ? undefined : (session?.connection?.session.tls ?? session?.tls);
      this.#write(
        accessAccepted(factsOf(admission, service ?? portService(admission.server.port), tls), counts, this.context),
      );
      return;
    }
    this.#write(
      trafficRecord(
        {
          session: factsOf(
            admission,
            session?.service ?? admission.service,
            session?.connection?.session.tls ?? session?.tls,
          ),
          action,
          dialled: admission.dialled,
          ...counts,
          ...(end?.reason === undefined || end.how === 'lost' ? {} : { message: end.reason }),
        },
        this.context,
      ),
    );
  }

  #write(record: LogRecord): void {
    try {
      this.#sink.write(record)?.catch(this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }
}

function factsOf(
  admission: Admission,
  service: string | undefined,
  tls: TlsFacts | undefined,
): ReturnType<typeof sessionOf> {
  const { id, client, server, srcIntf, dstIntf, user } = admission;
  return sessionOf(
    { id, client, server, service, tls, srcIntf, dstIntf, ...(user === undefined ? {} : { user }) },
    admission.match,
  );
}

function actionOf(end: SessionEnd): TrafficAction {
  switch (end.how) {
    case 'closed':
      return 'close';
    case 'lost':
      return end.side === CLIENT ? 'client-rst' : 'server-rst';
    case 'timeout':
      return 'timeout';
    case 'unreachable':
      return 'ip-conn';
    case 'cut':
      return 'deny';
    case 'reset':
    case 'tls-failed':
      return 'close';
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
