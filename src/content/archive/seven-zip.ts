/**
 * 7-Zip for the formats that are not read in process, in children that can be killed.
 *
 * Only an exit code of 0 is trusted. Anything else names the container, and what came out is inspected all the same.
 */
import type { Content, Unpacker } from '../../core/file.js';
import { ChildPool, type ChildPoolOptions } from '../child/child-pool.js';
import { isEncrypted7z, isEncryptedRar } from '../types/encrypted.js';
import { otherFormat } from './other-formats.js';
import type { Outcome, Task } from './seven-zip-child.js';
import { type ArchiveLimits, Unpacking } from './unpacking.js';

/** Types that 7-Zip takes apart, and its name for them; undefined where it is to look itself. */
const FORMATS: ReadonlyMap<string, string | undefined> = new Map([
  ['7z', '7z'],
  ['xz', 'xz'],
  ['bzip2', 'bzip2'],
  ['rar', undefined],
  ['cab', 'cab'],
  ['arj', 'arj'],
  ['lzh', 'lzh'],
  ['iso', undefined],
  ['rpm', 'rpm'],
  ['xar', 'xar'],
  ['dmg', 'dmg'],
  ['chm', undefined],
  ['msi', undefined],
]);
/** One stream without a name: the child gets none either. */
const STREAMS = new Set<string | undefined>(['xz', 'bzip2', 'zstd', 'Z']);

export const SEVEN_ZIP_DEFAULTS: ChildPoolOptions = { children: 2, memory: 800_000, input: 256 * 1024 * 1024 };

export class SevenZip {
  readonly #pool: ChildPool;

  constructor(options: ChildPoolOptions) {
    this.#pool = new ChildPool('7-Zip', new URL('./seven-zip-child.js', import.meta.url), options);
  }

  /** Ends every child at once. Jobs under way end as `engine-error`. */
  close(): void {
    this.#pool.close();
  }

  /** Child processes that there are. */
  get size(): number {
    return this.#pool.size;
  }

  /** `format`: 7-Zip's name, or undefined. Members whose names `wanted` refuses are not given out. Never rejects. */
  async unpack(
    content: Content,
    unpacking: Unpacking,
    format: string | undefined,
    wanted: (name: string) => boolean = () => true,
  ): Promise<void> {
    const task: Task = { format };
    const outcome = await this.#pool.run(content, unpacking, task, ({ name = '' }) =>
      wanted(name) ? { name: STREAMS.has(format) ? undefined : name } : undefined,
    );
    if (outcome !== undefined) conclude(outcome as Outcome, content, unpacking);
  }
}

/** The formats by their types or their first bytes. */
export function sevenZipUnpacker(limits: ArchiveLimits, sevenZip: SevenZip): Unpacker {
  const formatOf = (
    types: readonly string[],
    content: Content,
  ): { readonly format: string | undefined } | undefined => {
    const type = types.find((one) => FORMATS.has(one));
    if (type !== undefined) return { format: FORMATS.get(type) };
    const format = otherFormat(content.read(0, 8));
    return format === undefined ? undefined : { format };
  };
  const accepted = new WeakMap<Content, string | undefined>();
  return {
    name: '7-zip',
    accepts(types, content) {
      const found = formatOf(types, content);
      if (found !== undefined) accepted.set(content, found.format);
      return found !== undefined;
    },
    async unpack(content, container) {
      const format = accepted.get(content);
      const unpacking = new Unpacking(container, content.length, limits);
      if (unpacking.mayBegin()) await sevenZip.unpack(content, unpacking, format);
    },
  };
}

/** What 7-Zip's end means for the container. */
function conclude(outcome: Outcome, content: Content, unpacking: Unpacking): void {
  const { status, over, complaint } = outcome;
  // Where the headers themselves are locked, 7-Zip fails as with any damage.
  const encrypted = outcome.encrypted || (status !== 0 && isLocked(content));
  if (outcome.volumes) unpacking.unscannable('multipart', 'archive of several volumes');
  if (encrypted) unpacking.unscannable('encrypted', 'archive with encrypted members or headers');
  if (over === 'files') unpacking.stop('limit', 'more files than may be unpacked');
  else if (over === 'bytes') unpacking.overrun();
  else if (outcome.scattered) unpacking.unscannable('unhandled', 'a member that is not written in order');
  else if (status === 1) unpacking.malformed('archive-warnings');
  else if (status !== 0) {
    const detail = `7-Zip exit ${status}${complaint === '' ? '' : `: ${complaint}`}`;
    const damaged = /data error(?! in encrypted)|crc failed(?! in encrypted)|unexpected end/i.test(complaint);
    if (/unsupported/i.test(complaint) && !damaged) unpacking.unscannable('unhandled', detail);
    else if (!encrypted || (damaged && outcome.encrypted))
      unpacking.unscannable(outcome.members > 0 ? 'partiallycorrupted' : 'corrupted', detail);
  } else if (/data after the end/i.test(complaint)) unpacking.malformed('archive-trailing-data');
}

function isLocked(content: Content): boolean {
  // Kept while more is read.
  const head = Buffer.from(content.read(0, 32));
  if (head.toString('latin1', 0, 2) === '7z') return isEncrypted7z(content, head);
  return head.toString('latin1', 0, 4) === 'Rar!' && isEncryptedRar(content, head);
}
