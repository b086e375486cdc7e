/** FETCH and UID FETCH as an IMAP server answers them (RFC 9051 §7.5.2), for messages that are multipart, one level deep. */

/** Untagged responses to `command`. Numbers count from 1, UIDs from 101. */
export function fetched(command: string, messages: readonly string[]): string {
  const [, byUid, set = '', items = ''] = /^\S+ (UID )?FETCH (\S+) (.*)$/i.exec(command) ?? [];
  const shift = byUid === undefined ? 0 : 100;
  const lines = numbers(set, messages.length + shift).map((number) => {
    const message = messages[number - shift - 1];
    if (message === undefined) return '';
    const values = [...items.matchAll(ITEM)].map((item) => itemValue(item, number - shift, message));
    // A server tells the UID of what was asked for by UID.
    if (byUid !== undefined && !/\bUID\b/i.test(items)) values.unshift(`UID ${number}`);
    return `* ${number - shift} FETCH (${values.join(' ')})\r\n`;
  });
  return lines.join('');
}

const ITEM =
  /(BODYSTRUCTURE|UID|FLAGS|RFC822\.SIZE)|(BINARY\.SIZE)\[([^\]]*)\]|(BODY|BINARY)(?:\.PEEK)?\[([^\]]*)\](?:<(\d+)\.(\d+)>)?|RFC822(\.HEADER|\.TEXT)?/gi;

function itemValue(item: RegExpMatchArray, number: number, message: string): string {
  const [all, plain, size, sized = '', word, section = '', origin, count] = item;
  switch (plain?.toUpperCase()) {
    case 'BODYSTRUCTURE':
      return `BODYSTRUCTURE ${structureOf(message)}`;
    case 'UID':
      return `UID ${number + 100}`;
    case 'FLAGS':
      return 'FLAGS (\\Seen)';
    case 'RFC822.SIZE':
      return `RFC822.SIZE ${message.length}`;
    default:
  }
  if (size !== undefined) return `BINARY.SIZE[${sized}] ${decoded(message, sized).length}`;
  if (word === undefined) return `${all} ${literal(sectionOf(message, all.slice(7).toUpperCase()))}`;
  const binary = word.toUpperCase() === 'BINARY';
  const whole = binary ? decoded(message, section) : sectionOf(message, section.toUpperCase());
  const from = Number(origin ?? 0);
  const part = origin === undefined ? whole : whole.slice(from, from + Number(count));
  const place = origin === undefined ? '' : `<${origin}>`;
  return `${word}[${section}]${place} ${binary ? '~' : ''}${literal(part)}`;
}

/** `BODY[section]` of a message. */
export function sectionOf(message: string, section: string): string {
  const [head, body] = halves(message);
  if (section === '') return message;
  if (section === 'TEXT') return body;
  if (section.startsWith('HEADER')) return head;
  const [, number = '', mime] = /^(\d+)(\.MIME)?$/.exec(section) ?? [];
  const part = partsOf(message)[Number(number) - 1];
  return part === undefined ? '' : halves(part)[mime === undefined ? 1 : 0];
}

function literal(bytes: string): string {
  return `{${bytes.length}}\r\n${bytes}`;
}

function decoded(message: string, section: string): string {
  const body = sectionOf(message, section);
  const base64 = /transfer-encoding: base64/i.test(sectionOf(message, `${section}.MIME`));
  return base64 ? Buffer.from(body, 'base64').toString('latin1') : body;
}

function structureOf(message: string): string {
  const parts = partsOf(message).map((part) => {
    const [head, body] = halves(part);
    const [, type = 'text', subtype = 'plain'] = /content-type: ([\w-]+)\/([\w-]+)/i.exec(head) ?? [];
    const [, name = 'x'] = /name="?([^"\r\n]+)/i.exec(head) ?? [];
    const [, encoding = '7bit'] = /transfer-encoding: ([\w-]+)/i.exec(head) ?? [];
    const lines = type.toLowerCase() === 'text' ? ` ${body.split('\n').length - 1}` : '';
    return `("${type}" "${subtype}" ("name" "${name}") NIL NIL "${encoding}" ${body.length}${lines})`;
  });
  const boundary = boundaryOf(message);
  return boundary === undefined ? parts.join('') : `(${parts.join('')} "mixed" ("boundary" "${boundary}") NIL NIL)`;
}

/** Header with its empty line, and what follows. */
function halves(text: string): [head: string, body: string] {
  const end = text.startsWith('\r\n') ? 2 : text.indexOf('\r\n\r\n') + 4;
  return [text.slice(0, end), text.slice(end)];
}

function partsOf(message: string): string[] {
  const boundary = boundaryOf(message);
  // The line end in front of a delimiter belongs to it.
  return boundary === undefined
    ? [message]
    : message
        .split(`\r\n--${boundary}`)
        .slice(1, -1)
        .map((each) => each.slice(2));
}

function boundaryOf(message: string): string | undefined {
  return /^content-type: multipart\/.*boundary="?([^"\r\n]+)/im.exec(halves(message)[0])?.[1];
}

function numbers(set: string, last: number): number[] {
  return set.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split(':').map((each) => (each === '*' ? last : Number(each)));
    return Array.from({ length: Math.max(0, Math.min(to, last) - from + 1) }, (_, at) => from + at);
  });
}
