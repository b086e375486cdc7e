import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ConfigError } from '../core/errors.js';
import { readConfig } from './config.js';
import { describeDefaults } from './defaults.js';
import { FILE_TYPES } from './sections/file-filter-profile.js';

const samples = new URL('../../../samples/', import.meta.url);
const sample = (name: string) => readFileSync(new URL(name, samples), 'utf8');

const read = (text: string) => readConfig(text, 'x.conf');
/** The problems of a configuration that is refused. */
const problemsOf = (text: string): readonly string[] => {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
};
const inSection = (path: string, ...lines: string[]) => [`config ${path}`, ...lines, 'end'].join('\n');
const inProfile = (...lines: string[]) => inSection('antivirus profile', 'edit "p"', ...lines, 'next');

test('the sample configuration is accepted without a warning, and all of it holds', () => {
  const { config, warnings } = readConfig(sample('utm.conf'), 'utm.conf');
  assert.deepEqual(warnings, []);
  const smtp = config.antivirus.get('test-av')?.protocols.smtp;
  assert.equal(smtp?.avScan, 'block');
  assert.deepEqual([...(smtp?.archiveBlock ?? [])], ['encrypted', 'corrupted', 'nested', 'mailbomb']);
  assert.equal(smtp?.executables, 'virus');
  assert.deepEqual(
    [...(config.antivirus.get('test-av')?.protocols.pop3.archiveBlock ?? [])],
    ['encrypted', 'nested', 'mailbomb'],
  );
  const options = config.protocolOptions.get('mail-and-files');
  assert.equal(options?.oversizeLog, true);
  assert.deepEqual(options?.protocols.smtp, {
    ports: [25, 587, 2525],
    status: true,
    blockOversize: true,
    passFragmented: false,
    oversizeLimit: 25 * 1024 * 1024,
    uncompressedOversizeLimit: 100 * 1024 * 1024,
    uncompressedNestLimit: 20,
    scanBzip2: true,
  });
  assert.equal(options?.protocols.imap.passFragmented, true);
  assert.deepEqual(
    config.fileFilters.get('test_file_filter')?.rules.map((rule) => [rule.name, rule.action]),
    [
      ['file01', 'block'],
      ['file02', 'log-only'],
      ['file03', 'block'],
    ],
  );
  assert.equal(config.sections['system global'].timezone, 'America/Los_Angeles');
  assert.equal(config.sections['system global'].hostname, 'inspect-1');
  assert.equal(config.sections['log syslogd setting'].format, 'rfc5424');
  assert.match(config.replacementMessages['email-virus'], /"%%FILE%%" was removed: %%VIRUS%%\.\nAsk/);
});

for (const [name, expected] of [
  ['dynamic-address-check.conf', []],
  ['ems-quarantine.conf', []],
  [
    'explicit-ftps-over-vip.conf',
    [
      '27:31: "default" skipped: inspectd has no web filter',
      '28:24: "default" skipped: inspectd has no intrusion prevention',
    ],
  ],
  ['mail-and-file-scan.conf', []],
  ['ztna-posture-logic.conf', []],
  ['ztna-posture-tag.conf', []],
] as const) {
  test(`${name} is accepted, with one warning for each thing that is skipped`, () => {
    const { warnings } = readConfig(sample(`seeds/${name}`), name);
    assert.deepEqual(
      warnings,
      expected.map((warning) => `${name}:${warning}`),
    );
  });
}

test('every seed of the samples is tested', () => {
  assert.equal(readdirSync(new URL('seeds/', samples)).filter((name) => name.endsWith('.conf')).length, 6);
});

test('a configuration on one line reads like the same in lines, and so does one with CRLF', () => {
  const lines = sample('utm.conf').replace(/^#.*\n/gm, '');
  const { config } = read(lines);
  // The one value with a line end inside stays as it is.
  const oneLine = lines.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (part) => (part.startsWith('"') ? part : ' '));
  const withoutPlaces = (value: unknown) =>
    JSON.stringify(value, (key, inner: unknown) => {
      if (key === 'at') return undefined;
      if (inner instanceof Map) return [...inner];
      return inner instanceof Set ? [...inner] : inner;
    });
  assert.equal(withoutPlaces(read(oneLine).config), withoutPlaces(config));
  assert.equal(withoutPlaces(read(lines.replaceAll('\n', '\r\n')).config), withoutPlaces(config));
});

