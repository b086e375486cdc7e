/** The records of clients that an access proxy turned away, and of sessions that are allowed no more: why (utm/ztna), then the traffic. */
import { PREDEFINED_SERVICES } from '../../config/predefined.js';
import type { SessionInfo } from '../../core/session.js';
import { sessionOf } from '../../inspector/session-facts.js';
import type { RecordContext } from '../../log/header.js';
import type { LogRecord } from '../../log/record.js';
import { type AccessDenial, type AccessRecordFacts, accessDenied, deviceTags, ztnaRecord } from '../../log/ztna.js';
import { tagNames } from '../../ztna/endpoint.js';
import type { EndpointRegistry } from '../../ztna/endpoint-registry.js';
import type { Ruled } from '../../ztna/rules.js';
import type { LiveSession } from '../live-session.js';
import type { DeniedClient } from './access-proxies.js';

const MESSAGES: Readonly<Record<AccessDenial, string>> = {
  'no-match': 'Denied: failed to match a proxy-policy',
  deny: 'Denied: proxy-policy action is deny',
};

export class AccessLog {
  readonly #registry: EndpointRegistry;
  readonly #context: () => RecordContext;
  readonly #write: (record: LogRecord) => void;
  #records = 0;

  constructor(registry: EndpointRegistry, context: () => RecordContext, write: (record: LogRecord) => void) {
    this.#registry = registry;
    this.#context = context;
    this.#write = write;
  }

  /** The VIP is all that it reached. */
  turnedAway(denied: DeniedClient): void {
    const { id, client, dialled, srcIntf, dstIntf, user } = denied;
    const session = sessionOf(
      { id, client, server: dialled, service: portService(dialled.port), tls: undefined, srcIntf, dstIntf, user },
      denied.match,
    );
    const { gatewayId, vip, accessProxy, device } = denied;
    const access = { gatewayId, vip, accessProxy, ...this.#device(device?.uid) };
    if (denied.ruled === undefined)
      this.#write(accessDenied(session, dialled, `Denied: ${denied.why}`, undefined, this.#context()));
    else this.#pair(denied.ruled, session, denied, access);
  }

  /** It had reached its server, by the rule that let it in. */
  revoked(session: LiveSession, ruled: Ruled): void {
    const { admission } = session;
    const { access, id, client, server, srcIntf, dstIntf, user } = admission;
    if (access === undefined || !access.logDenied) return;
    const denial = ruled.verdict === 'deny' ? 'deny' : 'no-match';
    const info = sessionOf(
      {
        id,
        client,
        server,
        service: session.service ?? portService(server.port),
        tls: session.service === undefined ? undefined : session.tls,
        srcIntf,
        dstIntf,
        ...(user === undefined ? {} : { user }),
      },
      denial === 'deny' ? ruled.match : access.match,
    );
    const { gatewayId, vip, accessProxy } = access;
    this.#pair(
      denial,
      info,
      { dialled: server },
      { gatewayId, vip, accessProxy, ...this.#device(access.request.device?.uid) },
    );
  }

  #pair(
    denial: AccessDenial,
    session: SessionInfo,
    { dialled }: Pick<DeniedClient, 'dialled'>,
    access: AccessRecordFacts,
  ): void {
    this.#records++;
    this.#write(ztnaRecord(denial, session, dialled, access, this.#context()));
    const reference = `${process.pid}-${this.#records}`;
    this.#write(accessDenied(session, dialled, MESSAGES[denial], reference, this.#context()));
  }

  #device(uid: string | undefined): Pick<AccessRecordFacts, 'deviceId' | 'deviceTags'> {
    const endpoint = uid === undefined ? undefined : this.#registry.byUid(uid);
    const pairs = (endpoint?.tags ?? []).map((tag) => tagNames(endpoint?.emsSerial ?? '', tag));
    return { deviceId: uid, deviceTags: deviceTags(pairs) };
  }
}

/** FortiOS's name for what is at home at a port. */
export function portService(port: number): string | undefined {
  return SERVICES.get(port);
}

/** Of services with several ports, and groups of services, none gives a port its name. */
const SERVICES: ReadonlyMap<number, string> = new Map(
  Object.entries(PREDEFINED_SERVICES)
    .filter(([, ranges]) => ranges.length === 1 && ranges[0]?.from === ranges[0]?.to)
    .map(([name, [range]]) => [range?.from ?? 0, name] as const)
    // FTP before FTP_GET.
    .reverse(),
);
