/**
 * Reads a message that two readers could read differently in every way that is known (sweep.ts), in a child that can be killed. Each reading
 * becomes a file of the message: most are noise, and noise is clean.
 */
import type { Container, Content } from '../../../core/file.js';
import type { Limits } from '../../../core/limits.js';
import { type ArchiveLimits, Unpacking } from '../../archive/unpacking.js';
import { ChildPool, type ChildPoolOptions } from '../../child/child-pool.js';
import type { MessageReader } from '../../node.js';
import type { Outcome, Task } from './readings-child.js';

const DEFAULTS: Omit<ChildPoolOptions, 'input'> = { children: 2, memory: 1_500_000 };

export interface ReadingsOptions {
  readonly limits: ArchiveLimits & Pick<Limits, 'readingBytes' | 'readingKept' | 'readingRegions'>;
  readonly pool?: Partial<ChildPoolOptions>;
}

export class Readings implements MessageReader {
  readonly name = 'readings';
  readonly #limits: ReadingsOptions['limits'];
  readonly #pool: ChildPool;

  constructor({ limits, pool }: ReadingsOptions) {
    this.#limits = limits;
    this.#pool = new ChildPool('the readings', new URL('./readings-child.js', import.meta.url), {
      ...DEFAULTS,
      input: limits.readingBytes,
      ...pool,
    });
  }

  get most(): number {
    return this.#limits.readingBytes;
  }

  get kept(): number {
    return this.#limits.readingKept;
  }

  /** True when every reading was made and is among the container's files; else a finding says why not. Never rejects. */
  async read(content: Content, container: Container): Promise<boolean> {
    const unpacking = new Unpacking(container, content.length, this.#limits);
    if (!unpacking.mayBegin()) return false;
    const task: Task = { regions: this.#limits.readingRegions };
    const outcome = await this.#pool.run(content, unpacking, task, (frame) => frame);
    if (outcome === undefined || unpacking.stopped) return false;
    const { end } = outcome as Outcome;
    if (end !== 'complete') unpacking.stop('limit', `more ${end} than are read in every way`);
    return end === 'complete';
  }

  /** Ends every child at once. */
  close(): void {
    this.#pool.close();
  }
}