test('VDOMs are looked through; the policies of the first that has some are used', () => {
  const { config, warnings } = read(
    [
      'config global',
      inSection('system global', 'set hostname "h"'),
      'end',
      'config vdom',
      'edit root',
      'next',
      'edit v1',
      'next',
      'end',
      'config vdom',
      'edit v1',
      inSection('firewall policy', 'edit 7', 'set srcaddr "all"', 'next'),
      'next',
      'edit v2',
      inSection('firewall policy', 'edit 8', 'next'),
      'end',
    ].join('\n'),
  );
  assert.equal(config.vdom, 'v1');
  assert.equal(config.sections['system global'].hostname, 'h');
  assert.deepEqual([...config.sections['firewall policy'].keys()], ['7']);
  assert.deepEqual(warnings, ['x.conf:20:6: VDOM "v2" skipped: inspectd uses the policies of one']);
});

test('set replaces, append adds, unset takes back; a second section adds to the first', () => {
  const archiveBlock = (...lines: string[]) => [
    ...(read(inProfile('config smtp', ...lines, 'end')).config.antivirus.get('p')?.protocols.smtp.archiveBlock ?? []),
  ];
  assert.deepEqual(archiveBlock('set archive-block encrypted', 'set archive-block nested'), ['nested']);
  assert.deepEqual(archiveBlock('set archive-block encrypted', 'append archive-block nested'), ['encrypted', 'nested']);
  assert.deepEqual(archiveBlock('set archive-block encrypted', 'unset archive-block'), []);
  const twice = read(
    `${inProfile('config smtp set av-scan block end')}\n${inProfile('config pop3 set av-scan monitor end')}`,
  );
  const protocols = twice.config.antivirus.get('p')?.protocols;
  assert.deepEqual(
    [protocols?.smtp.avScan, protocols?.pop3.avScan, protocols?.ftp.avScan],
    ['block', 'monitor', 'disable'],
  );
});

test('the spellings of FortiOS 6 still mean what they meant', () => {
  const { config } = read(
    inProfile(
      'config smtp set options scan quarantine end',
      'config pop3 set options avmonitor end',
      'config smb set options scan end',
    ),
  );
  const protocols = config.antivirus.get('p')?.protocols;
  assert.deepEqual(
    [protocols?.smtp.avScan, protocols?.pop3.avScan, protocols?.cifs.avScan],
    ['block', 'monitor', 'block'],
  );
  assert.equal(protocols?.smtp.quarantine, true);
});

test('quoted words keep keywords, spaces, line ends, quotes and backslashes', () => {
  const { config } = read(
    inSection(
      'firewall address',
      'edit "set \\"end\\" \\\\ next\nconfig"',
      "set comment 'it\"s'",
      'set subnet 10.0.0.0/8',
      'next',
    ),
  );
  assert.deepEqual([...config.sections['firewall address'].keys()], ['set "end" \\ next\nconfig']);
});

