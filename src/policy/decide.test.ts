import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { FileInfo, FileMeta, Finding, Inspected, UnscannableReason } from '../core/file.js';
import { ARCHIVE_REASONS } from '../core/file.js';
import type { SessionInfo } from '../core/session.js';
import { createPolicy } from './decide.js';
import {
  type AntivirusProtocol,
  BUILT_IN_PROFILES,
  DEFAULT_ANTIVIRUS_PROTOCOL,
  DEFAULT_PROTOCOL_OPTIONS_PROFILE,
  type FileFilterRule,
  forEachProtocol,
  type ProtocolOptions,
  type SessionProfiles,
} from './profiles.js';

const virus: Finding = { kind: 'infected', virus: 'EICAR_TEST_FILE', virusId: 2172, dtype: 'av-engine', by: 'test' };
const unscannable = (reason: UnscannableReason): Finding => ({ kind: 'unscannable', reason, detail: 'why' });
const malformed: Finding = { kind: 'malformed', code: 'mime-two-boundaries' };

interface Node extends Partial<Omit<FileInfo, 'meta'>> {
  readonly meta?: Partial<FileMeta>;
  readonly findings?: readonly Finding[];
  readonly children?: readonly Node[];
}

/** A tree as inspection hands it over; ids ascend in reading order. */
function tree(node: Node, parent?: FileInfo, ids = { next: 1 }): Inspected {
  const { findings = [], children = [], meta, ...facts } = node;
  const info: FileInfo = {
    id: ids.next++,
    meta: { name: undefined, direction: 'upload', ...meta },
    parent,
    depth: parent === undefined ? 0 : parent.depth + 1,
    types: ['unknown'],
    size: 10,
    sha256: undefined,
    state: 'complete',
    encrypted: false,
    ...facts,
  };
  return { info, findings, children: children.map((child) => tree(child, info, ids)) };
}

function session(service: string | undefined): SessionInfo {
  return {
    id: 1,
    client: { address: '10.0.0.1', port: 40_000 },
    server: { address: '10.0.0.2', port: 25 },
    service,
    tls: undefined,
    vdom: 'root',
    policy: { id: 0, type: 'policy' },
    srcIntf: { name: 'unknown-0', role: 'undefined' },
    dstIntf: { name: 'unknown-0', role: 'undefined' },
    srcCountry: 'Reserved',
    dstCountry: 'Reserved',
    user: {},
  };
}

const headers = { from: 'a@x', to: 'b@y', cc: undefined, subject: 'five' };
/** A message of 1000 bytes with one attachment at 400..700. */
function mail(part: Node, message: Node = {}): Inspected {
  return tree({
    types: ['mime'],
    size: 1000,
    headers,
    ...message,
    meta: { declaredType: 'message/rfc822', ...message.meta },
    children: [
      { types: ['unknown'], meta: { name: undefined }, span: { start: 200, body: 240, end: 390 } },
      {
        span: { start: 400, body: 460, end: 700 },
        size: 150,
        attachment: true,
        ...part,
        meta: { name: 'eicar.com', ...part.meta },
      },
    ],
  });
}

function profiles(
  antivirus: Partial<AntivirusProtocol>,
  options: Partial<ProtocolOptions> = {},
  more: Partial<SessionProfiles> & { oversizeLog?: boolean } = {},
): SessionProfiles {
  const { oversizeLog = false, ...rest } = more;
  return {
    ...BUILT_IN_PROFILES,
    antivirus: {
      name: 'test-av',
      protocols: forEachProtocol(() => ({ ...DEFAULT_ANTIVIRUS_PROTOCOL, ...antivirus })),
    },
    protocolOptions: {
      name: 'options',
      oversizeLog,
      protocols: forEachProtocol((key) => ({ ...DEFAULT_PROTOCOL_OPTIONS_PROFILE.protocols[key], ...options })),
    },
    ...rest,
  };
}

const said = (root: Inspected, service: string | undefined, using?: SessionProfiles) => {
  const decision = createPolicy(using).decide(root, session(service));
  return {
    action: decision.verdict.action,
    records: decision.outcomes.map((outcome) => `${outcome.kind}:${outcome.action}`),
    root: decision.verdicts.get(root.info.id),
  };
};

