/**
 * The commands that a running daemon answers: words to a function that prints. What they print is what FortiOS prints under the same words.
 */
import { didYouMean } from '../config/did-you-mean.js';

/** Where a command prints to, and what ends one that goes on. */
export interface Answer {
  print(text: string): void;
  /** Aborted when whoever asked has gone, or asks no more. */
  readonly signal: AbortSignal;
}

export interface ControlCommand {
  /** `diagnose sys session list` */
  readonly words: string;
  /** What may follow, for help: `[src|dst|sport|dport|policy VALUE]`. */
  readonly rest?: string;
  /** One line. */
  readonly help: string;
  /** Throws ConfigError for words that it does not know. A promise: it goes on until that settles. */
  run(rest: readonly string[], answer: Answer): void | Promise<void>;
}

export type Found = { readonly command: ControlCommand; readonly rest: readonly string[] } | { readonly error: string };

/** The command with the most words in front of `typed`; FortiOS's abbreviations (`diag`, `exec`) are understood. */
export function findCommand(commands: readonly ControlCommand[], typed: readonly string[]): Found {
  const words = typed.map((word, at) => (at === 0 ? (ABBREVIATIONS[word] ?? word) : word));
  let best: ControlCommand | undefined;
  for (const command of commands) {
    const own = command.words.split(' ');
    if (own.every((word, at) => fits(word, words[at])) && own.length > (best?.words.split(' ').length ?? 0))
      best = command;
  }
  if (best !== undefined) {
    const rest = words.slice(best.words.split(' ').length);
    if (rest.length === 0 || best.rest !== undefined) return { command: best, rest };
  }
  const near = didYouMean(
    words.join(' '),
    commands.map((command) => command.words),
  );
  return { error: `unknown command: ${words.join(' ')}${near}` };
}

const ABBREVIATIONS: Readonly<Record<string, string>> = { diag: 'diagnose', dia: 'diagnose', exec: 'execute' };

/** `exec log disp` */
function fits(word: string, typed: string | undefined): boolean {
  return typed !== undefined && (word === typed || (typed.length >= 3 && word.startsWith(typed)));
}

/** What there is, below the words typed so far. */
export function helpText(commands: readonly ControlCommand[], below: readonly string[]): string {
  const lines = commands
    .filter(({ words }) => below.every((word, at) => fits(words.split(' ')[at] ?? '', word)))
    .map(({ words, rest, help }) => [rest === undefined ? words : `${words} ${rest}`, help] as const);
  const width = Math.max(0, ...lines.map(([words]) => words.length));
  return lines.map(([words, help]) => `${words.padEnd(width)}  ${help}\n`).join('');
}
