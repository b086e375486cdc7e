/** Where a clamd listens: `HOST:PORT`, `[IPV6]:PORT`, or the path of a Unix socket. */
export type ClamdAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** Undefined when it is none of these. */
export function parseClamdAddress(text: string): ClamdAddress | undefined {
  if (text.startsWith('/') || text.startsWith('./')) return { path: text };
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:\s[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

/** For messages. */
export function clamdAddressText(address: ClamdAddress): string {
  if ('path' in address) return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
