/**
 * Reading a configuration: text in FortiOS's CLI syntax to one typed object. Sections that inspectd owns are checked option by option;
 * others are skipped with one warning each. Every error is collected, with its line, before anything is refused.
 *
 * `config global` and `config vdom / edit NAME` are looked through; policies of one VDOM only are used.
 */
import type { AntivirusProfile, FileFilterProfile, ProtocolOptionsProfile } from '../policy/profiles.js';
import { DEFAULT_PROTOCOL_OPTIONS_PROFILE } from '../policy/profiles.js';
import type { ReplacementMessages } from '../policy/replacement-messages.js';
import { predefinedSslProfile, type SslProfile } from '../policy/ssl-profile.js';
import { didYouMean, shown } from './did-you-mean.js';
import type { Reader } from './options.js';
import { PREDEFINED, PREDEFINED_SERVICES, predefinedAntivirus } from './predefined.js';
import { Problems } from './problems.js';
import { type ResultOf, readSection } from './section.js';
import { antivirusProfile, toAntivirusProfile } from './sections/antivirus-profile.js';
import { antivirusQuarantine } from './sections/antivirus-quarantine.js';
import { antivirusSettings } from './sections/antivirus-settings.js';
import {
  systemAutomationAction,
  systemAutomationStitch,
  systemAutomationTrigger,
  systemEmailServer,
} from './sections/automation.js';
import { endpointControlFctems, endpointControlForticlientEms } from './sections/endpoint-control.js';
import { fileFilterProfile, toFileFilterProfile } from './sections/file-filter-profile.js';
import { firewallAccessProxy } from './sections/firewall-access-proxy.js';
import {
  firewallAddress,
  firewallAddress6,
  firewallAddressGroup,
  firewallAddressGroup6,
} from './sections/firewall-address.js';
import { firewallPolicy } from './sections/firewall-policy.js';
import { firewallProxyPolicy } from './sections/firewall-proxy-policy.js';
import {
  firewallScheduleGroup,
  firewallScheduleOnetime,
  firewallScheduleRecurring,
} from './sections/firewall-schedule.js';
import { firewallServiceCustom, firewallServiceGroup } from './sections/firewall-service.js';
import { firewallVip } from './sections/firewall-vip.js';
import { inspectdListener, inspectdSettings, inspectdSmbAccount } from './sections/inspectd.js';
import { logSyslogdSetting } from './sections/log-syslogd-setting.js';
import { profileProtocolOptions, toProtocolOptionsProfile } from './sections/profile-protocol-options.js';
import { sslSshProfile, toSslProfile } from './sections/ssl-ssh-profile.js';
import { systemGlobal, systemInterface, systemSettings } from './sections/system.js';
import { readReplacementMessages } from './sections/system-replacemsg.js';
import { authenticationSetting, userGroup, userLocal } from './sections/user.js';
import { vpnCertificateCa, vpnCertificateLocal } from './sections/vpn-certificate.js';
import { pathText, readTree, type SectionNode } from './tree.js';
import { CONFIG_CHARACTERS, readWords, type Word } from './words.js';

/** The sections that inspectd owns, by name. A new one: a file in sections/ and a line here. */
export const SECTIONS = {
  'antivirus profile': antivirusProfile,
  'antivirus quarantine': antivirusQuarantine,
  'antivirus settings': antivirusSettings,
  'endpoint-control fctems': endpointControlFctems,
  'endpoint-control forticlient-ems': endpointControlForticlientEms,
  'file-filter profile': fileFilterProfile,
  'firewall profile-protocol-options': profileProtocolOptions,
  'firewall policy': firewallPolicy,
  'firewall proxy-policy': firewallProxyPolicy,
  'firewall address': firewallAddress,
  'firewall address6': firewallAddress6,
  'firewall addrgrp': firewallAddressGroup,
  'firewall addrgrp6': firewallAddressGroup6,
  'firewall service custom': firewallServiceCustom,
  'firewall service group': firewallServiceGroup,
  'firewall ssl-ssh-profile': sslSshProfile,
  'firewall vip': firewallVip,
  'system automation-action': systemAutomationAction,
  'system automation-stitch': systemAutomationStitch,
  'system automation-trigger': systemAutomationTrigger,
  'system email-server': systemEmailServer,
  'firewall access-proxy': firewallAccessProxy,
  'firewall schedule recurring': firewallScheduleRecurring,
  'firewall schedule onetime': firewallScheduleOnetime,
  'firewall schedule group': firewallScheduleGroup,
  'system global': systemGlobal,
  'system interface': systemInterface,
  'system settings': systemSettings,
  'log syslogd setting': logSyslogdSetting,
  'authentication setting': authenticationSetting,
  'user local': userLocal,
  'user group': userGroup,
  'vpn certificate ca': vpnCertificateCa,
  'vpn certificate local': vpnCertificateLocal,
  'inspectd settings': inspectdSettings,
  'inspectd listener': inspectdListener,
  'inspectd smb-account': inspectdSmbAccount,
} as const;
type Sections = typeof SECTIONS;

/** Everything a configuration says that inspectd uses. Names and defaults are FortiOS's. */
export interface Config {
  /** `root` without VDOMs. */
  readonly vdom: string;
  /** What was written and what is predefined, by name. */
  readonly antivirus: ReadonlyMap<string, AntivirusProfile>;
  readonly fileFilters: ReadonlyMap<string, FileFilterProfile>;
  readonly protocolOptions: ReadonlyMap<string, ProtocolOptionsProfile>;
  readonly ssl: ReadonlyMap<string, SslProfile>;
  readonly replacementMessages: ReplacementMessages;
  /** Each owned section as it was read. */
  readonly sections: { readonly [K in keyof Sections]: ResultOf<Sections[K]> };
}

