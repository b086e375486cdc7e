/** What tests say and hear in IMAP over a bare connection. */
import type { WireClient } from './wire-client.js';

let tags = 0;

/** A command with a tag of its own, which goes before it, and all up to its response. */
export async function told(client: WireClient, command: string): Promise<string> {
  const tag = `t${++tags}`;
  client.say(`${tag} ${command}\r\n`);
  const before = await client.until(`${tag} `);
  return before + (await client.until('\r\n'));
}

/** The literals in what a server said, in their order. */
export function literalsOf(said: string): string[] {
  const found: string[] = [];
  for (let at = 0; ; ) {
    const mark = /\{(\d+)\}\r\n/.exec(said.slice(at, at + 4096)) ?? /\{(\d+)\}\r\n/.exec(said.slice(at));
    if (mark === null) return found;
    const start = at + mark.index + mark[0].length;
    at = start + Number(mark[1]);
    found.push(said.slice(start, at));
  }
}
