/**
 * The process that `createYaraPool` starts and may kill at any moment. Its arguments are rule files. It reads files from standard
 * input (32 bits of length, little-endian, and the bytes) and answers on standard output with lines of JSON (`Answer`). All of it
 * blocks: there is nothing else to do here. It ends with its input.
 */
import { Buffer } from 'node:buffer';
import { readSync, writeSync } from 'node:fs';
import { ConfigError } from '../core/errors.js';
import type { Signature } from './signatures.js';
import { compileRules } from './yara-rules.js';

export type Answer =
  /** The rules are compiled. */
  | { readonly ready: true }
  /** They are not, and this process ends; `config`: the user can mend it. */
  | { readonly unusable: string; readonly config: boolean }
  /** The rules of this file, by index, are being run now. */
  | { readonly running: number }
  | { readonly found: readonly Signature[] };

function say(answer: Answer): void {
  const line = Buffer.from(`${JSON.stringify(answer)}\n`);
  for (let at = 0; at < line.length; ) at += writeSync(1, line, at);
}

/** Fills `into` from standard input; false at its end. */
function fill(into: Buffer): boolean {
  for (let at = 0; at < into.length; ) {
    const read = readSync(0, into, at, into.length - at, null);
    if (read === 0) return false;
    at += read;
  }
  return true;
}

function serve(paths: readonly string[]): void {
  let files: ReturnType<typeof compileRules>;
  try {
    files = compileRules(paths, { refuseSlow: false });
  } catch (error) {
    say({ unusable: error instanceof Error ? error.message : String(error), config: error instanceof ConfigError });
    return;
  }
  say({ ready: true });
  const header = Buffer.alloc(4);
  let room = Buffer.alloc(0);
  while (fill(header)) {
    const length = header.readUInt32LE();
    if (room.length < length) room = Buffer.allocUnsafeSlow(length);
    const bytes = room.subarray(0, length);
    if (!fill(bytes)) return;
    const found: Signature[] = [];
    files.forEach((file, index) => {
      say({ running: index });
      found.push(...file.scan(bytes));
    });
    say({ found });
  }
}

serve(process.argv.slice(2));
