/** What real encoders write: GNU sharutils, UUDeview and macutils. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_LIMITS } from '../../../core/limits.js';
import { EICAR } from '../../../testing/archive-bytes.js';
import { pathOf, peerTest, run, scratch } from '../../../testing/peers/peers.js';
import { unpackWith } from '../../../testing/unpack-recorder.js';
import { encodedTextUnpacker } from './encoded-text.js';

const texts = encodedTextUnpacker(DEFAULT_LIMITS);

/** What a program printed, as bytes: yEnc is no text to a reader of UTF-8. */
function printed(program: string, args: readonly string[], directory: string): Buffer {
  const done = spawnSync(pathOf(program)!, args, { cwd: directory });
  assert.equal(done.status, 0, `${program}: ${done.stderr.toString()}`);
  return done.stdout;
}

const WRITERS = [
  ['uuencode', []],
  ['uuencode', ['-m']],
  ['uuencode', ['-m', '-e']],
  ['uuenview', ['-u']],
  ['uuenview', ['-x']],
  ['uuenview', ['-y']],
  ['binhex', ['-d']],
] as const;

for (const [program, options] of WRITERS)
  peerTest(`takes out what ${[program, ...options].join(' ')} wrote`, [program], async (context) => {
    const directory = scratch(context, 'encoders');
    const large = Buffer.concat(Array.from({ length: 2000 }, (_, i) => Buffer.from(`line ${i}\0\x90\x90`, 'latin1')));
    for (const bytes of [EICAR, large]) {
      writeFileSync(join(directory, 'a.com'), bytes);
      const text = printed(program, [...options, 'a.com', ...(program === 'uuencode' ? ['a.com'] : [])], directory);
      const got = await unpackWith(texts, text);
      assert.deepEqual(got.said, []);
      assert.deepEqual(got.names, ['a.com']);
      assert.ok(got.children[0]!.bytes.equals(bytes));
    }
  });

peerTest("agrees with python's Ascii85", ['python3'], async () => {
  const code = `import base64,sys; sys.stdout.write(base64.a85encode(${JSON.stringify(EICAR.toString())}.encode(), adobe=True, wrapcol=60).decode())`;
  const got = await unpackWith(texts, Buffer.from(run('python3', ['-c', code])));
  assert.deepEqual(got.texts, [EICAR.toString()]);
  assert.deepEqual(got.said, []);
});
