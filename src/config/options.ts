/**
 * Kinds of option values: what is allowed, what holds when it is unset, how the words become a value. A kind never throws; it says what
 * is wrong and returns undefined, and reading goes on.
 */
import { isIP, isIPv4 } from 'node:net';
import { didYouMean, oneOf, shown } from './did-you-mean.js';
import type { Position } from './position.js';
import type { Word } from './words.js';

/** What a kind may say while it reads. */
export interface Reader {
  error(at: Position, text: string): void;
  /** `once`: one such warning a file. */
  warning(at: Position, text: string, once?: string): void;
  /** Checked when everything has been read: one of these sections must have an entry of that name. */
  reference(sections: readonly string[], name: Word): void;
}

export interface OptionKind<T> {
  /** What holds when it is unset. */
  readonly unset: T;
  /** For messages and `check --defaults`: `disable, block or monitor`. */
  readonly allowed: string;
  /** `unset` as it would be written, where that is in another unit. */
  readonly unsetText?: string;
  /** false: whatever it is set to changes nothing here. */
  readonly effect?: false;
  /** Takes several values, and `append`. */
  readonly many: boolean;
  /** At least one word. undefined: something was wrong, and was said. */
  read(words: readonly Word[], reader: Reader): T | undefined;
}

/** One value. */
function single<T>(allowed: string, unset: T, read: (word: Word, reader: Reader) => T | undefined): OptionKind<T> {
  return { unset, allowed, many: false, read: ([word], reader) => (word === undefined ? unset : read(word, reader)) };
}

function wrong(word: Word, allowed: string, reader: Reader): undefined {
  reader.error(word, `found ${shown(word.text)}; allowed: ${allowed}`);
}

/** A word of a closed vocabulary. */
export function choice<const V extends readonly string[], U extends V[number] | undefined>(
  values: V,
  unset: U,
): OptionKind<V[number] | U> {
  const allowed = oneOf(values);
  return single<V[number] | U>(allowed, unset, (word, reader) => {
    if (values.includes(word.text)) return word.text;
    return wrong(word, allowed + didYouMean(word.text, values), reader);
  });
}

export function toggle(unset: boolean): OptionKind<boolean> {
  const words = ['enable', 'disable'] as const;
  const kind = choice(words, undefined);
  return single(kind.allowed, unset, (word, reader) => {
    const value = kind.read([word], reader);
    return value === undefined ? undefined : value === 'enable';
  });
}

/** Any of a closed vocabulary. */
export function flags<const V extends readonly string[]>(
  values: V,
  unset: readonly V[number][] = [],
): OptionKind<ReadonlySet<V[number]>> {
  const allowed =
    values.length > 12
      ? `any of ${values.length} names, such as ${oneOf(values.slice(0, 8))}`
      : `any of ${oneOf(values)}`;
  return {
    unset: new Set(unset),
    allowed,
    many: true,
    read: (words, reader) => {
      const taken = new Set<V[number]>();
      for (const word of words) {
        if (values.includes(word.text)) taken.add(word.text);
        else wrong(word, allowed + didYouMean(word.text, values), reader);
      }
      return taken;
    },
  };
}

/** A whole number; `scale` turns FortiOS's unit into ours. */
export function integer<U extends number | undefined>(
  least: number,
  most: number,
  unset: U,
  scale = 1,
): OptionKind<number | U> {
  const allowed = `a number from ${least} to ${most}`;
  const given = (unset === undefined ? undefined : unset * scale) as U;
  const kind = single<number | U>(allowed, given, (word, reader) => {
    const value = /^\d{1,10}$/.test(word.text) ? Number(word.text) : Number.NaN;
    return value >= least && value <= most ? value * scale : wrong(word, allowed, reader);
  });
  return unset === undefined ? kind : { ...kind, unsetText: String(unset) };
}

/** What `parse` makes of a word; undefined: it is not allowed. */
export function parsed<T>(allowed: string, parse: (text: string) => T | undefined): OptionKind<T | undefined> {
  return single<T | undefined>(allowed, undefined, (word, reader) => parse(word.text) ?? wrong(word, allowed, reader));
}

/** A password or hash that `fits`: what is wrong with it is said without repeating it. */
export function secret(allowed: string, fits: RegExp): OptionKind<string | undefined> {
  return single<string | undefined>(allowed, undefined, (word, reader) => {
    if (fits.test(word.text)) return word.text;
    reader.error(word, `allowed: ${allowed}`);
    return undefined;
  });
}

/** Free text of at most `most` characters. */
export function text(most: number): OptionKind<string | undefined> {
  const allowed = `text of at most ${most} characters`;
  return single<string | undefined>(allowed, undefined, (word, reader) =>
    word.text.length <= most ? word.text : wrong(word, allowed, reader),
  );
}