// What a block means, by protocol.
for (const [service, action, logged] of [
  ['SMTP', 'block', 'blocked'],
  ['POP3', 'strip', 'attachment-removed'],
  ['IMAP', 'strip', 'attachment-removed'],
] as const) {
  test(`${service}: an infected attachment is ${logged}`, () => {
    const decision = createPolicy().decide(mail({ findings: [virus] }), session(service));
    assert.equal(decision.verdict.action, action);
    assert.deepEqual(
      decision.outcomes.map(({ kind, action, file, root, profile }) => [
        kind,
        action,
        file.meta.name,
        root.id,
        profile,
      ]),
      [['infected', logged, 'eicar.com', 1, 'default']],
    );
  });
}
for (const service of ['FTP', 'SMB', undefined]) {
  test(`${service ?? 'a file by itself'}: an infected file is blocked`, () => {
    const decision = createPolicy().decide(tree({ meta: { name: 'a.exe' }, findings: [virus] }), session(service));
    assert.equal(decision.verdict.action, 'block');
    assert.match(decision.verdict.replacement, /"a\.exe".*EICAR_TEST_FILE/);
    assert.deepEqual(
      decision.outcomes.map((outcome) => outcome.action),
      ['blocked'],
    );
  });
}

test('a member that a damaged archive cuts short is what the options say of the archive, and no file that somebody broke off', () => {
  const damaged = (reason: UnscannableReason, more: readonly Finding[] = []) =>
    mail({
      types: ['zip'],
      findings: [unscannable(reason)],
      children: [{ state: 'truncated', findings: [unscannable('truncated'), ...more] }],
    });
  for (const reason of ['corrupted', 'partiallycorrupted'] as const) {
    assert.equal(said(damaged(reason), 'SMTP', profiles({ avScan: 'block' })).action, 'pass');
    const blocking = profiles({ avScan: 'block', archiveBlock: new Set([reason]) });
    assert.deepEqual(said(damaged(reason), 'SMTP', blocking).records, ['scanerror:blocked']);
    const infected = damaged(reason, [virus]);
    assert.equal(said(infected, 'SMTP', profiles({ avScan: 'block' })).action, 'block');
  }
  // Nothing else of the archive says why its member is not whole.
  assert.equal(said(damaged('nested'), 'SMTP', profiles({ avScan: 'block' })).action, 'block');
});

// The matrix: each protocol, each av-scan, each kind of finding.
for (const service of ['SMTP', 'POP3', 'IMAP', 'FTP', 'SMB'] as const) {
  const blockAction = service === 'POP3' || service === 'IMAP' ? 'strip' : 'block';
  const removed = blockAction === 'strip' ? 'attachment-removed' : 'blocked';
  const one = (findings: readonly Finding[]) =>
    blockAction === 'strip' || service === 'SMTP' ? mail({ findings }) : tree({ meta: { name: 'f' }, findings });
  for (const avScan of ['disable', 'block', 'monitor'] as const) {
    const blocking = avScan === 'block';
    const expectations: [string, Finding, string, string[]][] = [
      ['virus', virus, blocking ? blockAction : 'monitor', [`infected:${blocking ? removed : 'monitored'}`]],
    ];
    for (const reason of ['gap', 'truncated', 'overlap', 'timeout', 'engine-error', 'limit'] as const)
      expectations.push([
        reason,
        unscannable(reason),
        blocking ? blockAction : 'monitor',
        [`scanerror:${blocking ? removed : 'passthrough'}`],
      ]);
    expectations.push([
      'malformed',
      malformed,
      blocking ? blockAction : 'monitor',
      [`scanerror:${blocking ? removed : 'passthrough'}`],
    ]);
    for (const reason of ARCHIVE_REASONS.filter((each) => each !== 'timeout')) {
      // FortiOS: archive-block is empty, except that CIFS blocks special archives by itself.
      const blocked = service === 'SMB' && blocking;
      expectations.push([
        reason,
        unscannable(reason),
        blocked ? 'block' : 'pass',
        blocked ? ['scanerror:blocked'] : [],
      ]);
    }
    expectations.push(['oversize', unscannable('oversize'), 'pass', []]);
    expectations.push(['uncompressed-oversize', unscannable('uncompressed-oversize'), 'pass', []]);
    for (const [name, finding, action, records] of expectations) {
      test(`${service}, av-scan ${avScan}, ${name}: ${avScan === 'disable' ? 'pass' : action}`, () => {
        const got = said(one([finding]), service, profiles({ avScan }));
        assert.equal(got.action, avScan === 'disable' ? 'pass' : action);
        assert.deepEqual(got.records, avScan === 'disable' ? [] : records);
        // Whatever passes is not clean for it.
        const verdict = name === 'virus' ? 'infected' : name === 'malformed' ? 'malformed' : 'unscannable';
        assert.equal(got.root?.verdict, verdict);
      });
    }
  }
}

