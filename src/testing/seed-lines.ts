/**
 * The facts behind the vendor's sample lines of utm logs ("UTM scanning on TCP forwarding access proxy traffic", FortiOS 7.0.4), which
 * samples/seeds/utm-lines.txt holds without the ordinals that `execute log display` puts in front: the session, the outcome and
 * the clock that make each line. For the test of the records, and for tests that run the same sessions through the engine.
 */
import { readFileSync } from 'node:fs';
import type { FileInfo, FileMeta } from '../core/file.js';
import type { SessionInfo } from '../core/session.js';
import type { Outcome } from '../policy/outcome.js';

export interface SeedLine {
  readonly name: string;
  readonly line: string;
  /** Nanoseconds since 1970. */
  readonly eventTime: bigint;
  /** One line was written 29 ms after its event, when the next second had begun. */
  readonly writtenAt: bigint;
  readonly session: SessionInfo;
  readonly outcome: Outcome;
}

/** The offset of all of them. */
export const SEED_ZONE = '-0800';

/** In the order of the file. */
export function seedLines(): SeedLine[] {
  const lines = readFileSync('samples/seeds/utm-lines.txt', 'utf8').trimEnd().split('\n');
  if (lines.length !== CASES.length) throw new RangeError(`${lines.length} lines, ${CASES.length} cases`);
  return CASES.map(([name, eventTime, session, outcome], index) => ({
    name,
    line: lines[index] ?? '',
    eventTime,
    writtenAt: WRITTEN_AT.get(eventTime) ?? eventTime,
    session,
    outcome,
  }));
}

const WRITTEN_AT = new Map([[1642121036970794477n, 1642121037000000000n]]);

const TLS = { version: 'TLS 1.2', cipher: undefined, sni: undefined, decrypted: true };
const EXE_SHA256 = 'e39ed6986b7df43e394a71357929e3a2e5b72fa0d170246b47cb7fb6675eda3d';
const COM_SHA256 = '275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f';

/** The session of those lines that are about mail. */
export function seedMailSession(
  service: string,
  id: number,
  clientPort: number,
  serverPort: number,
  tls = false,
): SessionInfo {
  return {
    id,
    client: { address: '10.1.100.44', port: clientPort },
    server: { address: '172.16.200.55', port: serverPort },
    service,
    tls: tls ? TLS : undefined,
    vdom: 'vdom1',
    policy: { id: 1, uuid: '325d4516-74a8-51ec-db9b-a5511f9a7842', type: 'proxy-policy' },
    srcIntf: { name: 'port21', role: 'undefined' },
    dstIntf: { name: 'vdom1', role: 'undefined' },
    srcCountry: 'Reserved',
    dstCountry: 'Reserved',
    srcUuid: '0f6255fa-742c-51ec-90fa-53966ea2dfeb',
    user: {
      fctuid: '90281C4D7C1B41AAB795DD870177BDAE',
      unauthuser: 'qa',
      unauthusersource: 'forticlient',
      srcdomain: 'releaseqa.fortinet.com',
    },
  };
}

function shareSession(id: number, clientPort: number): SessionInfo {
  return {
    id,
    client: { address: '192.168.4.119', port: clientPort },
    server: { address: '172.16.100.80', port: 445 },
    service: 'SMB',
    tls: undefined,
    vdom: 'root',
    policy: { id: 1, uuid: 'c6c33072-aa18-51eb-5fe7-cfc4055b0e7d', type: 'proxy-policy' },
    srcIntf: { name: 'port4', role: 'undefined' },
    dstIntf: { name: 'root', role: 'undefined' },
    srcCountry: 'Reserved',
    dstCountry: 'Reserved',
    srcUuid: '88a8d5b0-4f66-51eb-26a7-cfcffb04b300',
    user: { fctuid: 'C7F3ACD19E174AADBB96B2DCF3B75D52', unauthuser: 'fosqa', unauthusersource: 'forticlient' },
  };
}

function file(meta: FileMeta, more: Partial<FileInfo> = {}): FileInfo {
  return {
    id: 1,
    meta,
    parent: undefined,
    depth: 0,
    types: ['unknown'],
    size: 68,
    sha256: undefined,
    state: 'complete',
    encrypted: false,
    ...more,
  };
}

