/** What a scan found, in words for people who are not developers, or as JSON for scripts. */
import type { ScanEvent } from '../capture/events.js';
import { serviceName } from '../core/session.js';

/** What the reasons in rows mean. */
const REASONS: Readonly<Record<string, string>> = {
  'tls-no-keys': 'encrypted by TLS, no keys given',
  'smb-encrypted': 'SMB encryption, no credentials given',
  'unknown-protocol': 'a protocol that is not inspected',
  desync: 'the protocol could not be followed',
  'switched-protocol': 'went on in a protocol that is not inspected',
  policy: 'left alone by policy',
  'no-data': 'no data was sent',
  'flow-limit': 'too many connections at once',
  'internal-error': 'an error of ours: please report it',
};

/** Nouns for verdicts, worst first. */
const VERDICTS = [
  ['infected', 'infected'],
  ['blocked', 'blocked by type'],
  ['malformed', 'malformed'],
  ['unscannable', 'could not be inspected'],
] as const;

interface InputFacts {
  readonly packets: number;
  readonly bytes: number;
  readonly ignoredPackets: Readonly<Record<string, number>>;
}

export class Summary {
  #inputs = 0;
  #packets = 0;
  #bytes = 0;
  readonly #ignoredPackets = new Map<string, number>();
  readonly #decoded = new Map<string, number>();
  readonly #opaque = new Map<string, number>();
  readonly #ignored = new Map<string, number>();
  readonly #verdicts = new Map<string, number>();
  readonly #reasons = new Map<string, number>();
  readonly #viruses = new Map<string, number>();
  #messages = 0;
  #files = 0;
  #fileBytes = 0;
  #refused = 0;
  #anomalies = 0;

  get refused(): number {
    return this.#refused;
  }

  input(facts: InputFacts): void {
    this.#inputs++;
    this.#packets += facts.packets;
    this.#bytes += facts.bytes;
    for (const [reason, count] of Object.entries(facts.ignoredPackets)) add(this.#ignoredPackets, reason, count);
  }

  event(event: ScanEvent): void {
    if (event.kind === 'flow-ended') {
      if (event.state === 'decoded') add(this.#decoded, serviceName(event) ?? 'unknown');
      else add(event.state === 'opaque' ? this.#opaque : this.#ignored, event.reason ?? 'unknown');
      for (const count of Object.values(event.anomalies)) this.#anomalies += count;
    } else if (event.kind === 'tree') {
      if (event.refused) this.#refused++;
      for (const file of event.files) {
        if (file.type === 'mime') {
          this.#messages++;
          // A message is as bad as its worst part; it is the part that is counted.
          if (event.files.some((other) => other.parent === file.id && other.verdict.verdict === file.verdict.verdict))
            continue;
        } else {
          this.#files++;
          this.#fileBytes += file.size;
        }
        add(this.#verdicts, file.verdict.verdict);
        if (file.verdict.verdict !== 'clean' && file.verdict.verdict !== 'infected' && file.verdict.reason !== null)
          add(this.#reasons, file.verdict.reason);
      }
      for (const outcome of event.outcomes) if (outcome.kind === 'infected') add(this.#viruses, outcome.virus);
    }
  }

  text(seconds: number): string {
    const lines = [
      `Scanned ${plural(this.#inputs, 'input')}: ${plural(this.#packets, 'packet')}, ${size(this.#bytes)} in ${seconds.toFixed(2)} s.`,
      `Connections: ${total(this.#decoded)} inspected${listed(this.#decoded)}, ${total(this.#opaque)} could not be looked into${explained(this.#opaque)}, ${total(this.#ignored)} ignored${explained(this.#ignored)}.`,
      `Files: ${this.#files} (${size(this.#fileBytes)}), and ${plural(this.#messages, 'mail message')} around them.`,
    ];
    const found = VERDICTS.flatMap(([verdict, words]) => {
      const count = this.#verdicts.get(verdict) ?? 0;
      return count === 0 ? [] : [`${count} ${words}`];
    });
    if (found.length === 0) lines.push('Found: nothing bad.');
    else lines.push(`Found: ${found.join(', ')}${listed(this.#reasons)}.`);
    if (this.#viruses.size > 0)
      lines.push(`Viruses: ${[...this.#viruses].map(([name, count]) => `${name} (${count})`).join(', ')}.`);
    if (this.#refused > 0)
      lines.push(
        `By policy ${this.#refused === 1 ? 'one transfer' : `${this.#refused} transfers`} would be blocked or stripped.`,
      );
    if (this.#anomalies > 0)
      lines.push(`Oddities of protocol or network: ${this.#anomalies} (--flows FILE names them).`);
    if (this.#ignoredPackets.size > 0)
      lines.push(
        `Packets not looked at: ${[...this.#ignoredPackets].map(([reason, count]) => `${count} ${reason}`).join(', ')}.`,
      );
    return `${lines.join('\n')}\n`;
  }

  json(seconds: number): string {
    return `${JSON.stringify({
      inputs: this.#inputs,
      packets: this.#packets,
      bytes: this.#bytes,
      seconds,
      connections: {
        decoded: Object.fromEntries(this.#decoded),
        opaque: Object.fromEntries(this.#opaque),
        ignored: Object.fromEntries(this.#ignored),
      },
      messages: this.#messages,
      files: this.#files,
      fileBytes: this.#fileBytes,
      verdicts: Object.fromEntries(this.#verdicts),
      reasons: Object.fromEntries(this.#reasons),
      viruses: Object.fromEntries(this.#viruses),
      refused: this.#refused,
      anomalies: this.#anomalies,
      ignoredPackets: Object.fromEntries(this.#ignoredPackets),
    })}\n`;
  }
}

function add(map: Map<string, number>, key: string, count = 1): void {
  map.set(key, (map.get(key) ?? 0) + count);
}

function total(map: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of map.values()) sum += count;
  return sum;
}

function listed(map: ReadonlyMap<string, number>): string {
  return map.size === 0 ? '' : ` (${[...map].map(([name, count]) => `${count} ${name}`).join(', ')})`;
}

function explained(map: ReadonlyMap<string, number>): string {
  return map.size === 0
    ? ''
    : ` (${[...map].map(([reason, count]) => `${count} ${REASONS[reason] ?? reason}`).join('; ')})`;
}

function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

/** `4.5 MB`: decimal units, as file managers and networks count. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
