/**
 * Reads a line of FortiOS's default format: for log queries and as the oracle of tests. Real lines differ from ours, so it takes a bare
 * or quoted value for any field, one space or several between pairs, the ordinal that `execute log display` puts in front (`4: `) and a
 * syslog priority (`<188>`). It does not know field types and reads no csv.
 */

export interface ParsedField {
  readonly name: string;
  /** Without its quotes and escapes. */
  readonly value: string;
  readonly quoted: boolean;
}

export interface ParsedLine {
  readonly ordinal: number | undefined;
  readonly priority: number | undefined;
  /** In the order of the line; a name may come twice (`eventtype` does in some versions). */
  readonly fields: readonly ParsedField[];
}

/** `undefined` when the line is no record: a word without `=`, a quote that does not end. */
export function parseLine(line: string): ParsedLine | undefined {
  const [prefix, ordinal, priority] = PREFIX.exec(line) ?? [''];
  const fields: ParsedField[] = [];
  PAIR.lastIndex = prefix.length;
  while (PAIR.lastIndex < line.length) {
    const found = PAIR.exec(line);
    if (found === null) return undefined;
    const [, name = '', quoted, bare = ''] = found;
    fields.push({ name, value: quoted?.replace(/\\(["\\])/g, '$1') ?? bare, quoted: quoted !== undefined });
  }
  return { ordinal: numberOf(ordinal), priority: numberOf(priority), fields };
}

/** The value of a field, by its first occurrence. */
export function parsedValue(line: ParsedLine, name: string): string | undefined {
  return line.fields.find((field) => field.name === name)?.value;
}

const PREFIX = /^(?:(\d+): )?(?:<(\d{1,3})>)? */;
/** A pair and the spaces behind it. Within quotes a backslash takes the next character along; a bare value ends at a space. */
const PAIR = /([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*|))(?: +|$)/y;

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits);
}