for (const reason of ARCHIVE_REASONS) {
  test(`without a configuration, ${reason} is blocked`, () => {
    assert.deepEqual(said(mail({ findings: [unscannable(reason)] }), 'SMTP').records, ['scanerror:blocked']);
  });
  if (reason !== 'timeout') {
    test(`archive-block ${reason} blocks and records, archive-log ${reason} records what passes`, () => {
      const root = () => mail({ findings: [unscannable(reason)] });
      const blocked = said(root(), 'SMTP', profiles({ avScan: 'block', archiveBlock: new Set([reason]) }));
      assert.deepEqual([blocked.action, blocked.records], ['block', ['scanerror:blocked']]);
      const logged = said(root(), 'SMTP', profiles({ avScan: 'block', archiveLog: new Set([reason]) }));
      assert.deepEqual([logged.action, logged.records], ['monitor', ['scanerror:passthrough']]);
    });
  }
}

test('oversize: blocked and recorded with the option, recorded with oversize-log, else silent', () => {
  const root = () => mail({ findings: [unscannable('oversize')] });
  const av = { avScan: 'block' } as const;
  assert.deepEqual(said(root(), 'SMTP', profiles(av, { blockOversize: true })).records, ['oversize:blocked']);
  const logged = said(root(), 'SMTP', profiles(av, {}, { oversizeLog: true }));
  assert.deepEqual([logged.action, logged.records], ['monitor', ['oversize:passthrough']]);
  assert.deepEqual(said(root(), 'SMTP', profiles(av)), {
    action: 'pass',
    records: [],
    root: { verdict: 'unscannable', reason: 'oversize', virus: [] },
  });
});

const MiB = 1024 * 1024;
test('the size limits of the profile hold to the byte, whatever inspection went on to read', () => {
  const large = (size: number) => mail({ size, span: { start: 400, body: 460, end: 700 } }, { size: 1000 });
  const block = profiles({ avScan: 'block' }, { blockOversize: true });
  assert.deepEqual(said(large(10 * MiB), 'SMTP', block).records, []);
  assert.deepEqual(said(large(10 * MiB + 1), 'SMTP', block).records, ['oversize:blocked']);
  assert.equal(said(large(10 * MiB + 1), 'SMTP', profiles({ avScan: 'block' })).root?.reason, 'oversize');
  assert.equal(said(large(10 * MiB + 1), 'SMTP').root?.verdict, 'clean');
  // A message can be too large though no part of it is; together they make one record.
  assert.deepEqual(said(mail({}, { size: 10 * MiB + 1 }), 'SMTP', block).records, ['oversize:blocked']);
  assert.deepEqual(said(mail({ size: 11 * MiB }, { size: 15 * MiB }), 'SMTP', block).records, ['oversize:blocked']);
  // Where nothing is scanned, no limit of scanning is crossed.
  assert.equal(said(large(11 * MiB), 'SMTP', profiles({ avScan: 'disable' })).root?.verdict, 'clean');
  // A virus found beyond the limit is a virus.
  assert.deepEqual(said(mail({ size: 11 * MiB, findings: [virus] }), 'SMTP', profiles({ avScan: 'block' })).records, [
    'infected:blocked',
  ]);
});