const INFECTED = {
  kind: 'infected',
  virus: 'EICAR_TEST_FILE',
  virusId: 2172,
  dtype: 'av-engine',
  profile: 'test-av',
} as const;

function infectedMail(
  action: 'blocked' | 'attachment-removed',
  direction: 'upload' | 'download',
  mail: NonNullable<FileMeta['mail']>,
  subject: string,
  attachment: { name: string; sha256: string } = { name: 'eicar.exe', sha256: EXE_SHA256 },
): Outcome {
  const address = 'testpc3@qa.fortinet.com';
  const root = file(
    { name: undefined, direction, declaredType: 'message/rfc822', mail },
    { types: ['mime'], headers: { from: address, to: address, cc: undefined, subject } },
  );
  const part = file(
    { name: attachment.name, direction },
    { id: 2, parent: root, depth: 1, sha256: attachment.sha256, attachment: true },
  );
  return { ...INFECTED, action, file: part, root };
}

function infectedShare(name: string, sha256: string): Outcome {
  const root = file({ name, direction: 'upload', path: '\\\\172.16.100.80\\Swap-1day' }, { sha256 });
  return { ...INFECTED, action: 'blocked', file: root, root };
}

function filtered(action: 'blocked' | 'passthrough', direction: 'upload' | 'download', size: number): Outcome {
  const meta = { name: 'fhou\\winrar-x64-601.exe', direction, path: '\\\\172.16.100.80\\Swap-1day' };
  const root = file(meta, { types: ['exe'], size });
  return {
    kind: 'file-filter',
    rule: 'file01',
    fileType: 'exe',
    profile: 'test_file_filter',
    action,
    file: root,
    root,
  };
}

const envelope = { sender: 'testpc3@qa.fortinet.com', recipients: ['testpc3@qa.fortinet.com'] };
const pop3Login = { login: 'testpc3' };
const imapLogin = { login: '"testpc3"' };

const CASES: readonly [name: string, eventTime: bigint, session: SessionInfo, outcome: Outcome][] = [
  [
    'POP3',
    1642119184944916750n,
    seedMailSession('POP3', 49481, 62056, 110),
    infectedMail('attachment-removed', 'download', pop3Login, 'ZTNA av01'),
  ],
  [
    'IMAP APPEND',
    1642116766716926977n,
    seedMailSession('IMAP', 43017, 61563, 143),
    infectedMail('attachment-removed', 'upload', imapLogin, 'ZTNA av testing'),
  ],
  [
    'SMTP',
    1642116764260408431n,
    seedMailSession('SMTP', 43006, 61559, 25),
    infectedMail('blocked', 'upload', envelope, 'ZTNA av testing'),
  ],
  [
    'IMAP APPEND after STARTTLS',
    1642121036970794477n,
    seedMailSession('IMAP', 54283, 62142, 143, true),
    infectedMail('attachment-removed', 'upload', imapLogin, 'ZTNA ssl port av test'),
  ],
  [
    'SMTP after STARTTLS',
    1642121034843926858n,
    seedMailSession('SMTP', 54276, 62140, 25, true),
    infectedMail('blocked', 'upload', envelope, 'ZTNA ssl port av test'),
  ],
  [
    'POP3S',
    1642120547940825448n,
    seedMailSession('POP3', 52986, 62114, 995, true),
    infectedMail('attachment-removed', 'download', pop3Login, 'Hayder virus ', {
      name: 'eicar.com',
      sha256: COM_SHA256,
    }),
  ],
  [
    'SMB, gzip',
    1642129187739702864n,
    shareSession(403485, 58569),
    infectedShare('eicar.gz', '59ec794669c00c9de24539aa5f53ab2e61a63ff2517c1a7fa1f9ac2298678a77'),
  ],
  [
    'SMB, tar',
    1642129187713723634n,
    shareSession(403485, 58569),
    infectedShare('eicar.tar', 'b3c821df29abc46336495d604903bb13a99ce750bc61fab14491af7682e9663e'),
  ],
  ['CIFS, blocked', 1642127020332998536n, shareSession(395500, 58456), filtered('blocked', 'upload', 524_288)],
  ['CIFS, log only', 1642126981266143580n, shareSession(395500, 58456), filtered('passthrough', 'download', 32_768)],
];
