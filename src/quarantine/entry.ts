/**
 * A file in quarantine: its bytes under the name of their SHA-256, and beside them what is known of it as JSON. Names come from peers: they
 * are in the JSON and nowhere else.
 */

/** A session that an infected file came by. */
export interface Sighting {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly session: number;
  /** `192.0.2.1:1234`. */
  readonly client: string;
  readonly server: string;
  /** As logged: `SMTPS`. */
  readonly service: string;
  readonly direction: 'upload' | 'download';
  readonly user?: string;
  /** What it was called, by the protocol or in its message. */
  readonly names: readonly string[];
  readonly path?: string;
  readonly sender?: string;
  readonly recipients?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly subject?: string;
}

export interface QuarantineEntry {
  readonly sha256: string;
  readonly size: number;
  readonly viruses: readonly string[];
  /** How often it came, roughly: processes that count at the same moment count once. */
  readonly count: number;
  readonly first: Sighting;
  readonly last: Sighting;
}

export const HASH = /^[0-9a-f]{64}$/;
/** Characters of each text, and texts of each list; what a peer sent more of is cut. */
const TEXT = 1024;
const LIST = 100;

/** The sidecar's text. */
export function writeEntry(entry: QuarantineEntry): string {
  return `${JSON.stringify(entry, (_, value: unknown) => {
    if (typeof value === 'string') return value.slice(0, TEXT);
    return Array.isArray(value) ? value.slice(0, LIST) : value;
  })}\n`;
}

/** What a sidecar says; undefined: it is none of ours, or was cut. */
export function readEntry(text: string): QuarantineEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { sha256, size, viruses, count, first, last } = value as Partial<Record<keyof QuarantineEntry, unknown>>;
  const whole =
    typeof sha256 === 'string' &&
    HASH.test(sha256) &&
    typeof size === 'number' &&
    typeof count === 'number' &&
    isTexts(viruses) &&
    isSighting(first) &&
    isSighting(last);
  return whole ? (value as QuarantineEntry) : undefined;
}

function isSighting(value: unknown): value is Sighting {
  if (typeof value !== 'object' || value === null) return false;
  const { time, session, client, server, service, names } = value as Partial<Record<keyof Sighting, unknown>>;
  return typeof session === 'number' && isTexts([time, client, server, service]) && isTexts(names);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