export interface ReadConfig {
  readonly config: Config;
  /** One line each, with file and line. */
  readonly warnings: readonly string[];
}

/** Throws ConfigError with everything that is wrong. `fileName` is for messages only. */
export function readConfig(text: string, fileName: string): ReadConfig {
  const problems = new Problems(fileName);
  if (text.length > CONFIG_CHARACTERS) {
    problems.error({ line: 1, column: 1 }, `a configuration has at most ${CONFIG_CHARACTERS} characters`);
    problems.settle();
  }
  const tree = readTree(readWords(text, problems), problems);
  const { nodes, vdom } = lookThrough(tree, problems);
  const references: { readonly sections: readonly string[]; readonly name: Word }[] = [];
  const reader: Reader = {
    error: (at, what) => problems.error(at, what),
    warning: (at, what, once) => problems.warning(at, what, once),
    reference: (sections, name) => references.push({ sections, name }),
  };

  const owned = new Map<string, SectionNode[]>(Object.keys(SECTIONS).map((path) => [path, []]));
  const messages: SectionNode[] = [];
  for (const node of nodes) {
    const path = pathText(node);
    const known = owned.get(path);
    if (known !== undefined) known.push(node);
    else if (path.startsWith('system replacemsg ')) messages.push(node);
    else {
      const near = didYouMean(path, owned.keys());
      problems.warning(node.at, `"config ${path}" skipped: inspectd does not have it${near}`, `config ${path}`);
    }
  }
  const sections = Object.fromEntries(
    Object.entries(SECTIONS).map(([path, shape]) => [path, readSection(shape, owned.get(path) ?? [], path, reader)]),
  ) as Config['sections'];
  const replacementMessages = readReplacementMessages(messages, reader);
  for (const { sections: paths, name } of references) checkReference(sections, paths, name, problems);
  problems.settle();

  const config: Config = {
    vdom,
    antivirus: named(
      PREDEFINED['antivirus profile'] ?? [],
      predefinedAntivirus,
      sections['antivirus profile'],
      toAntivirusProfile,
    ),
    fileFilters: named(
      PREDEFINED['file-filter profile'] ?? [],
      (name) => ({ name, log: true, scanArchiveContents: true, rules: [] }),
      sections['file-filter profile'],
      toFileFilterProfile,
    ),
    protocolOptions: named(
      PREDEFINED['firewall profile-protocol-options'] ?? [],
      (name) => ({ ...DEFAULT_PROTOCOL_OPTIONS_PROFILE, name }),
      sections['firewall profile-protocol-options'],
      toProtocolOptionsProfile,
    ),
    ssl: named(
      PREDEFINED['firewall ssl-ssh-profile'] ?? [],
      predefinedSslProfile,
      sections['firewall ssl-ssh-profile'],
      toSslProfile,
    ),
    replacementMessages,
    sections,
  };
  const policies = sections['firewall policy'].size + sections['firewall proxy-policy'].size;
  const profiles = [...sections['antivirus profile'].values(), ...sections['file-filter profile'].values()];
  if (policies === 0 && profiles[0] !== undefined)
    problems.warning(
      profiles[0].at,
      'no "config firewall policy" or "config firewall proxy-policy" names this profile: the built-in ones apply',
    );
  return { config, warnings: problems.warnings };
}

/** Sections of `config global` and of one VDOM, as if they stood at the top. */
function lookThrough(roots: readonly SectionNode[], problems: Problems): { nodes: SectionNode[]; vdom: string } {
  const nodes: SectionNode[] = [];
  let vdom: string | undefined;
  for (const root of roots) {
    const path = pathText(root);
    if (path === 'global') nodes.push(...root.sections);
    else if (path === 'vdom') {
      for (const entry of root.entries) {
        // Exports first list the names of all VDOMs; the one that is used is the first with a policy.
        if (entry.sections.length === 0) continue;
        const decides = entry.sections.some((node) => /^firewall (proxy-)?policy$/.test(pathText(node)));
        if (vdom === undefined && decides) {
          vdom = entry.key.text;
          nodes.push(...entry.sections);
        } else if (vdom === entry.key.text) nodes.push(...entry.sections);
        else problems.warning(entry.key, `VDOM ${shown(entry.key.text)} skipped: inspectd uses the policies of one`);
      }
    } else nodes.push(root);
  }
  return { nodes, vdom: vdom ?? 'root' };
}

function checkReference(sections: Config['sections'], paths: readonly string[], name: Word, problems: Problems): void {
  const known: string[] = [];
  for (const path of paths) {
    if (!(path in SECTIONS)) {
      // A section that we do not read (vipgrp): nothing can be said of its names.
      if (path === 'firewall vipgrp' || path === 'firewall vipgrp6' || path === 'firewall vip6') continue;
    }
    const entries: unknown = sections[path as keyof Config['sections']];
    if (entries instanceof Map) known.push(...entries.keys());
    known.push(...(PREDEFINED[path] ?? []));
    if (path.startsWith('firewall service')) known.push(...Object.keys(PREDEFINED_SERVICES));
  }
  if (known.includes(name.text)) return;
  problems.error(name, `there is no ${shown(name.text)} in "config ${paths[0] ?? ''}"${didYouMean(name.text, known)}`);
}

/** Predefined ones first; one that is written replaces the predefined of its name. */
function named<E, P>(
  predefined: readonly string[],
  make: (name: string) => P,
  entries: ReadonlyMap<string, E>,
  to: (entry: E) => P,
): ReadonlyMap<string, P> {
  const all = new Map<string, P>(predefined.map((name) => [name, make(name)]));
  for (const [name, entry] of entries) all.set(name, to(entry));
  return all;
}
