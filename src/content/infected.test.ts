import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { FileInfo, Inspected } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { EICAR, inspecting } from '../testing/inspecting.js';
import { createUnpackers } from './archive/unpackers.js';
import type { InfectedTaker } from './node.js';
import { identify } from './types/identify.js';

const META = { name: 'a.gz', direction: 'upload' } as const;

interface Taken {
  readonly info: FileInfo;
  readonly viruses: readonly string[];
  readonly bytes: Buffer;
}

/** Keeps a copy of what it is given. */
function taking(into: Taken[], before: () => Promise<void> = () => Promise.resolve()): InfectedTaker {
  return async (content, info, viruses) => {
    await before();
    into.push({ info, viruses: [...viruses], bytes: Buffer.from(content.read(0, content.length)) });
  };
}

function inspected(
  infected: InfectedTaker,
  bytes: Buffer,
  options: Parameters<typeof inspecting>[0] = {},
): Promise<Inspected> {
  return new Promise((resolve) => {
    const file = inspecting({ identify, ...options }).open(META, resolve, undefined, undefined, infected);
    file.write(bytes, 0, bytes.length);
    file.end();
  });
}

test('an archive with a virus is handed over as it came, behind the member that has it, with what was found', async () => {
  const { unpackers, close } = createUnpackers({ limits: DEFAULT_LIMITS });
  const taken: Taken[] = [];
  const packed = gzipSync(EICAR);
  const root = await inspected(taking(taken), packed, { unpackers });
  close();
  assert.deepEqual(
    taken.map(({ viruses, bytes }) => [viruses, bytes.equals(packed), bytes.equals(EICAR)]),
    [
      [['EICAR_TEST_FILE'], false, true],
      [['EICAR_TEST_FILE'], true, false],
    ],
  );
  assert.equal(taken[1]?.info.id, root.info.id);
});

test('a file in which nothing was found is not handed over', async () => {
  const taken: Taken[] = [];
  await inspected(taking(taken), Buffer.from('nothing in here'));
  assert.equal(taken.length, 0);
});

test('a file is not done, and keeps its bytes, until its taker is', async () => {
  const taken: Taken[] = [];
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let done = false;
  const root = inspected(
    taking(taken, () => gate),
    EICAR,
  ).then(() => {
    done = true;
  });
  await new Promise(setImmediate);
  assert.equal(done, false);
  go();
  await root;
  assert.deepEqual(taken[0]?.bytes, EICAR);
});

test('a taker that fails, at once or later, changes nothing of what was found', async () => {
  for (const failing of [
    () => {
      throw new Error('at once');
    },
    () => Promise.reject(new Error('later')),
  ]) {
    const root = await inspected(failing, EICAR);
    assert.ok(root.findings.some((finding) => finding.kind === 'infected'));
  }
});
