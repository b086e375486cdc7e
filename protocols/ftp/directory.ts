/** Where a client stands and what it names, as far as its commands and the server's replies tell. */

/** A file as rows show it: the leaf, and the directory (undefined where nobody knows). */
export interface Location {
  readonly name: string;
  readonly path: string | undefined;
}

export class WorkingDirectory {
  #at: string | undefined;

  /** The server said so. */
  set(path: string | undefined): void {
    this.#at = path === undefined ? undefined : normalised(path);
  }

  /** CWD was accepted. */
  enter(path: string): void {
    const absolute = this.#resolve(path);
    this.#at = absolute === undefined ? undefined : normalised(absolute);
  }

  locate(path: string): Location {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (slash < 0) return { name, path: this.#at };
    const directory = this.#resolve(path.slice(0, Math.max(slash, 1)));
    return { name, path: directory === undefined ? path.slice(0, slash) : normalised(directory) };
  }

  #resolve(path: string): string | undefined {
    if (path.startsWith('/')) return path;
    return this.#at === undefined ? undefined : `${this.#at}/${path}`;
  }
}

function normalised(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
