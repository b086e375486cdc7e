// The vendor's sample lines of file shares, out of recorded SMB sessions: bytes through decoder, extraction, scanning, policy and log.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { smb } from '../../protocols/smb/smb.js';
import { createUnpackers } from '../content/archive/unpackers.js';
import { Inspection } from '../content/inspection.js';
import { identify } from '../content/types/identify.js';
import { typesByName } from '../content/types/names.js';
import { Arena } from '../core/arena.js';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { FlowEngine } from '../flow/engine.js';
import { createPolicy } from '../policy/decide.js';
import type { Policy } from '../policy/outcome.js';
import { BUILT_IN_PROFILES, type FileFilterRule } from '../policy/profiles.js';
import { createScanners } from '../scan/scanners.js';
import { loadSignatures } from '../scan/signatures.js';
import { EICAR, tarOf } from '../testing/archive-bytes.js';
import { decoderContext } from '../testing/context.js';
import { SEED_ZONE, type SeedLine, seedLines } from '../testing/seed-lines.js';
import * as m from '../testing/smb2-messages.js';
import { formatRecord } from './format.js';
import { parseLine } from './parse-line.js';
import { timeZone } from './time-zone.js';
import { toRecord } from './utm.js';

const SHARE = '\\\\172.16.100.80\\Swap-1day';

const arena = new Arena(8192);
const inspection = new Inspection({
  arena,
  limits: DEFAULT_LIMITS,
  extractors: [],
  unpackers: createUnpackers({ limits: DEFAULT_LIMITS }).unpackers,
  scanners: createScanners(loadSignatures(['signatures'])),
  identify,
});

function antivirus(): Policy {
  const { antivirus: profile } = BUILT_IN_PROFILES;
  return createPolicy({ ...BUILT_IN_PROFILES, antivirus: profile && { ...profile, name: 'test-av' } }, typesByName);
}

function fileFilter(action: FileFilterRule['action']): Policy {
  const rule: FileFilterRule = {
    name: 'file01',
    protocols: new Set(['cifs']),
    action,
    direction: 'any',
    passwordProtected: false,
    fileTypes: new Set(['exe']),
  };
  const profile = { name: 'test_file_filter', log: true, scanArchiveContents: true, rules: [rule] };
  return createPolicy({ ...BUILT_IN_PROFILES, antivirus: undefined, fileFilter: profile }, typesByName);
}

/** The lines of a recorded session. */
async function play(seed: SeedLine, policy: Policy, script: readonly (readonly [Side, Buffer])[]): Promise<string[]> {
  const { session, eventTime, writtenAt } = seed;
  const lines: string[] = [];
  const inspected: Promise<void>[] = [];
  const engine = new FlowEngine({
    id: session.id,
    limits: DEFAULT_LIMITS,
    output: undefined,
    services: {
      openFile: (meta) => {
        let settle = () => {};
        inspected.push(
          new Promise((resolve) => {
            settle = resolve;
          }),
        );
        return inspection.open(meta, (root) => {
          for (const outcome of policy.decide(root, session).outcomes)
            lines.push(
              formatRecord(toRecord(outcome, session, { eventTime, writtenAt, zone: timeZone(SEED_ZONE) }), 'default'),
            );
          settle();
        });
      },
      fileEnding: () => {},
      adopted: () => {},
      expect: () => {},
      wakeAt: () => {},
      anomaly: (code) => assert.fail(code),
      bypassed: (reason) => assert.fail(reason),
      failed: (error) => assert.fail(error as Error),
      openLayer: () => undefined,
    },
    decode: smb.decoders(decoderContext()),
  });
  engine.maxUntaken = smb.maxUntaken(DEFAULT_LIMITS);
  for (const [side, bytes] of script) engine.receive(side, bytes);
  engine.close();
  await Promise.all(inspected);
  return lines;
}

const connected: readonly (readonly [Side, Buffer])[] = [
  [CLIENT, m.treeConnect(1, SHARE)],
  [SERVER, m.treeConnected(1)],
];

const upload = (name: string, bytes: Buffer): readonly (readonly [Side, Buffer])[] => [
  ...connected,
  [CLIENT, m.create(2, name, 2)],
  [SERVER, m.created(2, 7, 0, true)],
  [CLIENT, m.write(3, 7, 0, bytes)],
  [SERVER, m.done('write', 3)],
  [CLIENT, m.close(4, 7)],
  [SERVER, m.done('close', 4)],
];

const download = (name: string, bytes: Buffer): readonly (readonly [Side, Buffer])[] => [
  ...connected,
  [CLIENT, m.create(2, name, 1)],
  [SERVER, m.created(2, 7, bytes.length, false)],
  [CLIENT, m.read(3, 7, 0, bytes.length)],
  [SERVER, m.readAnswer(3, bytes)],
  [CLIENT, m.close(4, 7)],
  [SERVER, m.done('close', 4)],
];

/** A program of Windows, as far as anybody looks. */
function program(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.write('MZ');
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('PE\0\0', 0x80, 'latin1');
  bytes.writeUInt16LE(0x14c, 0x84);
  bytes.writeUInt16LE(0x0102, 0x96);
  return bytes;
}

const [, , , , , , gzip, tarred, blocked, logged] = seedLines();
const without = (line: string, field: string) => parseLine(line)?.fields.filter(({ name }) => name !== field);

for (const [seed, name, bytes] of [
  [gzip, 'eicar.gz', gzipSync(EICAR)],
  [tarred, 'eicar.tar', tarOf({ name: 'eicar.com', data: EICAR })],
] as const) {
  test(`SMB: an upload of ${name} gives the vendor's line but for the checksum of a file that nobody has`, async () => {
    assert.ok(seed !== undefined);
    const lines = await play(seed, antivirus(), upload(name, bytes));
    assert.equal(lines.length, 1);
    assert.deepEqual(without(lines[0] ?? '', 'analyticscksum'), without(seed.line, 'analyticscksum'));
  });
}

test("CIFS: a program that the file filter blocks gives the vendor's line byte for byte", async () => {
  assert.ok(blocked !== undefined);
  const lines = await play(blocked, fileFilter('block'), upload('fhou\\winrar-x64-601.exe', program(524_288)));
  assert.deepEqual(lines, [blocked.line]);
});

test("CIFS: a program that the file filter logs gives the vendor's line byte for byte", async () => {
  assert.ok(logged !== undefined);
  const lines = await play(logged, fileFilter('log-only'), download('fhou\\winrar-x64-601.exe', program(32_768)));
  assert.deepEqual(lines, [logged.line]);
});
