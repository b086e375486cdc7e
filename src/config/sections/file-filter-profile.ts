/** `config file-filter profile`. */
import { FILTER_PROTOCOLS, type FileFilterProfile } from '../../policy/profiles.js';
import { accepted, choice, flags, text, toggle, unsupported } from '../options.js';
import { type Entry, nameKey, tableSection } from '../section.js';

/** FortiOS's file types by name, of 6.4 to 7.6. */
// biome-ignore format: a list is easier to check in lines.
export const FILE_TYPES = [
  '.net', '7z', 'activemime', 'arj', 'aspack', 'avi', 'base64', 'bat', 'bin', 'binhex', 'bmp', 'bzip', 'bzip2', 'c/cpp', 'cab',
  'chm', 'class', 'cod', 'crx', 'dll', 'dmg', 'elf', 'exe', 'flac', 'fsg', 'genscript', 'gif', 'gzip', 'hibun', 'hlp', 'hta',
  'html', 'hwp', 'iso', 'jad', 'javascript', 'jnlp', 'jpeg', 'lzh', 'lzip', 'mach-o', 'mime', 'mov', 'mp3', 'mpeg', 'msi',
  'msoffice', 'msofficex', 'pdf', 'petite', 'pfile', 'png', 'python', 'rar', 'registry', 'rm', 'rpm', 'shellscript', 'sis',
  'sylk', 'tar', 'tiff', 'torrent', 'unknown', 'upx', 'uue', 'wasm', 'wav', 'wma', 'xar', 'xz', 'zip',
] as const;

const rules = tableSection(
  {
    comment: text(255),
    protocol: flags([...FILTER_PROTOCOLS, 'websocket'], FILTER_PROTOCOLS),
    action: choice(['log-only', 'block'], 'log-only'),
    direction: choice(['incoming', 'outgoing', 'any'], 'any'),
    'password-protected': choice(['yes', 'any'], 'any'),
    'file-type': flags(FILE_TYPES),
    encryption: accepted,
  },
  { key: nameKey(35) },
);

export const fileFilterProfile = tableSection(
  {
    comment: text(255),
    'feature-set': choice(['flow', 'proxy'], 'flow'),
    'replacemsg-group': unsupported('replacement message groups'),
    log: toggle(true),
    'extended-log': accepted,
    'scan-archive-contents': toggle(true),
  },
  { nested: { rules }, key: nameKey(47) },
);

export function toFileFilterProfile(entry: Entry<typeof fileFilterProfile>): FileFilterProfile {
  return {
    name: entry.key,
    log: entry.log,
    scanArchiveContents: entry.scanArchiveContents,
    rules: [...entry.rules.values()].map((rule) => ({
      name: rule.key,
      protocols: new Set(FILTER_PROTOCOLS.filter((key) => rule.protocol.has(key))),
      action: rule.action,
      direction: rule.direction,
      passwordProtected: rule.passwordProtected === 'yes',
      fileTypes: rule.fileType,
    })),
  };
}
