/**
 * BODYSTRUCTURE (RFC 9051 §7.5.2): which part has which header. A part that is fetched without its header is read with the one that is made
 * here, so that its name and encoding are found as in a whole message. ENVELOPE gives the lines that logs show of it.
 */
import { type Datum, itemsOf, textOf } from './syntax.js';

/** What is told of a part. */
export interface PartFacts {
  /** The header lines that a reader of it needs, each with its line end. */
  readonly lines: string;
  /** In bytes, as it is encoded. */
  readonly size: number | undefined;
  /** It was told in two ways how it is encoded: readers may take either. */
  readonly contradicted?: boolean;
}

/** By section: `1`, `2.1`, `2.TEXT` of an attached message; the empty one is the message. */
export type Parts = ReadonlyMap<string, PartFacts>;

/** Of one message; the others are read without a header. */
export const MOST_PARTS = 1_000;

/** All parts that a BODYSTRUCTURE or BODY tells of. */
export function partsOf(structure: Datum): Parts {
  const parts = new Map<string, PartFacts>();
  read(structure, '', parts);
  return parts;
}

function read(part: Datum, section: string, parts: Map<string, PartFacts>): void {
  const items = itemsOf(part);
  if (parts.size >= MOST_PARTS || items.length === 0) return;
  if (items[0]?.kind === 'list') {
    const count = items.findIndex((item) => item.kind !== 'list');
    const children = count < 0 ? items : items.slice(0, count);
    const subtype = textOf(items[children.length]) ?? 'mixed';
    parts.set(section, { lines: contentType(`multipart/${subtype}`, items[children.length + 1]), size: undefined });
    for (const [index, child] of children.entries()) read(child, joined(section, index + 1), parts);
    return;
  }
  // A message that is no multipart is its own part 1.
  const own = section === '' ? '1' : section;
  const [type, subtype, parameters, , , encoding, octets] = items;
  const media = `${textOf(type) ?? 'text'}/${textOf(subtype) ?? 'plain'}`.toLowerCase();
  let lines = contentType(media, parameters);
  // Not even NIL: the structure was cut, and how the part is encoded is not known.
  if (encoding === undefined) return;
  const transfer = textOf(encoding);
  if (transfer !== undefined) lines += line('Content-Transfer-Encoding', transfer);
  // A message has an envelope, a structure and lines in front of the extension data, text has lines.
  const message = media === 'message/rfc822' || media === 'message/global';
  const extension = message ? 10 : media.startsWith('text/') ? 8 : 7;
  lines += disposition(items[extension + 1]);
  const written = textOf(octets);
  const size = written !== undefined && /^\d{1,15}$/.test(written) ? Number(written) : undefined;
  parts.set(own, { lines, size });
  if (section === '') parts.set('', { lines, size });
  if (!message) return;
  const [inner] = items.slice(8, 9);
  if (inner === undefined) return;
  const nested = new Map<string, PartFacts>();
  read(inner, '', nested);
  for (const [name, facts] of nested) {
    if (parts.size >= MOST_PARTS) return;
    parts.set(name === '' ? `${own}.TEXT` : `${own}.${name}`, facts);
  }
}

function joined(section: string, number: number): string {
  return section === '' ? String(number) : `${section}.${number}`;
}

function contentType(media: string, parameters: Datum | undefined): string {
  return line('Content-Type', `${media}${parameterText(parameters)}`);
}

function disposition(datum: Datum | undefined): string {
  const [kind, parameters] = itemsOf(datum);
  const text = textOf(kind);
  return text === undefined ? '' : line('Content-Disposition', `${text}${parameterText(parameters)}`);
}

/** `; name="a.pdf"` of `("name" "a.pdf")`; those of RFC 2231 are not quoted. */
function parameterText(datum: Datum | undefined): string {
  const items = itemsOf(datum);
  let text = '';
  for (let i = 0; i + 1 < items.length; i += 2) {
    const name = textOf(items[i]);
    const value = textOf(items[i + 1]);
    if (name === undefined || value === undefined) continue;
    text += name.endsWith('*') ? `; ${name}=${value}` : `; ${name}="${value.replace(/["\\]/g, '\\$&')}"`;
  }
  return text;
}

/** The header lines of ENVELOPE that logs show: From, To, Cc, Subject. */
export function envelopeHeader(envelope: Datum): string {
  const [, subject, from, , , to, cc] = itemsOf(envelope);
  let lines = '';
  const text = textOf(subject);
  if (text !== undefined) lines += line('Subject', text);
  for (const [name, addresses] of [
    ['From', from],
    ['To', to],
    ['Cc', cc],
  ] as const) {
    const written = itemsOf(addresses)
      .map(addressText)
      .filter((each) => each !== '');
    if (written.length > 0) lines += line(name, written.slice(0, 100).join(', '));
  }
  return lines;
}

function addressText(datum: Datum): string {
  const [name, , mailbox, host] = itemsOf(datum).map(textOf);
  if (mailbox === undefined || host === undefined) return '';
  const address = `<${mailbox}@${host}>`;
  return name === undefined
    ? address
    : /^=\?/.test(name)
      ? `${name} ${address}`
      : `"${name.replace(/["\\]/g, '\\$&')}" ${address}`;
}

/** A header line of our own; a value that holds line ends would make others of it. */
function line(name: string, value: string): string {
  return `${name}: ${value.replace(/[\r\n]+/g, ' ')}\r\n`;
}
