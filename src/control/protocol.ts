/**
 * Between `inspectd diagnose` and the daemon: a Unix domain socket, lines of JSON. The client says the words of one command; the daemon
 * answers with text, then with how it ended.
 */
export interface Request {
  readonly words: readonly string[];
}

export type Reply = { readonly text: string } | { readonly end: 'done' | 'error'; readonly error?: string };

/** Characters of a request; more is none of ours. */
export const REQUEST_CHARACTERS = 65_536;

export function parseRequest(line: string): Request | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('words' in value) || !Array.isArray(value.words))
    return undefined;
  const words: readonly unknown[] = value.words;
  return words.every((word) => typeof word === 'string') ? { words } : undefined;
}

export function parseReply(line: string): Reply | undefined {
  try {
    return JSON.parse(line) as Reply;
  } catch {
    return undefined;
  }
}
