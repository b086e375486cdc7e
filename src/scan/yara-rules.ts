/**
 * The user's YARA rules, compiled and run by YARA-X (`@litko/yara-x`), which is loaded only when there are rules. Used by the scanner in
 * the thread and by the pool's children alike. Each rule file is compiled by itself, so that a slow one can be named and rules
 * of two files may have one name; a file may `include` others beside it.
 */
import type { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { inMemory } from '../content/pieces.js';
import { ConfigError, SourceError } from '../core/errors.js';
import type { Content } from '../core/file.js';
import type { Limits } from '../core/limits.js';
import type { Signature } from './signatures.js';

/** One rule file. */
export interface RuleFile {
  readonly path: string;
  /** The rules that match, each as its `meta` names it. Takes as long as it takes: there is no way to stop it in this thread. */
  scan(bytes: Buffer): Signature[];
}

/** What we use of the library. */
interface Yara {
  compile(source: string, options: { includeDirectories: string[]; errorOnSlowPattern: boolean }): YaraRules;
}
interface YaraRules {
  setMaxMatchesPerPattern(most: number): void;
  scan(bytes: Buffer): { ruleIdentifier: string; meta: Record<string, unknown> }[];
}

/** Each match becomes an object, so a rule for a single letter would cost more than the file. Rules that count higher never match. */
const MATCHES_PER_PATTERN = 10_000;

/**
 * Throws ConfigError for a rule that does not compile, with file and line, and SourceError when this machine has no YARA-X.
 * `refuseSlow`: a pattern that YARA-X calls slow is such an error; for where no deadline can be kept.
 */
export function compileRules(paths: readonly string[], options: { readonly refuseSlow: boolean }): RuleFile[] {
  if (paths.length === 0) return [];
  const yara = loadYara();
  return paths.map((path) => {
    const rules = compileFile(yara, path, options.refuseSlow);
    rules.setMaxMatchesPerPattern(MATCHES_PER_PATTERN);
    return {
      path,
      scan: (bytes) => rules.scan(bytes).map(({ ruleIdentifier, meta }) => named(ruleIdentifier, meta)),
    };
  });
}

/**
 * The stretches of a file that rules are run on, each in pieces: all of it where it lies in memory, else windows that overlap. A window is
 * valid until the next is asked for.
 */
export function* windows(
  content: Content,
  limits: Pick<Limits, 'scanWindow' | 'scanOverlap'>,
): Generator<readonly Buffer[]> {
  const whole = inMemory(content);
  if (whole !== undefined) {
    yield whole;
    return;
  }
  const step = Math.max(1, limits.scanWindow - limits.scanOverlap);
  for (let at = 0; ; at += step) {
    const wanted = Math.min(limits.scanWindow, content.length - at);
    const window = content.read(at, wanted);
    if (window.length < wanted) throw new SourceError(`spool: the file ends before its ${content.length} bytes`);
    yield [window];
    if (at + wanted >= content.length) return;
  }
}

function loadYara(): Yara {
  try {
    return createRequire(import.meta.url)('@litko/yara-x') as Yara;
  } catch (error) {
    throw new SourceError(
      `YARA rules cannot be used: @litko/yara-x does not run on ${process.platform} ${process.arch} (it has binaries for Linux with glibc and for macOS)`,
      { cause: error },
    );
  }
}

function compileFile(yara: Yara, path: string, refuseSlow: boolean): YaraRules {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${path}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    return yara.compile(source, { includeDirectories: [dirname(path)], errorOnSlowPattern: refuseSlow });
  } catch (error) {
    const text = messageOf(error);
    // `Compilation error (E018): error[E018]: slow pattern\n --> line:1:19 …`
    const what = /error\[\w+\]: (.*)/.exec(text)?.[1] ?? text.split('\n')[0]!;
    const why = /\^+ (.+)/.exec(text)?.[1];
    const line = /--> [^\n]*?:(\d+):\d+/.exec(text)?.[1];
    throw new ConfigError(
      `${path}${line === undefined ? '' : `:${line}`}: ${what}${why === undefined ? '' : ` (${why})`}`,
      { cause: error },
    );
  }
}

/** `meta: virus = "…"` and `virus_id = …` name what a rule finds; else the rule's own name does. */
function named(rule: string, meta: Record<string, unknown>): Signature {
  const { virus, virus_id: id } = meta;
  return {
    virus: typeof virus === 'string' && virus !== '' ? virus : rule,
    virusId: typeof id === 'number' && Number.isInteger(id) && id >= 0 ? id : 0,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
