/**
 * Words to a tree of sections, entries and settings. It knows the grammar and no section:
 *
 *     config PATH  { set|append|unset OPTION VALUE… | config … end | edit KEY … next }  end
 *
 * `config`, `edit`, `set`, `unset`, `append`, `next` and `end` are keywords wherever they stand unquoted, so a configuration on one
 * line reads the same. A line begins with a keyword; anything else there is an error. `end` also closes an entry left open, as FortiOS
 * takes it. Nesting is bounded.
 */
import { didYouMean, shown } from './did-you-mean.js';
import type { Position } from './position.js';
import type { Problems } from './problems.js';
import type { Word } from './words.js';

export interface Setting {
  readonly verb: 'set' | 'append' | 'unset';
  readonly option: Word;
  readonly values: readonly Word[];
}

/** The inside of a section or of an entry. */
export interface Body {
  readonly settings: Setting[];
  readonly sections: SectionNode[];
}

export interface SectionNode extends Body {
  /** The words after `config`. */
  readonly path: readonly Word[];
  readonly at: Position;
  readonly entries: EntryNode[];
}

export interface EntryNode extends Body {
  readonly key: Word;
}

/** FortiOS nests four deep. */
const MAX_DEPTH = 16;

const KEYWORDS: ReadonlySet<string> = new Set(['config', 'edit', 'set', 'append', 'unset', 'next', 'end']);
const VERBS: ReadonlySet<string> = new Set(['set', 'append', 'unset']);
/** Verbs of an interactive session; a configuration holds none, and they would change what was read before. */
const INTERACTIVE: ReadonlySet<string> = new Set([
  'delete',
  'purge',
  'rename',
  'move',
  'clone',
  'select',
  'unselect',
  'clear',
  'abort',
  'get',
  'show',
  'execute',
  'diagnose',
  'exit',
]);

export function readTree(words: readonly Word[], problems: Problems): SectionNode[] {
  const roots: SectionNode[] = [];
  /** Open sections, innermost last, each with the entry open in it. */
  const open: { readonly section: SectionNode; entry: EntryNode | undefined }[] = [];
  let at = 0;
  /** Words of this statement: up to the next keyword, or the next line. An option may be called like one (`set end 17:00`). */
  const rest = (named = false): Word[] => {
    const values: Word[] = [];
    const option = words[at];
    if (named && option !== undefined && !option.first) {
      values.push(option);
      at++;
    }
    for (let word = words[at]; word !== undefined && !word.first && !isKeyword(word); word = words[++at])
      values.push(word);
    return values;
  };
  while (at < words.length) {
    const word = words[at++] as Word;
    if (!isKeyword(word)) {
      problems.error(word, unknownCommand(word));
      rest();
      continue;
    }
    const values = rest(VERBS.has(word.text));
    const top = open.at(-1);
    const body: Body | undefined = top?.entry ?? top?.section;
    switch (word.text) {
      case 'config': {
        if (values.length === 0) problems.error(word, '"config" needs the name of a section');
        const section: SectionNode = { path: values, at: word, entries: [], settings: [], sections: [] };
        if (open.length >= MAX_DEPTH) {
          problems.error(word, `sections are nested more than ${MAX_DEPTH} deep`);
          return roots;
        }
        (body?.sections ?? roots).push(section);
        open.push({ section, entry: undefined });
        break;
      }
      case 'edit': {
        const [key, extra] = values;
        if (top === undefined) problems.error(word, '"edit" outside of a section: "config …" comes first');
        else if (key === undefined) problems.error(word, '"edit" needs the name of an entry');
        else {
          if (top.entry !== undefined)
            problems.error(word, `"edit ${key.text}" before "next" closed ${shown(top.entry.key.text)}`);
          if (extra !== undefined) problems.error(extra, `${shown(extra.text)} follows the name of the entry`);
          top.entry = { key, settings: [], sections: [] };
          top.section.entries.push(top.entry);
        }
        break;
      }
      case 'next':
        if (top?.entry === undefined) problems.error(word, '"next" without "edit"');
        else top.entry = undefined;
        unexpected(values, word, problems);
        break;
      case 'end':
        if (open.pop() === undefined) problems.error(word, '"end" without "config"');
        unexpected(values, word, problems);
        break;
      default: {
        const [option, ...given] = values;
        if (body === undefined) problems.error(word, `"${word.text}" outside of a section: "config …" comes first`);
        else if (option === undefined) problems.error(word, `"${word.text}" needs an option`);
        else if (word.text !== 'unset' && given.length === 0)
          problems.error(option, `"${word.text} ${option.text}" needs a value`);
        else body.settings.push({ verb: word.text as Setting['verb'], option, values: given });
      }
    }
  }
  for (const { section } of open)
    problems.error(section.at, `"config ${pathText(section)}" is never closed: "end" is missing`);
  return roots;
}

/** The section's name as it is written. */
export function pathText(section: SectionNode): string {
  return section.path.map((word) => word.text).join(' ');
}

function isKeyword(word: Word): boolean {
  return !word.quoted && KEYWORDS.has(word.text);
}

function unknownCommand(word: Word): string {
  if (INTERACTIVE.has(word.text)) return `${shown(word.text)} is a command of the CLI, not of a configuration`;
  return `${shown(word.text)} is not a command${didYouMean(word.text, KEYWORDS)}`;
}

function unexpected(values: readonly Word[], after: Word, problems: Problems): void {
  const [extra] = values;
  if (extra !== undefined) problems.error(extra, `${shown(extra.text)} follows "${after.text}"`);
}