// What is wrong, where, and what would be right.
// biome-ignore format: one case a line.
const ERRORS: readonly (readonly [string, string, readonly string[]])[] = [
  ['an unknown command', 'confg system global\nend', ['1:1: "confg" is not a command (did you mean "config"?)', '2:1: "end" without "config"']],
  ['an interactive command', 'delete 3', ['1:1: "delete" is a command of the CLI, not of a configuration']],
  ['set outside of a section', 'set a b', ['1:1: "set" outside of a section: "config …" comes first']],
  ['edit outside of a section', 'edit 1', ['1:1: "edit" outside of a section: "config …" comes first']],
  ['next without edit', inSection('firewall policy', 'next'), ['2:1: "next" without "edit"']],
  ['a section that is not closed', 'config firewall policy\nedit 1\nnext', ['1:1: "config firewall policy" is never closed: "end" is missing']],
  ['a page annotation', inSection('firewall policy', 'edit 1', 'set action accept <-----', 'next'), ['3:19: "action" takes one value: "<-----" is one too many']],
  ['left-out lines', inSection('firewall policy', '...'), ['2:1: "..." is not a command']],
  ['a quote that is not closed', 'config system global\nset hostname "x\nend', ['1:1: "config system global" is never closed: "end" is missing', '2:14: this quote is never closed']],
  ['a set without a value', inProfile('set comment'), ['3:5: "set comment" needs a value']],
  ['options in a table', inSection('antivirus profile', 'set comment "x"'), ['2:5: "config antivirus profile" has entries: "edit NAME" comes before "comment"']],
  ['entries in a section without', inSection('system global', 'edit 1', 'next'), ['2:6: "config system global" has options, not entries: "edit" has no place here']],
  ['an unknown option', inProfile('config smtp', 'set av-sacn block', 'end'), ['4:5: "config antivirus profile / smtp" has no option "av-sacn" (did you mean "av-scan"?)']],
  ['an unknown nested section', inProfile('config smpt', 'end'), ['3:1: "config antivirus profile" has no section "smpt" (did you mean "smtp"?)']],
  ['an unknown value', inProfile('config smtp', 'set av-scan blok', 'end'), ['4:13: av-scan: found "blok"; allowed: disable, block or monitor (did you mean "block"?)']],
  ['one unknown value of several', inProfile('config smtp', 'set archive-log encrypted corrupt', 'end'), ['4:27: archive-log: found "corrupt"; allowed: any of encrypted, corrupted, partiallycorrupted, multipart, nested, mailbomb, timeout, unhandled or fileslimit (did you mean "corrupted"?)']],
  ['executables outside of mail', inProfile('config ftp', 'set executables virus', 'end'), ['4:5: "config antivirus profile / ftp" has no option "executables"']],
  ['append to one value', inProfile('config smtp', 'append av-scan block', 'end'), ['4:8: "av-scan" takes one value: use "set"']],
  ['a clamd that is nowhere', inSection('antivirus settings', 'set clamd localhost'), ['2:11: clamd: found "localhost"; allowed: HOST:PORT, [IPV6]:PORT or the path of a socket']],
  ['a number out of bounds', inSection('antivirus settings', 'set override-timeout 3601'), ['2:22: override-timeout: found "3601"; allowed: a number from 0 to 3600']],
  ['no number', inSection('firewall profile-protocol-options', 'edit p config smtp set oversize-limit ten end next'), ['2:39: oversize-limit: found "ten"; allowed: a number from 1 to 4095']],
  ['a word of another protocol', inSection('firewall profile-protocol-options', 'edit p config cifs set options fragmail end next'), ['2:32: options: found "fragmail"; allowed: any of oversize']],
  ['a port out of bounds', inSection('firewall profile-protocol-options', 'edit p config smtp set ports 65536 end next'), ['2:30: ports: found "65536"; allowed: ports from 1 to 65535']],
  ['a toggle', inSection('file-filter profile', 'edit f', 'set log on', 'next'), ['3:9: log: found "on"; allowed: enable or disable']],
  ['a name that is too long', inSection('file-filter profile', `edit ${'f'.repeat(48)}`, 'next'), [`2:6: found "${'f'.repeat(48)}"; allowed: a name of 1 to 47 characters`]],
  ['an unknown file type', inSection('file-filter profile', 'edit f config rules edit r set file-type exee next end next'), [`2:42: file-type: found "exee"; allowed: any of ${FILE_TYPES.length} names, such as .net, 7z, activemime, arj, aspack, avi, base64 or bat (did you mean "exe"?)`]],
  ['a filter protocol that it cannot have', inSection('file-filter profile', 'edit f config rules edit r set protocol nntp next end next'), ['2:41: protocol: found "nntp"; allowed: any of http, ftp, smtp, imap, pop3, mapi, cifs, ssh or websocket']],
  ['a policy id', inSection('firewall policy', 'edit one', 'next'), ['2:6: found "one"; allowed: a number from 0 to 4294967295']],
  ['a uuid', inSection('firewall policy', 'edit 1', 'set uuid 12', 'next'), ['3:10: uuid: found "12"; allowed: a UUID such as 325d4516-74a8-51ec-db9b-a5511f9a7842']],
  ['a subnet', inSection('firewall address', 'edit a', 'set subnet 10.0.0.0 255.0.255.0', 'next'), ['3:12: subnet: found "10.0.0.0/255.0.255.0"; allowed: an IPv4 network such as 10.1.100.0 255.255.255.0 or 10.1.100.0/24']],
  ['an address', inSection('firewall address', 'edit a', 'set type iprange', 'set start-ip 10.0.0', 'next'), ['4:14: start-ip: found "10.0.0"; allowed: an IP address']],
  ['an IPv6 network', inSection('firewall address6', 'edit a', 'set ip6 fd00::/129', 'next'), ['3:9: ip6: found "fd00::/129"; allowed: an IPv6 network such as 2001:db8::/32']],
  ['a port range', inSection('firewall service custom', 'edit s', 'set tcp-portrange 30-20', 'next'), ['3:19: tcp-portrange: found "30-20"; allowed: ports such as 25 or 1000-2000 or 25:1024-65535']],
  ['a VIP address', inSection('firewall vip', 'edit v', 'set extip 10.0.0.x', 'next'), ['3:11: extip: found "10.0.0.x"; allowed: addresses such as 10.0.0.1 or 10.0.0.1-10.0.0.9']],
  ['a certificate action', inSection('firewall ssl-ssh-profile', 'edit s config ftps set expired-server-cert pass end next'), ['2:44: expired-server-cert: found "pass"; allowed: allow, block or ignore']],
  ['a syslog format', inSection('log syslogd setting', 'set format rfc3164'), ['2:12: format: found "rfc3164"; allowed: default, csv, cef, rfc5424 or json']],
  ['a time zone', inSection('system global', 'set timezone "Europe/Berlni"'), ['2:14: timezone: found "Europe/Berlni"; allowed: a time zone such as "Europe/Berlin", or a FortiOS number such as 04 (did you mean "Europe/Berlin"?)']],
  ['a mistyped option of a section that is mostly passed over', inSection('system global', 'set hostnane "x"'), ['2:5: "config system global" has no option "hostnane" (did you mean "hostname"?)']],
  ['a profile that is missing', inSection('firewall policy', 'edit 1', 'set av-profile "nope"', 'next'), ['3:16: there is no "nope" in "config antivirus profile"']],
  ['a service that is missing', inSection('firewall policy', 'edit 1', 'set service SMPT', 'next'), ['3:13: there is no "SMPT" in "config firewall service custom" (did you mean "SMTP"?)']],
  ['an address that is missing', inSection('firewall addrgrp', 'edit g', 'set member "here"', 'next'), ['3:12: there is no "here" in "config firewall address"']],
  ['a group of messages that is unknown', inSection('system replacemsg mial email-virus', 'set buffer "x"'), ['1:26: there is no group "mial" of replacement messages (did you mean "mail"?)']],
  ['a mistyped message', inSection('system replacemsg mail emial-virus', 'set buffer "x"'), ['1:31: group "mail" has no message "emial-virus" (did you mean "email-virus"?)']],
];
for (const [title, text, expected] of ERRORS) {
  test(`refused by its line: ${title}`, () => {
    assert.deepEqual(
      problemsOf(text),
      expected.map((problem) => `x.conf:${problem}`),
    );
  });
}