export function uuid(): OptionKind<string | undefined> {
  const allowed = 'a UUID such as 325d4516-74a8-51ec-db9b-a5511f9a7842';
  return single<string | undefined>(allowed, undefined, (word, reader) =>
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(word.text)
      ? word.text.toLowerCase()
      : wrong(word, allowed, reader),
  );
}

/** Names, as they stand; of entries of these sections where some are given. */
export function names(...sections: readonly string[]): OptionKind<readonly string[]> {
  return {
    unset: [],
    allowed: sections.length === 0 ? 'names' : `names in ${sections.map((each) => `"config ${each}"`).join(' or ')}`,
    many: true,
    read: (words, reader) => {
      if (sections.length > 0) for (const word of words) reader.reference(sections, word);
      return words.map((word) => word.text);
    },
  };
}

/** The name of one entry of these sections. */
export function reference(...sections: readonly string[]): OptionKind<string | undefined> {
  return single<string | undefined>(`a name in "config ${sections[0] ?? ''}"`, undefined, (word, reader) => {
    if (word.text === '') return undefined;
    reader.reference(sections, word);
    return word.text;
  });
}

/** TCP ports and ranges of ports, in words or behind commas; ascending. */
export function ports(unset: readonly number[]): OptionKind<readonly number[]> {
  const allowed = 'ports from 1 to 65535';
  return {
    unset,
    allowed,
    many: true,
    read: (words, reader) =>
      words.flatMap((word) =>
        word.text.split(',').flatMap((port) => {
          const value = /^\d{1,5}$/.test(port) ? Number(port) : 0;
          if (value >= 1 && value <= 65_535) return [value];
          wrong(word, allowed, reader);
          return [];
        }),
      ),
  };
}

export function ipAddress(): OptionKind<string | undefined> {
  const allowed = 'an IP address';
  return single<string | undefined>(allowed, undefined, (word, reader) =>
    isIP(word.text) !== 0 ? word.text.toLowerCase() : wrong(word, allowed, reader),
  );
}

export function ipAddresses(): OptionKind<readonly string[]> {
  const one = ipAddress();
  return {
    unset: [],
    allowed: 'IP addresses',
    many: true,
    read: (words, reader) => words.flatMap((word) => one.read([word], reader) ?? []),
  };
}

export interface Subnet {
  readonly address: string;
  /** In bits. */
  readonly prefix: number;
}

/** `10.1.0.0 255.255.0.0`, `10.1.0.0/16`. */
export function subnet(unset: Subnet): OptionKind<Subnet> {
  const allowed = 'an IPv4 network such as 10.1.100.0 255.255.255.0 or 10.1.100.0/24';
  return {
    unset,
    allowed,
    // Two words, yet one value: `append` has no meaning.
    many: true,
    read: (words, reader) => {
      const written = words.map((word) => word.text).join('/');
      const [address = '', mask, extra] = written.split('/');
      const prefix = mask === undefined ? 32 : prefixOf(mask);
      const [first] = words;
      if (isIPv4(address) && prefix !== undefined && extra === undefined) return { address, prefix };
      if (first !== undefined) reader.error(first, `found ${shown(written)}; allowed: ${allowed}`);
      return undefined;
    },
  };
}

/** Checked as its kind says, and of no effect here: said once where it is set to anything but its default. */
export function withoutEffect(kind: OptionKind<unknown>, feature: string): OptionKind<undefined> {
  return {
    unset: undefined,
    allowed: kind.allowed,
    effect: false,
    many: kind.many,
    read: (words, reader) => {
      const value = kind.read(words, reader);
      const [first] = words;
      const asked = value instanceof Set || Array.isArray(value) ? [...value].length > 0 : value !== kind.unset;
      if (value !== undefined && asked && first !== undefined)
        reader.warning(first, `inspectd has no ${feature}: this has no effect`, feature);
      return undefined;
    },
  };
}

/** Accepted with any value: it tells the firewall around us, or is for people. */
export const accepted: OptionKind<undefined> = {
  unset: undefined,
  allowed: 'any value',
  effect: false,
  many: true,
  read: () => undefined,
};

/** A profile of a feature that inspectd does not have. */
export function unsupported(feature: string): OptionKind<undefined> {
  return {
    ...accepted,
    read: ([first], reader) => {
      if (first !== undefined)
        reader.warning(first, `${shown(first.text)} skipped: inspectd has no ${feature}`, feature);
      return undefined;
    },
  };
}

function prefixOf(mask: string): number | undefined {
  if (/^\d{1,2}$/.test(mask)) return Number(mask) <= 32 ? Number(mask) : undefined;
  if (!isIPv4(mask)) return undefined;
  const bits = mask
    .split('.')
    .map((octet) => Number(octet).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined;
}