test('the limits of unpacked files hold for members: size, depth, bzip2', () => {
  const member = (child: Node) => mail({ types: ['zip'], children: [child] });
  const av = { avScan: 'block', archiveBlock: new Set(['nested', 'unhandled'] as const) } as const;
  const reason = (root: Inspected, options: Partial<ProtocolOptions>) => {
    const got = said(root, 'SMTP', profiles(av, { blockOversize: true, ...options }));
    return [got.records, got.root?.reason];
  };
  assert.deepEqual(reason(member({ size: 10 * MiB }), {}), [[], null]);
  assert.deepEqual(reason(member({ size: 10 * MiB + 1 }), {}), [['scanerror:blocked'], 'uncompressed-oversize']);
  const nested = (archives: number): Node =>
    archives === 0 ? {} : { types: ['zip'], children: [nested(archives - 1)] };
  assert.deepEqual(reason(mail(nested(2)), { uncompressedNestLimit: 2 }), [[], null]);
  assert.deepEqual(reason(mail(nested(3)), { uncompressedNestLimit: 2 }), [['scanerror:blocked'], 'nested']);
  assert.deepEqual(reason(member({ types: ['bzip2'] }), {}), [[], null]);
  assert.deepEqual(reason(member({ types: ['bzip2'] }), { scanBzip2: false }), [['scanerror:blocked'], 'unhandled']);
});

test('uncompressed-oversize follows the oversize option', () => {
  const root = mail({ children: [{ findings: [unscannable('uncompressed-oversize')] }] });
  const got = said(root, 'SMTP', profiles({ avScan: 'block' }, { blockOversize: true }));
  assert.deepEqual([got.action, got.records], ['block', ['scanerror:blocked']]);
});

test('SMTP: mail is mended where the profile wants it or it cannot be refused any more, and refused when it is too large to be read', () => {
  const infected = () => mail({ findings: [virus] });
  const av = { avScan: 'block' } as const;
  assert.equal(said(infected(), 'SMTP', profiles(av, { mends: false })).action, 'block');
  const mended = said(infected(), 'SMTP', profiles(av, { mends: true }));
  assert.deepEqual([mended.action, mended.records], ['strip', ['infected:attachment-removed']]);
  const late = said(mail({ findings: [virus] }, { meta: { refusable: false } }), 'SMTP', profiles(av));
  assert.deepEqual([late.action, late.records], ['strip', ['infected:attachment-removed']]);
  const large = () => mail({ findings: [virus], children: [{ findings: [unscannable('oversize')] }] });
  assert.equal(said(large(), 'SMTP', profiles(av, { mends: true })).action, 'block');
  // What else cannot be read is taken out like anything that is bad.
  const locked = mail({ findings: [unscannable('encrypted')] });
  const options = profiles({ ...av, archiveBlock: new Set(['encrypted']) }, { mends: true });
  assert.equal(said(locked, 'SMTP', options).action, 'strip');
});

test('a fragment of mail is blocked; with fragmail it passes, is recorded and is not clean', () => {
  const root = () => mail({}, { findings: [unscannable('fragmented')] });
  assert.deepEqual(said(root(), 'SMTP', profiles({ avScan: 'block' })).records, ['mimefragmented:blocked']);
  const passed = said(root(), 'SMTP', profiles({ avScan: 'block' }, { passFragmented: true }));
  assert.deepEqual(
    [passed.action, passed.records, passed.root?.verdict],
    ['monitor', ['mimefragmented:passthrough'], 'unscannable'],
  );
});

test('executables virus: a program in mail is treated like a virus, elsewhere not', () => {
  const exe = { types: ['exe'] };
  const block = profiles({ avScan: 'block', executables: 'virus' });
  const got = said(mail(exe), 'SMTP', block);
  assert.deepEqual([got.records, got.root?.verdict], [['filetype-executable:blocked'], 'blocked']);
  assert.deepEqual(said(mail({ types: ['zip'], children: [exe] }), 'POP3', block).records, [
    'filetype-executable:attachment-removed',
  ]);
  assert.deepEqual(said(tree(exe), 'FTP', block).records, []);
  const monitor = said(mail(exe), 'SMTP', profiles({ avScan: 'monitor', executables: 'virus' }));
  assert.deepEqual([monitor.action, monitor.records], ['monitor', ['filetype-executable:monitored']]);
});

