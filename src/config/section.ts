/**
 * A section's table of options, and reading a section by it. The result has the options under their names in camel case (`av-scan`:
 * `avScan`), typed by their kinds; nested sections likewise; a table is a map of its entries in order.
 */
import { didYouMean, shown } from './did-you-mean.js';
import type { OptionKind, Reader } from './options.js';
import type { Position } from './position.js';
import { type Body, pathText, type SectionNode, type Setting } from './tree.js';
import type { Word } from './words.js';

// biome-ignore lint/suspicious/noExplicitAny: any kind of value, each typed where the table is written.
type Options = Readonly<Record<string, OptionKind<any>>>;
type Nested = Readonly<Record<string, AnySection>>;
type AnySection = Section<Options, Nested, boolean>;

export interface Section<O extends Options, N extends Nested, Keyed extends boolean> {
  readonly options: O;
  readonly nested: N;
  /** It has entries (`edit`) rather than options of its own. */
  readonly keyed: Keyed;
  /** Most of its options are a firewall's and not listed: they are passed over, unless one looks like a mistyped option of ours. */
  readonly open: boolean;
  /** Nested sections of features that inspectd does not have. */
  readonly skipped: readonly string[];
  /** Says what is wrong with the name of an entry. */
  readonly key: ((name: string) => string | undefined) | undefined;
}

type Camel<S extends string> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;
type ValueOf<K> = K extends OptionKind<infer T> ? T : never;
/** Options without effect have no value and no place in the result. */
export type Entry<S> =
  S extends Section<infer O, infer N, boolean>
    ? {
        /** The entry's name, as `edit` gives it; empty for a section without entries. */
        readonly key: string;
        readonly at: Position;
        /** Options that were set, by their CLI names. */
        readonly given: ReadonlySet<string>;
      } & {
        readonly [K in keyof O & string as [ValueOf<O[K]>] extends [undefined] ? never : Camel<K>]: ValueOf<O[K]>;
      } & { readonly [K in keyof N & string as Camel<K>]: ResultOf<N[K]> }
    : never;
export type ResultOf<S> =
  S extends Section<Options, Nested, infer Keyed>
    ? Keyed extends true
      ? ReadonlyMap<string, Entry<S>>
      : Entry<S>
    : never;

export function singleSection<O extends Options, N extends Nested = Record<never, never>>(
  options: O,
  nested?: N,
  skipped: readonly string[] = [],
): Section<O, N, false> {
  return { options, nested: (nested ?? {}) as N, keyed: false, open: false, skipped, key: undefined };
}

export function tableSection<O extends Options, N extends Nested = Record<never, never>>(
  options: O,
  more: {
    readonly nested?: N;
    readonly skipped?: readonly string[];
    readonly key?: (name: string) => string | undefined;
    /** We use a few of its options. */
    readonly open?: boolean;
  } = {},
): Section<O, N, true> {
  return {
    options,
    nested: (more.nested ?? {}) as N,
    keyed: true,
    open: more.open ?? false,
    skipped: more.skipped ?? [],
    key: more.key,
  };
}

/** A section without entries of which we use a few options. */
export function openSection<O extends Options>(options: O): Section<O, Record<never, never>, false> {
  return { options, nested: {}, keyed: false, open: true, skipped: [], key: undefined };
}

/** Entry names that are numbers (policies). */
export function numericKey(name: string): string | undefined {
  return /^\d{1,10}$/.test(name) && Number(name) <= 0xffff_ffff ? undefined : 'a number from 0 to 4294967295';
}

/** Entry names of at most `most` characters. */
export function nameKey(most: number): (name: string) => string | undefined {
  return (name) => (name.length >= 1 && name.length <= most ? undefined : `a name of 1 to ${most} characters`);
}

