/** One way of writing a file as text. Each has a file of its own here; encoded-text.ts asks them all. */
import type { Unpacking } from '../unpacking.js';
import type { Text } from './text.js';

export interface TextFormat {
  /** Where a file of this format may begin next, from `from` on; -1 when nowhere. Cheap: prose is full of near misses. */
  find(text: Text, from: number): number;
  /** Takes out what begins at `at`, a place that `find` gave, or finds that it is none. Where to go on: not before what it took. */
  read(text: Text, at: number, unpacking: Unpacking): number;
}