test('an archive is one object: first virus in member order, one record, under the name of the archive', () => {
  const second = { ...virus, virus: 'SECOND' };
  const root = mail({
    meta: { name: 'all.zip' },
    types: ['zip'],
    children: [{ meta: { name: 'a' } }, { children: [{ findings: [second] }] }, { findings: [virus] }],
  });
  const decision = createPolicy().decide(root, session('SMTP'));
  assert.deepEqual(
    decision.outcomes.map((outcome) => [outcome.file.meta.name, outcome.kind === 'infected' && outcome.virus]),
    [['all.zip', 'SECOND']],
  );
  const archive = root.children[1]?.info.id ?? 0;
  assert.deepEqual(decision.verdicts.get(archive)?.virus, ['SECOND', 'EICAR_TEST_FILE']);
});

test('each infected attachment has its record, also inside an attached message, and the messages have none', () => {
  const inner: Node = {
    meta: { declaredType: 'message/rfc822', name: 'inner.eml' },
    headers,
    size: 500,
    span: { start: 400, body: 450, end: 950 },
    children: [{ meta: { name: 'in.exe' }, findings: [virus], span: { start: 100, body: 150, end: 300 } }],
  };
  const root = tree({
    meta: { declaredType: 'message/rfc822' },
    headers,
    size: 1000,
    children: [{ meta: { name: 'out.exe' }, findings: [virus], span: { start: 100, body: 150, end: 300 } }, inner],
  });
  const decision = createPolicy().decide(root, session('POP3'));
  assert.deepEqual(
    decision.outcomes.map((outcome) => outcome.file.meta.name),
    ['out.exe', 'in.exe'],
  );
  assert.ok([...decision.verdicts.values()].every((each) => each.verdict === 'infected'));
  // The inner part lies at 450 + 100 of the root.
  assert.deepEqual(
    decision.verdict.edits.map(({ start, end }) => [start, end]),
    [
      [100, 300],
      [550, 750],
    ],
  );
});

test('a part of an attached message that was transfer-encoded takes the attached message with it', () => {
  const inner: Node = {
    meta: { declaredType: 'message/rfc822' },
    headers,
    size: 300,
    span: { start: 400, body: 450, end: 950 },
    children: [{ findings: [virus], span: { start: 100, body: 150, end: 200 } }],
  };
  const root = tree({ meta: { declaredType: 'message/rfc822' }, headers, size: 1000, children: [inner] });
  const { edits } = createPolicy().decide(root, session('POP3')).verdict;
  assert.deepEqual(
    edits.map(({ start, end }) => [start, end]),
    [[400, 950]],
  );
});

test('an edit that lies in another is not made', () => {
  const decision = createPolicy().decide(mail({ findings: [virus] }, { findings: [malformed] }), session('POP3'));
  assert.deepEqual(
    decision.verdict.edits.map(({ start, end }) => [start, end]),
    [[0, 1000]],
  );
  assert.deepEqual(
    decision.outcomes.map((outcome) => `${outcome.kind}:${outcome.action}`),
    ['infected:attachment-removed', 'scanerror:blocked'],
  );
});

test('where the size was announced, what replaces a part is exactly as long', () => {
  const decision = createPolicy().decide(mail({ findings: [virus] }, { meta: { fixedLength: true } }), session('POP3'));
  const [edit] = decision.verdict.edits;
  assert.ok(edit !== undefined);
  assert.equal(edit.instead.length, edit.end - edit.start);
  assert.match(edit.instead.toString(), /^Content-Type: text\/plain/);
});

test('the one part of a single-part message is replaced with the mail fields of the message', () => {
  const root = tree({
    meta: { declaredType: 'message/rfc822' },
    headers: { ...headers, subject: 'naïve\r\nBcc: x' },
    size: 1000,
    children: [{ meta: { name: 'a.exe' }, findings: [virus], span: { start: 0, body: 200, end: 1000 } }],
  });
  const [edit] = createPolicy().decide(root, session('POP3')).verdict.edits;
  const text = edit?.instead.toString() ?? '';
  assert.match(text, /^From: a@x\r\nTo: b@y\r\nSubject: =\?utf-8\?B\?/);
  assert.doesNotMatch(text, /Bcc/);
  assert.match(text, /"a\.exe" carried the virus/);
});

test('the record of a hole in a part is not repeated for its message', () => {
  assert.deepEqual(said(mail({ state: 'gap' }, { state: 'gap' }), 'SMTP').records, ['scanerror:blocked']);
});

