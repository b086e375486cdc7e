/** `config antivirus quarantine`: what is kept of what was infected. Sizes and times in bytes and milliseconds; 0: no bound (of ours there is one). */
import { MiB } from '../../core/limits.js';
import { accepted, choice, flags, integer, type OptionKind } from '../options.js';
import { singleSection } from '../section.js';

const SERVICES = [
  'imap',
  'smtp',
  'pop3',
  'http',
  'ftp',
  'nntp',
  'imaps',
  'smtps',
  'pop3s',
  'https',
  'ftps',
  'mapi',
  'cifs',
  'ssh',
] as const;

export const antivirusQuarantine = singleSection({
  /** Hours since a file came last. */
  agelimit: integer(0, 479, 0, 3_600_000),
  /** MB of one file. */
  maxfilesize: integer(0, 500, 0, MiB),
  /** MB in all. */
  'quarantine-quota': integer(0, 1_000_000_000, 0, MiB),
  /** Is anything kept at all? */
  destination: destination(),
  lowspace: choice(['drop-new', 'ovrw-old'], 'ovrw-old'),
  'store-infected': flags(SERVICES, SERVICES),
  'drop-infected': flags(SERVICES),
  'store-machine-learning': accepted,
  'drop-machine-learning': accepted,
  'store-heuristic': accepted,
  'drop-heuristic': accepted,
  'store-blocked': accepted,
  'drop-blocked': accepted,
  'store-intercepted': accepted,
  'drop-intercepted': accepted,
});

/** true: in the state directory. */
function destination(): OptionKind<boolean> {
  const words = choice(['NULL', 'disk', 'FortiAnalyzer'], 'disk');
  return {
    unset: true,
    unsetText: 'disk',
    allowed: words.allowed,
    many: false,
    read: (given, reader) => {
      const word = words.read(given, reader);
      const [first] = given;
      if (word === 'FortiAnalyzer' && first !== undefined)
        reader.warning(first, 'inspectd has no FortiAnalyzer: infected files are kept on disk');
      return word === undefined ? undefined : word !== 'NULL';
    },
  };
}
