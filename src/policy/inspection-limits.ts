/** What the content pipeline must know of a session's profiles before the first byte of a file. */
import type { ProtocolKey, ProtocolOptionsProfile } from './profiles.js';

export interface InspectionLimits {
  /** A file of more bytes than this is `oversize`: not scanned. `Infinity` without a limit. */
  readonly oversize: number;
  /** An archive member of more bytes than this is `uncompressed-oversize`. */
  readonly uncompressedOversize: number;
  /** Archives within archives deeper than this are `nested`. */
  readonly nesting: number;
  /** Open bzip2; without it such a file is scanned as it is and `unhandled`. */
  readonly scanBzip2: boolean;
}

/** `key` undefined: a file that no protocol carried; the profile's HTTP options, FortiOS's for plain files, apply. */
export function inspectionLimits(profile: ProtocolOptionsProfile, key: ProtocolKey | undefined): InspectionLimits {
  const options = profile.protocols[key ?? 'http'];
  return {
    oversize: options.oversizeLimit,
    uncompressedOversize: options.uncompressedOversizeLimit,
    nesting: options.uncompressedNestLimit,
    scanBzip2: options.scanBzip2,
  };
}
