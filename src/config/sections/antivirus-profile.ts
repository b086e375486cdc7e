/** `config antivirus profile`: FortiOS 7.x, and the older `set options scan|avmonitor` and `config smb` of 6.x. */
import { ARCHIVE_REASONS } from '../../core/file.js';
import {
  type AntivirusProfile,
  type AntivirusProtocol,
  forEachProtocol,
  type ProtocolKey,
  SCAN_ACTIONS,
} from '../../policy/profiles.js';
import {
  accepted,
  choice,
  flags,
  integer,
  type OptionKind,
  parsed,
  text,
  toggle,
  unsupported,
  withoutEffect,
} from '../options.js';
import { type Entry, nameKey, singleSection, tableSection } from '../section.js';

const scan = choice(SCAN_ACTIONS, 'disable');
/** `fileslimit` was an archive reason up to 7.0.1. */
const archive = flags([...ARCHIVE_REASONS, 'fileslimit']);

const protocol = {
  'av-scan': scan,
  options: flags(['scan', 'avmonitor', 'quarantine', 'avquery']),
  'archive-block': archive,
  'archive-log': archive,
  quarantine: toggle(false),
  emulator: withoutEffect(toggle(true), 'emulator'),
  'outbreak-prevention': withoutEffect(scan, 'outbreak prevention'),
  'external-blocklist': withoutEffect(scan, 'external blocklist'),
  fortindr: withoutEffect(scan, 'FortiNDR'),
  fortiai: withoutEffect(scan, 'FortiNDR'),
  fortisandbox: withoutEffect(scan, 'FortiSandbox'),
  'malware-stream': withoutEffect(scan, 'malware stream'),
};
const contentDisarm = { 'content-disarm': withoutEffect(toggle(false), 'content disarm') };
const executables = { executables: choice(['default', 'virus'], 'default') };

const plain = singleSection(protocol);
const mail = singleSection({ ...protocol, ...executables });
const mailWithDisarm = singleSection({ ...protocol, ...executables, ...contentDisarm });
const errorAction = withoutEffect(choice(['log-only', 'block', 'ignore'], 'log-only'), 'FortiSandbox');

export const antivirusProfile = tableSection(
  {
    comment: text(255),
    'replacemsg-group': unsupported('replacement message groups'),
    'feature-set': choice(['flow', 'proxy'], 'flow'),
    // Two ways of FortiOS's to reach the same verdict.
    'scan-mode': choice(['default', 'legacy'], 'default'),
    'fortisandbox-mode': accepted,
    'fortisandbox-max-upload': accepted,
    'fortisandbox-scan-timeout': withoutEffect(integer(30, 180, 60), 'FortiSandbox'),
    'fortisandbox-error-action': errorAction,
    'fortisandbox-timeout-action': errorAction,
    'fortindr-error-action': errorAction,
    'fortindr-timeout-action': errorAction,
    'analytics-max-upload': accepted,
    'analytics-ignore-filetype': accepted,
    'analytics-accept-filetype': accepted,
    'analytics-db': withoutEffect(toggle(false), 'FortiSandbox'),
    'mobile-malware-db': accepted,
    'outbreak-prevention-archive-scan': accepted,
    'external-blocklist-archive-scan': accepted,
    'external-blocklist-enable-all': withoutEffect(toggle(false), 'external blocklist'),
    'external-blocklist': unsupported('external blocklist'),
    'ems-threat-feed': withoutEffect(toggle(false), 'EMS threat feed'),
    'av-virus-log': accepted,
    'av-block-log': accepted,
    'extended-log': accepted,
    'inspection-mode': accepted,
  },
  {
    nested: {
      http: singleSection({ ...protocol, ...contentDisarm, 'unknown-content-encoding': accepted }),
      ftp: plain,
      imap: mailWithDisarm,
      pop3: mailWithDisarm,
      smtp: mailWithDisarm,
      mapi: mail,
      nntp: plain,
      cifs: plain,
      smb: plain,
      ssh: plain,
      /** Whoever sends or fetches what is infected is banned. */
      'nac-quar': singleSection({
        infected: choice(['none', 'quar-src-ip'], 'none'),
        expiry: banTime(),
        log: accepted,
      }),
    },
    skipped: ['content-disarm', 'outbreak-prevention'],
    key: nameKey(47),
  },
);

export function toAntivirusProfile(entry: Entry<typeof antivirusProfile>): AntivirusProfile {
  return {
    name: entry.key,
    protocols: forEachProtocol((key): AntivirusProtocol => {
      // `smb` was the name of `cifs` in 6.0.
      const section = key === 'cifs' && entry.cifs.given.size === 0 ? entry.smb : entry[key];
      const { options } = section;
      return {
        avScan: section.given.has('av-scan')
          ? section.avScan
          : options.has('avmonitor')
            ? 'monitor'
            : options.has('scan')
              ? 'block'
              : 'disable',
        archiveBlock: known(section.archiveBlock),
        archiveLog: known(section.archiveLog),
        executables: treatsExecutables(key) ? entry[key].executables : 'default',
        quarantine: section.quarantine || options.has('quarantine'),
      };
    }),
  };
}

function treatsExecutables(key: ProtocolKey): key is 'imap' | 'pop3' | 'smtp' | 'mapi' {
  return key === 'imap' || key === 'pop3' || key === 'smtp' || key === 'mapi';
}

function known(given: ReadonlySet<string>): ReadonlySet<(typeof ARCHIVE_REASONS)[number]> {
  return new Set(ARCHIVE_REASONS.filter((reason) => given.has(reason)));
}

/** `###d##h##m`, or for ever: seconds, 0 for ever. */
function banTime(): OptionKind<number | undefined> {
  const time = parsed('days, hours and minutes such as 1d2h30m, or indefinite', (word) => {
    if (word === 'indefinite') return 0;
    const found = /^(?:(\d{1,3})d)?(?:(\d{1,2})h)?(?:(\d{1,2})m)?$/.exec(word);
    const [days, hours, minutes] = [1, 2, 3].map((at) => Number(found?.[at] ?? 0));
    const seconds = (((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60;
    return seconds > 0 ? seconds : undefined;
  });
  return { ...time, unset: 300, unsetText: '5m' };
}
