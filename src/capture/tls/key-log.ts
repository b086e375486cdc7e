/**
 * Key logs as NSS, OpenSSL, GnuTLS and browsers write them (SSLKEYLOGFILE): a line a secret, `LABEL client-random secret` in hex. Lines that are none
 * are counted and left out.
 */
import { Buffer } from 'node:buffer';

const LABELS = [
  'CLIENT_RANDOM',
  'RSA',
  'CLIENT_EARLY_TRAFFIC_SECRET',
  'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
  'SERVER_HANDSHAKE_TRAFFIC_SECRET',
  'CLIENT_TRAFFIC_SECRET_0',
  'SERVER_TRAFFIC_SECRET_0',
] as const;
export type SecretLabel = (typeof LABELS)[number];

/** Written too, and of no use here. */
const UNUSED =
  /^(?:EXPORTER_SECRET|EARLY_EXPORTER_(?:MASTER_)?SECRET|SERVER_TRAFFIC_SECRET_[1-9]\d*|CLIENT_TRAFFIC_SECRET_[1-9]\d*|ECH_(?:SECRET|CONFIG))$/;

export class KeyLog {
  readonly #secrets = new Map<string, Buffer>();
  /** Lines that are no key log lines: how many, and the first's number. */
  badLines = 0;
  firstBadLine = 0;

  get size(): number {
    return this.#secrets.size;
  }

  /** Adds the lines of a log. */
  add(text: string): void {
    let number = 0;
    for (const line of text.split(/\r?\n/)) {
      number++;
      if (line === '' || line.startsWith('#')) continue;
      const [label = '', key = '', secret = '', ...more] = line.trim().split(/ +/);
      if (more.length === 0 && isHex(key) && isHex(secret)) {
        if ((LABELS as readonly string[]).includes(label)) {
          this.#secrets.set(`${label} ${key.toLowerCase()}`, Buffer.from(secret, 'hex'));
          continue;
        }
        if (UNUSED.test(label)) continue;
      }
      if (this.badLines++ === 0) this.firstBadLine = number;
    }
  }

  /** The secret of a session; of RSA, `key` is the first 8 bytes of the encrypted premaster secret. */
  secret(label: SecretLabel, key: Buffer): Buffer | undefined {
    return this.#secrets.get(`${label} ${key.toString('hex')}`);
  }
}

function isHex(text: string): boolean {
  return /^(?:[0-9a-f]{2})+$/i.test(text);
}
