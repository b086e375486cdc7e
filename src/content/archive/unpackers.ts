/** Everything that takes finished containers apart, in the order in which it is asked. A file of several types is given to all that accept it. */
import type { Container, Content, Unpacker } from '../../core/file.js';
import type { ChildPoolOptions } from '../child/child-pool.js';
import { cmsUnpacker } from './cms.js';
import { gzipUnpacker } from './gzip.js';
import { lz4Unpacker } from './lz4.js';
import { ole2Unpacker } from './ole2/ole2.js';
import { openPgpUnpacker } from './openpgp.js';
import { pdfUnpacker } from './pdf/pdf.js';
import { rtfUnpacker } from './rtf.js';
import { selfExtractingUnpacker } from './self-extracting.js';
import { SEVEN_ZIP_DEFAULTS, SevenZip, sevenZipUnpacker } from './seven-zip.js';
import { tarUnpacker } from './tar.js';
import { charsetUnpacker } from './text/charset.js';
import { encodedTextUnpacker } from './text/encoded-text.js';
import { unannouncedBase64Unpacker } from './text/unannounced-base64.js';
import { tnefUnpacker } from './tnef.js';
import { unopenedUnpacker } from './unopened.js';
import type { ArchiveLimits } from './unpacking.js';
import { zipUnpacker } from './zip.js';

export interface Unpackers {
  readonly unpackers: readonly Unpacker[];
  /** Ends every child process. Unpacking that goes on there ends as `engine-error`. */
  close(): void;
}

export interface UnpackerOptions {
  readonly limits: ArchiveLimits;
  readonly sevenZip?: Partial<ChildPoolOptions>;
}

export function createUnpackers(options: UnpackerOptions): Unpackers {
  const { limits } = options;
  const sevenZip = new SevenZip({ ...SEVEN_ZIP_DEFAULTS, ...options.sevenZip });
  const unpackers = [
    gzipUnpacker(limits),
    zipUnpacker(limits, sevenZip),
    tarUnpacker(limits),
    sevenZipUnpacker(limits, sevenZip),
    selfExtractingUnpacker(limits, sevenZip),
    lz4Unpacker(limits),
    unopenedUnpacker(limits),
    ole2Unpacker(limits),
    pdfUnpacker(limits),
    rtfUnpacker(limits),
    tnefUnpacker(limits),
    cmsUnpacker(limits),
    openPgpUnpacker(limits),
    charsetUnpacker(limits),
    encodedTextUnpacker(limits),
    unannouncedBase64Unpacker(limits),
  ];
  return { unpackers: [eachThatAccepts(unpackers)], close: () => sevenZip.close() };
}

/** A polyglot is taken apart in every way in which somebody could. */
function eachThatAccepts(unpackers: readonly Unpacker[]): Unpacker {
  const accepted = new WeakMap<Content, readonly Unpacker[]>();
  return {
    name: 'archive',
    accepts(types, content, meta) {
      const accepting = unpackers.filter((unpacker) => unpacker.accepts(types, content, meta));
      if (accepting.length > 0) accepted.set(content, accepting);
      return accepting.length > 0;
    },
    unpack(content: Content, container: Container): void | Promise<void> {
      return inTurn(accepted.get(content) ?? [], 0, content, container);
    },
  };
}

/** Synchronous as long as every unpacker is. */
function inTurn(
  unpackers: readonly Unpacker[],
  from: number,
  content: Content,
  container: Container,
): void | Promise<void> {
  for (let i = from; i < unpackers.length; i++) {
    const working = unpackers[i]!.unpack(content, container);
    if (working instanceof Promise) return working.then(() => inTurn(unpackers, i + 1, content, container));
  }
  return undefined;
}
