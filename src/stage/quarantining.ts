/** Which infected files of a stage's connections are kept, and what is written down about them: `config antivirus quarantine` and the profiles. */
import type { Config } from '../config/config.js';
import type { Content, FileInfo } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import { endpointText, type SessionInfo, serviceName } from '../core/session.js';
import { headersAround, isOutermostFile } from '../policy/objects.js';
import type { Fate } from '../policy/outcome.js';
import type { SessionProfiles } from '../policy/profiles.js';
import { protocolKey } from '../policy/protocol-key.js';
import type { Sighting } from '../quarantine/entry.js';
import { Quarantine, type QuarantineSettings } from '../quarantine/quarantine.js';

type Section = Config['sections']['antivirus quarantine'];

/** How often files that are too old are looked for, in milliseconds. */
const SWEEP = 3_600_000;

export class Quarantining {
  readonly #quarantine: Quarantine;
  readonly #sweep: NodeJS.Timeout;
  #section: Section | undefined;

  constructor(
    directory: string,
    config: Config | undefined,
    limits: Limits,
    now: () => number,
    failed: (what: string) => void,
  ) {
    this.#section = config?.sections['antivirus quarantine'];
    this.#quarantine = new Quarantine({ directory, settings: settingsOf(this.#section), limits, now, failed });
    void this.#quarantine.sweep();
    this.#sweep = setInterval(() => void this.#quarantine.sweep(), SWEEP).unref();
  }

  configure(config: Config | undefined): void {
    this.#section = config?.sections['antivirus quarantine'];
    this.#quarantine.settings = settingsOf(this.#section);
  }

  /** Do the configuration and the session's profile want infected files of it kept? */
  wants(profiles: SessionProfiles, session: Pick<SessionInfo, 'service' | 'tls'>): boolean {
    const key = protocolKey(session);
    if (key === undefined || profiles.antivirus?.protocols[key].quarantine !== true) return false;
    const { destination, storeInfected, dropInfected } = this.#section ?? DEFAULT;
    const service = (key === 'cifs' ? key : (serviceName(session)?.toLowerCase() ?? key)) as StoredService;
    return destination && storeInfected.has(service) && !dropInfected.has(service);
  }

  /** Keeps an infected file if it is one that records are about. Undefined: it is only a part of one. Never rejects. */
  async keep(
    content: Content,
    info: FileInfo,
    viruses: ReadonlySet<string>,
    session: SessionInfo,
  ): Promise<Fate | undefined> {
    if (info.sha256 === undefined || !isOutermostFile(info)) return undefined;
    return this.#quarantine.keep(info.sha256, content, viruses, sightingOf(info, session));
  }

  close(): void {
    clearInterval(this.#sweep);
  }
}

type StoredService = Section['storeInfected'] extends ReadonlySet<infer S> ? S : never;

/** Without a configuration nothing is asked of it. */
const DEFAULT = { destination: false, storeInfected: new Set<StoredService>(), dropInfected: new Set<StoredService>() };

/** FortiOS's 0 is no bound. */
function settingsOf(section: Section | undefined): QuarantineSettings {
  const bound = (value: number): number => (value === 0 ? Number.POSITIVE_INFINITY : value);
  return {
    quota: bound(section?.quarantineQuota ?? 0),
    largest: bound(section?.maxfilesize ?? 0),
    age: bound(section?.agelimit ?? 0),
    full: section?.lowspace === 'drop-new' ? 'refuse' : 'oldest',
  };
}

function sightingOf(info: FileInfo, session: SessionInfo): Omit<Sighting, 'time'> {
  let root = info;
  while (root.parent !== undefined) root = root.parent;
  const { meta } = info;
  const { mail } = root.meta;
  const headers = headersAround(info);
  return {
    session: session.id,
    client: endpointText(session.client),
    server: endpointText(session.server),
    service: serviceName(session) ?? '',
    direction: root.meta.direction,
    names: [...new Set([...(meta.name === undefined ? [] : [meta.name]), ...(info.otherNames ?? [])])],
    ...(session.user.user === undefined ? {} : { user: session.user.user }),
    ...(meta.path === undefined ? {} : { path: meta.path }),
    ...(mail?.sender === undefined ? {} : { sender: mail.sender }),
    ...(mail?.recipients === undefined ? {} : { recipients: mail.recipients }),
    ...(headers?.from === undefined ? {} : { from: headers.from }),
    ...(headers?.to === undefined ? {} : { to: headers.to }),
    ...(headers?.subject === undefined ? {} : { subject: headers.subject }),
  };
}