test('all errors are reported at once, up to a hundred of them', () => {
  const many = inSection('antivirus settings', ...Array.from({ length: 101 }, () => 'set nope 1'));
  const problems = problemsOf(many);
  assert.equal(problems.length, 101);
  assert.equal(problems.at(-1), 'x.conf: 1 more errors');
});

test('features that inspectd does not have warn once, however often they are set', () => {
  const policy = (id: number) => `edit ${id} set webfilter-profile "a" next`;
  const { warnings } = read(inSection('firewall policy', policy(1), policy(2)));
  assert.deepEqual(warnings, ['x.conf:2:30: "a" skipped: inspectd has no web filter']);
  const profile = read(
    inProfile('config smtp set content-disarm enable set fortisandbox disable set emulator enable end'),
  );
  assert.deepEqual(profile.warnings.slice(0, 1), ['x.conf:3:32: inspectd has no content disarm: this has no effect']);
});

test('a section close to one of ours is skipped with a hint', () => {
  assert.deepEqual(read(inSection('antivirus profil', 'edit a', 'next')).warnings, [
    'x.conf:1:1: "config antivirus profil" skipped: inspectd does not have it (did you mean "antivirus profile"?)',
  ]);
});

test('profiles that no policy can name are said to be unused', () => {
  assert.deepEqual(read(inProfile()).warnings, [
    'x.conf:2:6: no "config firewall policy" or "config firewall proxy-policy" names this profile: the built-in ones apply',
  ]);
});

test('time zones: IANA names in any case, FortiOS numbers, and a warning for a number that is not sure', () => {
  const zone = (value: string) => read(inSection('system global', `set timezone ${value}`));
  assert.equal(zone('04').config.sections['system global'].timezone, 'America/Los_Angeles');
  assert.equal(zone('4').config.sections['system global'].timezone, 'America/Los_Angeles');
  assert.equal(zone('"europe/berlin"').config.sections['system global'].timezone, 'Europe/Berlin');
  assert.equal(zone('US/Pacific').config.sections['system global'].timezone, 'US/Pacific');
  assert.equal(zone('99').warnings.length, 1);
});

test('noise of any kind is refused in bounded time and memory, never crashes', () => {
  const noise = [
    '\0\x01\xff',
    '"'.repeat(10_001),
    'config '.repeat(50_000),
    'edit\n'.repeat(10_000),
    '\\',
    '"\\',
    "'",
    'set set set',
  ];
  for (const text of noise) assert.ok(problemsOf(text).length > 0, JSON.stringify(text.slice(0, 20)));
  assert.ok(problemsOf('config a '.repeat(17)).some((problem) => problem.includes('nested more than 16 deep')));
  assert.deepEqual(problemsOf(''), []);
});

test('the defaults are listed as they would be written', () => {
  const text = describeDefaults();
  assert.match(text, /^nesting 12$/m);
  assert.match(text, /^config antivirus profile$/m);
  assert.match(text, /^ {8}set av-scan disable {4}# disable, block or monitor$/m);
  assert.match(text, /^ {8}set oversize-limit 10 {4}# a number from 1 to 4095$/m);
  assert.doesNotMatch(text, /fortisandbox/);
});