/** Everything written of one section: it may stand in several places, later ones add to and overrule earlier ones. */
export function readSection<S extends AnySection>(
  shape: S,
  nodes: readonly SectionNode[],
  path: string,
  reader: Reader,
): ResultOf<S> {
  if (!shape.keyed) {
    for (const node of nodes)
      for (const entry of node.entries)
        reader.error(entry.key, `"config ${path}" has options, not entries: "edit" has no place here`);
    return readBody(shape, nodes, '', nodes[0]?.at ?? START, path, reader) as ResultOf<S>;
  }
  const bodies = new Map<string, { at: Word; bodies: Body[] }>();
  for (const node of nodes) {
    for (const { option } of node.settings)
      reader.error(option, `"config ${path}" has entries: "edit NAME" comes before ${shown(option.text)}`);
    for (const nested of node.sections)
      reader.error(nested.at, `"config ${path}" has entries: "edit NAME" comes before "config ${pathText(nested)}"`);
    for (const entry of node.entries) {
      const wrong = shape.key?.(entry.key.text);
      if (wrong !== undefined) reader.error(entry.key, `found ${shown(entry.key.text)}; allowed: ${wrong}`);
      const known = bodies.get(entry.key.text);
      if (known === undefined) bodies.set(entry.key.text, { at: entry.key, bodies: [entry] });
      else known.bodies.push(entry);
    }
  }
  const entries = new Map<string, unknown>();
  for (const [name, { at, bodies: all }] of bodies) entries.set(name, readBody(shape, all, name, at, path, reader));
  return entries as unknown as ResultOf<S>;
}

const START: Position = { line: 1, column: 1 };

function readBody(
  shape: AnySection,
  bodies: readonly Body[],
  name: string,
  at: Position,
  path: string,
  reader: Reader,
): Record<string, unknown> {
  const written = writtenOptions(
    shape,
    bodies.flatMap((body) => body.settings),
    path,
    reader,
  );
  const result: Record<string, unknown> = { key: name, at, given: new Set(written.keys()) };
  for (const [option, kind] of Object.entries(shape.options)) {
    const words = written.get(option);
    const named: Reader = { ...reader, error: (place, text) => reader.error(place, `${option}: ${text}`) };
    result[camel(option)] = (words === undefined ? undefined : kind.read(words, named)) ?? kind.unset;
  }
  const nested = bodies.flatMap((body) => body.sections);
  for (const node of nested) {
    const found = pathText(node);
    if (shape.open || Object.hasOwn(shape.nested, found)) continue;
    if (shape.skipped.includes(found))
      reader.warning(
        node.at,
        `"config ${found}" in "config ${path}" skipped: inspectd does not have it`,
        `${path}/${found}`,
      );
    else {
      const known = [...Object.keys(shape.nested), ...shape.skipped];
      reader.error(node.at, `"config ${path}" has no section ${shown(found)}${didYouMean(found, known)}`);
    }
  }
  for (const [section, inner] of Object.entries(shape.nested))
    result[camel(section)] = readSection(
      inner,
      nested.filter((node) => pathText(node) === section),
      `${path} / ${section}`,
      reader,
    );
  return result;
}

/** The words that hold for each option in the end. */
function writtenOptions(
  shape: AnySection,
  settings: readonly Setting[],
  path: string,
  reader: Reader,
): Map<string, readonly Word[]> {
  const written = new Map<string, readonly Word[]>();
  for (const { verb, option, values } of settings) {
    const kind = Object.hasOwn(shape.options, option.text) ? shape.options[option.text] : undefined;
    if (kind === undefined) {
      const near = didYouMean(option.text, Object.keys(shape.options));
      if (near !== '' || !shape.open)
        reader.error(option, `"config ${path}" has no option ${shown(option.text)}${near}`);
      continue;
    }
    if (verb === 'unset') {
      written.delete(option.text);
      continue;
    }
    const extra = values[1];
    if (!kind.many && (verb === 'append' || extra !== undefined)) {
      reader.error(
        extra ?? option,
        verb === 'append'
          ? `${shown(option.text)} takes one value: use "set"`
          : `${shown(option.text)} takes one value: ${shown(extra?.text ?? '')} is one too many`,
      );
      continue;
    }
    written.set(option.text, verb === 'append' ? [...(written.get(option.text) ?? []), ...values] : values);
  }
  return written;
}

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