test('monitor: a virus is recorded and passes, and a blocked archive with it is blocked all the same', () => {
  const root = mail({ findings: [virus], children: [{ findings: [unscannable('encrypted')] }] });
  const got = said(root, 'SMTP', profiles({ avScan: 'monitor', archiveBlock: new Set(['encrypted']) }));
  assert.deepEqual(got.records, ['infected:monitored', 'scanerror:blocked']);
  assert.equal(got.action, 'block');
});

test('clean needs all of it: complete, readable, nothing found', () => {
  for (const [facts, verdict, reason] of [
    [{}, 'clean', null],
    [{ state: 'gap' }, 'unscannable', 'gap'],
    [{ state: 'truncated' }, 'unscannable', 'truncated'],
    [{ state: 'limit' }, 'unscannable', 'limit'],
    [{ state: 'limit', findings: [unscannable('oversize')] }, 'unscannable', 'oversize'],
    [{ encrypted: true }, 'unscannable', 'encrypted'],
    [{ findings: [malformed] }, 'malformed', 'mime-two-boundaries'],
    [{ children: [{ state: 'gap' }] }, 'unscannable', 'gap'],
    [{ children: [{ findings: [malformed] }, { findings: [virus] }] }, 'infected', null],
  ] as [Node, string, string | null][]) {
    const got = said(tree(facts), 'FTP').root;
    assert.deepEqual([got?.verdict, got?.reason], [verdict, reason]);
  }
});

test('a reply line holds nothing of the peer that could end it', () => {
  const root = mail({ meta: { name: 'a\r\n250 ok\u2028\u202eexe' }, findings: [virus] });
  const { replacement } = createPolicy().decide(root, session('SMTP')).verdict;
  assert.match(replacement, /^[ -~]+$/);
  const long = mail({ meta: { name: 'a'.repeat(100_000) }, findings: [virus] });
  assert.ok(Buffer.byteLength(createPolicy().decide(long, session('SMTP')).verdict.replacement) <= 400);
});

// The file filter.
function filter(
  rule: Partial<FileFilterRule>,
  more: Partial<FileFilterRule>[] = [],
  profile: object = {},
): SessionProfiles {
  const complete = (each: Partial<FileFilterRule>, at: number): FileFilterRule => ({
    name: `rule${at}`,
    protocols: new Set(['smtp', 'pop3', 'ftp', 'cifs']),
    action: 'block',
    direction: 'any',
    passwordProtected: false,
    fileTypes: new Set(['exe']),
    ...each,
  });
  return {
    ...BUILT_IN_PROFILES,
    fileFilter: { name: 'ff', log: true, scanArchiveContents: true, rules: [rule, ...more].map(complete), ...profile },
  };
}
const byName = (name: string) => (name.endsWith('.exe') ? ['exe'] : []);
const filtered = (root: Inspected, service: string, using: SessionProfiles) => {
  const decision = createPolicy(using, byName).decide(root, session(service));
  return {
    action: decision.verdict.action,
    records: decision.outcomes.map((outcome) =>
      outcome.kind === 'file-filter'
        ? [outcome.action, outcome.rule, outcome.fileType, outcome.match?.fileType, outcome.match?.name]
        : [outcome.action, outcome.kind],
    ),
    root: decision.verdicts.get(root.info.id)?.verdict,
  };
};

test('what the filter blocks has its record alone, virus or not', () => {
  assert.deepEqual(filtered(mail({ types: ['exe'], findings: [virus] }), 'SMTP', filter({})), {
    action: 'block',
    records: [['blocked', 'rule0', 'exe', undefined, undefined]],
    root: 'infected',
  });
  assert.equal(filtered(mail({ types: ['exe'] }), 'POP3', filter({})).root, 'blocked');
});

test('what the filter only logs goes on to the antivirus profile', () => {
  const got = filtered(mail({ types: ['exe'], findings: [virus] }), 'SMTP', filter({ action: 'log-only' }));
  assert.deepEqual(got.records, [
    ['passthrough', 'rule0', 'exe', undefined, undefined],
    ['blocked', 'infected'],
  ]);
  assert.equal(filtered(mail({ types: ['exe'] }), 'SMTP', filter({ action: 'log-only' })).root, 'clean');
});

