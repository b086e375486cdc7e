/** The key logs of a capture: those that the user names, one beside it (`mail.keys` of `mail.pcapng.gz`), and those within it. */
import { readFileSync, statSync } from 'node:fs';
import { ConfigError } from '../core/errors.js';
import type { Limits } from '../core/limits.js';
import { KeyLog } from './tls/key-log.js';

/** A decryption secrets block of pcapng that holds a key log (draft-ietf-opsawg-pcapng §4.7). */
export const TLS_KEY_LOG = 0x544c_534b;

/** Reads the logs of these paths, and what lies beside `capture`. Throws ConfigError for one that is named and cannot be read. */
export function loadKeyLogs(paths: readonly string[], capture: string, limits: Pick<Limits, 'keyLog'>): KeyLog {
  const log = new KeyLog();
  for (const path of paths) log.add(text(path, limits));
  const beside = capture.replace(/\.gz$/, '').replace(/\.(?:pcap|pcapng|cap)$/, '.keys');
  if (beside !== capture && beside.endsWith('.keys') && isFile(beside)) log.add(text(beside, limits));
  return log;
}

function text(path: string, { keyLog }: Pick<Limits, 'keyLog'>): string {
  try {
    if (statSync(path).size > keyLog) throw new RangeError(`it is larger than ${keyLog} bytes`);
    return readFileSync(path, 'latin1');
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
