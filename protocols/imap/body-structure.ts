/**
 * BODYSTRUCTURE (RFC 9051 §7.5.2): which part has which header. A part that is fetched without its header is read with the one that is made
 * here, so that its name and encoding are found as in a whole message. ENVELOPE gives the lines that logs show of it.
 */
import { type Datum, itemsOf, textOf } from './syntax.js';

/** By section (`1`, `2.1`; the empty one is the message): the header lines that a reader needs, each with its line end. */
export type Headers = ReadonlyMap<string, string>;

const MOST_PARTS = 1_000;

/** The headers of all parts that a BODYSTRUCTURE or BODY tells of. */
export function partHeaders(structure: Datum): Headers {
  const headers = new Map<string, string>();
  read(structure, '', headers);
  return headers;
}

function read(part: Datum, section: string, headers: Map<string, string>): void {
  const items = itemsOf(part);
  if (headers.size >= MOST_PARTS || items.length === 0) return;
  if (items[0]?.kind === 'list') {
    const count = items.findIndex((item) => item.kind !== 'list');
    const children = count < 0 ? items : items.slice(0, count);
    const subtype = textOf(items[children.length]) ?? 'mixed';
    headers.set(section, contentType(`multipart/${subtype}`, items[children.length + 1]));
    for (const [index, child] of children.entries()) read(child, joined(section, index + 1), headers);
    return;
  }
  // A message that is no multipart is its own part 1.
  const own = section === '' ? '1' : section;
  const [type, subtype, parameters, , , encoding] = items;
  const media = `${textOf(type) ?? 'text'}/${textOf(subtype) ?? 'plain'}`.toLowerCase();
  let lines = contentType(media, parameters);
  const transfer = textOf(encoding);
  if (transfer !== undefined) lines += line('Content-Transfer-Encoding', transfer);
  // message/rfc822 has an envelope, a structure and lines in front of the extension data, text has lines.
  const extension = media === 'message/rfc822' ? 10 : media.startsWith('text/') ? 8 : 7;
  lines += disposition(items[extension + 1]);
  headers.set(own, lines);
  if (section === '') headers.set('', lines);
  if (media !== 'message/rfc822') return;
  const [inner] = items.slice(8, 9);
  if (inner === undefined) return;
  const nested = new Map<string, string>();
  read(inner, '', nested);
  for (const [name, text] of nested) headers.set(name === '' ? `${own}.TEXT` : `${own}.${name}`, text);
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
