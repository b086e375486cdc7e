/** Everything that takes finished containers apart, in the order in which it is asked. A file of several types is given to all that accept it. */
import type { Unpacker } from '../../core/file.js';
import { gzipUnpacker } from './gzip.js';
import { tarUnpacker } from './tar.js';
import type { ArchiveLimits } from './unpacking.js';
import { zipUnpacker } from './zip.js';

export interface Unpackers {
  readonly unpackers: readonly Unpacker[];
  /** Ends every child process. Unpacking that goes on there ends as `engine-error`. */
  close(): void;
}

export function createUnpackers(options: { readonly limits: ArchiveLimits }): Unpackers {
  const { limits } = options;
  return { unpackers: [gzipUnpacker(limits), zipUnpacker(limits), tarUnpacker(limits)], close() {} };
}