test('a rule that blocks comes before one that logs, whatever their order', () => {
  const rules = filter({ action: 'log-only' }, [{ action: 'block' }]);
  assert.deepEqual(filtered(mail({ types: ['exe'] }), 'SMTP', rules).records, [
    ['blocked', 'rule1', 'exe', undefined, undefined],
  ]);
});

test('a member decides for its archive; not where archives are not looked into', () => {
  const root = () => mail({ types: ['zip'], children: [{ types: ['exe'], meta: { name: 'in.bin' } }] });
  assert.deepEqual(filtered(root(), 'SMTP', filter({})).records, [['blocked', 'rule0', 'zip', 'exe', 'in.bin']]);
  assert.deepEqual(filtered(root(), 'SMTP', filter({}, [], { scanArchiveContents: false })).records, []);
});

test('every name that a reader might take counts', () => {
  for (const name of [
    'a.exe',
    'a.exe\0.txt',
    'a.txt\0a.exe',
    'a.e\0xe',
    '..\\..\\a.exe',
    '/etc/a.exe',
    'a.exe. .',
    'a.exe::$DATA',
  ])
    assert.equal(filtered(mail({ meta: { name } }), 'SMTP', filter({})).records.length, 1, JSON.stringify(name));
  assert.equal(
    filtered(mail({ meta: { name: 'a.png' }, otherNames: ['a.exe'] }), 'SMTP', filter({})).records.length,
    1,
  );
  assert.equal(filtered(mail({ meta: { name: 'a.png' } }), 'SMTP', filter({})).records.length, 0);
});

test('direction is of the transfer, and ignored for mail', () => {
  const incoming = filter({ direction: 'incoming' });
  const upload = tree({ types: ['exe'] });
  const download = tree({ types: ['exe'], meta: { direction: 'download' } });
  assert.equal(filtered(upload, 'SMB', incoming).records.length, 0);
  assert.equal(filtered(download, 'SMB', incoming).records.length, 1);
  assert.equal(filtered(mail({ types: ['exe'] }), 'SMTP', incoming).records.length, 1);
});

test('password-protected matches only what needs a password, and protocols only their own', () => {
  const rules = filter({ passwordProtected: true, fileTypes: new Set(['zip']) });
  assert.equal(filtered(mail({ types: ['zip'] }), 'SMTP', rules).records.length, 0);
  assert.deepEqual(filtered(mail({ types: ['zip'], encrypted: true }), 'SMTP', rules).records, [
    ['blocked', 'rule0', 'zip', undefined, undefined],
  ]);
  assert.equal(filtered(mail({ types: ['exe'] }), 'SMTP', filter({ protocols: new Set(['ftp']) })).records.length, 0);
});

test('what a scanner that failed left unjudged is blocked for now, and with fail-open passes on record; what else is wrong blocks as ever', () => {
  const failed = unscannable('engine-error');
  const verdict = (findings: readonly Finding[], failOpen: boolean) => {
    const using = profiles({ avScan: 'block' }, {}, { failOpen });
    const decision = createPolicy(using).decide(mail({ findings }), session('SMTP'));
    const { action, temporary } = decision.verdict;
    return [action, temporary, ...decision.outcomes.map((each) => `${each.kind}:${each.action}`)];
  };
  assert.deepEqual(verdict([failed], false), ['block', true, 'scanerror:blocked']);
  assert.deepEqual(verdict([unscannable('gap')], false), ['block', undefined, 'scanerror:blocked']);
  assert.deepEqual(verdict([failed], true), ['monitor', undefined, 'scanerror:passthrough']);
  assert.deepEqual(verdict([failed, unscannable('gap')], true), ['block', undefined, 'scanerror:blocked']);
  assert.deepEqual(verdict([failed, virus], true), ['block', undefined, 'infected:blocked']);
});

test('a message names where the file lies in quarantine, when it does', () => {
  const using = profiles(
    { avScan: 'block' },
    {},
    { replacementMessages: { ...BUILT_IN_PROFILES.replacementMessages, 'smtp-virus': 'kept as [%%QUARFILENAME%%]' } },
  );
  const root = mail({ findings: [virus], sha256: 'abc' });
  const said = (quarantined: boolean) =>
    createPolicy(using).decide(root, session('SMTP'), () => quarantined).verdict.replacement;
  assert.equal(said(true), 'kept as [abc]');
  assert.equal(said(false), 'kept as []');
});
