/** What takes apart the formats that are not read in process. */
import type { Content } from '../../core/file.js';
import type { Unpacking } from './unpacking.js';

export interface SevenZip {
  /** Members whose names `wanted` refuses are not given out. */
  unpack(
    content: Content,
    unpacking: Unpacking,
    format: string | undefined,
    wanted?: (name: string) => boolean,
  ): Promise<void>;
}
