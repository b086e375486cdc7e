/**
 * Where a data connection is to go, as commands and replies write it: PORT and 227 (RFC 959), EPRT and 229 (RFC 2428), LPRT and 228 (RFC 1639).
 * Strict: what two readers could read as two places is no place.
 */

/** A place; `address` is undefined where it is that of the control connection (229). */
export interface Place {
  readonly address: string | undefined;
  readonly port: number;
}

/** Six numbers, as PORT has them: `10,0,0,1,4,1`. */
export function parseHostPort(text: string): Place | undefined {
  const match = /^(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})$/.exec(text);
  const numbers = match?.slice(1).map(Number);
  if (numbers === undefined || numbers.some((number) => number > 255)) return undefined;
  const [a, b, c, d, high = 0, low = 0] = numbers;
  const port = high * 256 + low;
  return port === 0 ? undefined : { address: `${a}.${b}.${c}.${d}`, port };
}

/** `|1|10.0.0.1|1025|`, `|2|fd00::1|1025|`: any printable delimiter (RFC 2428 §2). */
export function parseExtended(text: string): Place | undefined {
  const delimiter = text[0] ?? '';
  if (!/^[!-~]$/.test(delimiter) || /[0-9a-f:.]/i.test(delimiter)) return undefined;
  const [before, family, address = '', port, after, ...more] = text.split(delimiter);
  if (before !== '' || after !== '' || more.length > 0) return undefined;
  const number = portOf(port);
  if (number === undefined) return undefined;
  if (
    family === '1' &&
    /^\d{1,3}(?:\.\d{1,3}){3}$/.test(address) &&
    address.split('.').every((part) => Number(part) <= 255)
  )
    return { address: address.split('.').map(Number).join('.'), port: number };
  if (family !== '2' || !address.includes(':')) return undefined;
  const canonical = canonicalIpv6(address);
  return canonical === undefined ? undefined : { address: canonical, port: number };
}

/** `6,16,…,2,4,1` (RFC 1639): family, length of the address, its bytes, length of the port, its bytes. */
export function parseLong(text: string): Place | undefined {
  if (!/^\d{1,3}(?:,\d{1,3})*$/.test(text)) return undefined;
  const numbers = text.split(',').map(Number);
  const [family, length = 0] = numbers;
  const host = numbers.slice(2, 2 + length);
  const [portLength, high = 0, low = 0, ...more] = numbers.slice(2 + length);
  if (numbers.some((number) => number > 255) || portLength !== 2 || more.length > 0 || host.length !== length)
    return undefined;
  const port = high * 256 + low;
  if (port === 0) return undefined;
  if (family === 4 && length === 4) return { address: host.join('.'), port };
  if (family !== 6 || length !== 16) return undefined;
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((host[i] ?? 0) * 256 + (host[i + 1] ?? 0)).toString(16));
  const canonical = canonicalIpv6(groups.join(':'));
  return canonical === undefined ? undefined : { address: canonical, port };
}

/** The place in a reply to PASV, EPSV or LPSV. Servers write 227 with and without brackets, and with any text around. */
export function placeInReply(code: number, text: string): Place | undefined {
  switch (code) {
    case 227: {
      const found = /(?<![\d,])(\d{1,3}(?:,\d{1,3}){5})(?![\d,])/.exec(text);
      return found === null ? undefined : parseHostPort(found[1] ?? '');
    }
    case 228: {
      const found = /\(?(?<![\d,])(\d{1,3}(?:,\d{1,3}){8,20})(?![\d,])/.exec(text);
      return found === null ? undefined : parseLong(found[1] ?? '');
    }
    case 229: {
      const found = /\(([!-~])\1\1(\d{1,5})\1\)/.exec(text);
      const port = portOf(found?.[2]);
      return port === undefined ? undefined : { address: undefined, port };
    }
    default:
      return undefined;
  }
}

function portOf(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0;
  return port > 0 && port <= 65_535 ? port : undefined;
}

/** As RFC 5952 writes it, so that it compares equal to the address of a packet. */
function canonicalIpv6(text: string): string | undefined {
  const [head, tail, ...more] = text.toLowerCase().split('::');
  if (more.length > 0) return undefined;
  const front = groupsOf(head ?? '');
  const back = tail === undefined ? [] : groupsOf(tail);
  if (front === undefined || back === undefined) return undefined;
  const missing = 8 - front.length - back.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...front, ...new Array<number>(missing).fill(0), ...back];
  let best = 0;
  let longest = 1;
  for (let start = 0; start < 8; ) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > longest) {
      best = start;
      longest = end - start;
    }
    start = end + 1;
  }
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return longest === 1 ? hex(0, 8) : `${hex(0, best)}::${hex(best + longest, 8)}`;
}

function groupsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  for (const part of text.split(':')) {
    const dotted = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(part);
    if (dotted !== null) {
      const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number);
      groups.push(a * 256 + b, c * 256 + d);
    } else if (/^[0-9a-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
