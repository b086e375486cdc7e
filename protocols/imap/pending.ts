/** The commands that are under way: those without their tagged response, in the order in which they came. */
import type { Command } from './commands.js';
import { type Section, sliceKey, slicesAsked } from './sections.js';

/** A command without its tagged response. */
export interface Pending extends Command {
  /** How much is asked for of slices. */
  readonly slices: ReadonlyMap<string, number>;
  /** SELECT: the mailbox was entered. */
  entered: boolean;
}

const NO_SLICES: ReadonlyMap<string, number> = new Map();

export class PendingCommands {
  readonly #commands = new Map<string, Pending>();

  get size(): number {
    return this.#commands.size;
  }

  /** The one that came last. */
  get last(): Pending | undefined {
    return [...this.#commands.values()].at(-1);
  }

  /** `text`: all of the command; of its beginning alone, nothing is known of slices. */
  add(command: Command, text?: string): void {
    const fetches = text !== undefined && (command.verb === 'FETCH' || command.verb === 'UID');
    this.#commands.set(command.tag, { ...command, slices: fetches ? slicesAsked(text) : NO_SLICES, entered: false });
  }

  /** It is answered. */
  take(tag: string): Pending | undefined {
    const pending = this.#commands.get(tag);
    this.#commands.delete(tag);
    return pending;
  }

  clear(): void {
    this.#commands.clear();
  }

  /** One of these verbs is under way. */
  under(...verbs: readonly string[]): boolean {
    for (const { verb } of this.#commands.values()) if (verbs.includes(verb)) return true;
    return false;
  }

  /** The SELECT or EXAMINE that is answered next. */
  get selecting(): Pending | undefined {
    for (const pending of this.#commands.values())
      if (pending.verb === 'SELECT' || pending.verb === 'EXAMINE') return pending;
    return undefined;
  }

  /** How many bytes are asked for of a slice: the least, where several commands do. */
  asked({ name, origin }: Section): number | undefined {
    let least: number | undefined;
    for (const { slices } of this.#commands.values()) {
      const count = slices.size === 0 ? undefined : slices.get(sliceKey(name, origin ?? 0));
      if (count !== undefined) least = Math.min(count, least ?? count);
    }
    return least;
  }
}
