/**
 * Reads signature files: literal signatures (`*.literals`), lists of hashes (`*.hashes`), and which YARA rules there are (`*.yar`,
 * `*.yara`; scan/yara-rules.ts compiles them). The formats are described in signatures/README.md. Reading is strict: a signature that cannot
 * be understood is an error that names file and line, never one signature less.
 */
import { Buffer } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../core/errors.js';

export interface Signature {
  /** The name that logs call `virus`. */
  readonly virus: string;
  /** The number that logs call `virusid`; 0 when it has none. */
  readonly virusId: number;
}

export interface LiteralSignature extends Signature {
  readonly category: string;
  readonly bytes: Buffer;
}

/** What findings of rules are said to be found by. */
export const YARA = 'yara';

export type HashName = 'sha256' | 'sha1' | 'md5';

export interface Signatures {
  readonly literals: readonly LiteralSignature[];
  /** By hash, in lower-case hex. */
  readonly hashes: Readonly<Record<HashName, ReadonlyMap<string, Signature>>>;
  /** Paths of YARA rule files. */
  readonly rules: readonly string[];
}

/** The directory of the signatures that come with the program. */
export const BUILT_IN_SIGNATURES: string = fileURLToPath(new URL('../../../signatures', import.meta.url));

/** A literal below this length would be found in half of all files; one above it is a hash's work. */
const SHORTEST = 4;
const LONGEST = 4096;
/** How the names of YARA rule files end. */
const RULES: readonly string[] = ['.yar', '.yara'];
const HASH_NAMES: Readonly<Record<number, HashName>> = { 64: 'sha256', 40: 'sha1', 32: 'md5' };

/** Reads the signature files at `paths`; of a directory those right in it, in order of their names. Throws ConfigError. */
export function loadSignatures(paths: readonly string[]): Signatures {
  const literals: LiteralSignature[] = [];
  const hashes = {
    sha256: new Map<string, Signature>(),
    sha1: new Map<string, Signature>(),
    md5: new Map<string, Signature>(),
  };
  const rules: string[] = [];
  for (const path of paths.flatMap(filesAt)) {
    switch (extname(path)) {
      case '.literals':
        for (const line of lines(path)) literals.push(parseLiteral(line));
        break;
      case '.hashes':
        for (const line of lines(path)) {
          const { name, hash, signature } = parseHash(line);
          hashes[name].set(hash, signature);
        }
        break;
      default:
        if (isRules(path)) rules.push(path);
    }
  }
  return { literals, hashes, rules };
}

/** Are there YARA rules at `paths`? Throws ConfigError where one of them cannot be read. */
export function hasRules(paths: readonly string[]): boolean {
  return paths.flatMap(filesAt).some(isRules);
}

function isRules(path: string): boolean {
  return RULES.includes(extname(path));
}

/** One line of a file, for messages. */
interface Line {
  readonly text: string;
  readonly where: string;
}

function filesAt(path: string): string[] {
  return attempt(path, () =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .sort()
          .map((name) => join(path, name))
      : [path],
  );
}

function lines(path: string): Line[] {
  const bytes = attempt(path, () => readFileSync(path));
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) throw new ConfigError(`${path}: not UTF-8 text`);
  return text
    .split(/\r?\n/)
    .map((line, index) => ({ text: line.trim(), where: `${path}:${index + 1}` }))
    .filter((line) => line.text !== '' && !line.text.startsWith('#'));
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new ConfigError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function parseLiteral(line: Line): LiteralSignature {
  const pattern = /^(?:hex:(?<hex>\S*)|text:(?<text>"(?:[^"\\]|\\.)*"))(?:\s+(?<rest>.*))?$/.exec(line.text);
  if (pattern?.groups === undefined) throw new ConfigError(`${line.where}: a literal begins with hex:… or text:"…"`);
  const { hex, text, rest } = pattern.groups;
  const bytes = hex !== undefined ? hexBytes(hex, line) : textBytes(text!, line);
  if (bytes.length < SHORTEST || bytes.length > LONGEST)
    throw new ConfigError(`${line.where}: a literal has ${SHORTEST} to ${LONGEST} bytes, not ${bytes.length}`);
  const [virus, id, category, ...more] = fields(rest);
  if (more.length > 0)
    throw new ConfigError(`${line.where}: nothing may follow the category, but "${more.join(' ')}" does`);
  if (category !== undefined && !/^[a-z][a-z0-9-]*$/.test(category))
    throw new ConfigError(`${line.where}: "${category}" is no category (lower-case letters, digits, hyphens)`);
  return { ...signature(virus, id, line), category: category ?? 'virus', bytes };
}

function parseHash(line: Line): { name: HashName; hash: string; signature: Signature } {
  const [hash, virus, id, ...more] = fields(line.text);
  const name = /^[0-9a-fA-F]+$/.test(hash!) ? HASH_NAMES[hash!.length] : undefined;
  if (name === undefined)
    throw new ConfigError(`${line.where}: "${hash}" is no SHA-256, SHA-1 or MD5 in hex (64, 40 or 32 digits)`);
  if (more.length > 0) throw new ConfigError(`${line.where}: nothing may follow the id, but "${more.join(' ')}" does`);
  return { name, hash: hash!.toLowerCase(), signature: signature(virus, id, line) };
}

function signature(virus: string | undefined, id: string | undefined, line: Line): Signature {
  if (virus === undefined) throw new ConfigError(`${line.where}: the name of the virus is missing`);
  // Names go into logs and replacement messages, so they are plain.
  if (!/^[\x21-\x7e]{1,128}$/.test(virus) || virus.includes('"'))
    throw new ConfigError(`${line.where}: "${virus}" is no name (1 to 128 printable ASCII characters, no quote)`);
  if (id !== undefined && (!/^\d{1,10}$/.test(id) || Number(id) > 0xffff_ffff))
    throw new ConfigError(`${line.where}: "${id}" is no id (a number up to 4294967295)`);
  return { virus, virusId: id === undefined ? 0 : Number(id) };
}

function fields(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((field) => field !== '');
}

function hexBytes(hex: string, line: Line): Buffer {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new ConfigError(`${line.where}: "hex:" takes pairs of hex digits`);
  return Buffer.from(hex, 'hex');
}

/** A string as in JSON; what it stands for is UTF-8. */
function textBytes(text: string, line: Line): Buffer {
  try {
    return Buffer.from(JSON.parse(text) as string);
  } catch {
    throw new ConfigError(`${line.where}: ${text} is not a string as JSON has it`);
  }
}
