import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { Arena } from '../core/arena.js';
import type {
  ChildMeta,
  ChildStream,
  Container,
  Content,
  Extractor,
  FileMeta,
  Finding,
  Inspected,
  Scanner,
  Unpacker,
} from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { EICAR, inspecting, told } from '../testing/inspecting.js';
import { Inspection } from './inspection.js';
import { createMimeExtractor } from './mime/mime-extractor.js';
import type { RootFile } from './node.js';

const FILE: FileMeta = { name: 'a.bin', direction: 'upload' };
const ZEROS = Buffer.alloc(1 << 20);

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes one file by `write` and ends it; fails unless it is done with then. */
function inspectBy(inspection: Inspection, write: (file: RootFile) => void, meta: FileMeta = FILE): Inspected {
  let root: Inspected | undefined;
  const file = inspection.open(meta, (inspected) => {
    assert.equal(root, undefined, 'done is called once');
    root = inspected;
  });
  write(file);
  file.end();
  assert.ok(root !== undefined, 'done was called within end()');
  return root;
}

function inspect(inspection: Inspection, ...pieces: readonly Buffer[]): Inspected {
  return inspectBy(inspection, (file) => {
    for (const piece of pieces) file.write(piece, 0, piece.length);
  });
}

/** Resolves with the file that was written as `bytes`, and says whether it was done with within its end. */
async function inspectLater(inspection: Inspection, bytes: Buffer): Promise<{ root: Inspected; atOnce: boolean }> {
  let ended = false;
  const result = new Promise<{ root: Inspected; atOnce: boolean }>((resolve) => {
    const file = inspection.open(FILE, (root) => resolve({ root, atOnce: !ended }));
    file.write(bytes, 0, bytes.length);
    file.end();
    ended = true;
  });
  return result;
}

function put(child: ChildStream, bytes: Buffer): void {
  child.write(bytes, 0, bytes.length);
}

/**
 * Takes `[name=text]` boxes apart, for tests: what begins with `[` is a box. `unpack` decides how members are opened.
 */
function boxes(unpack: Unpacker['unpack'] = openBoxes): Unpacker {
  return { name: 'box', accepts: (_types, content) => content.read(0, 1).toString() === '[', unpack };
}

function openBoxes(content: Content, container: Container): void {
  const text = content.read(0, content.length).toString();
  for (const member of text.slice(1, -1).split(';')) {
    const cut = member.indexOf('=');
    const child = container.open({ name: member.slice(0, cut) });
    put(
      child,
      Buffer.from(
        member
          .slice(cut + 1)
          .replaceAll('<', '[')
          .replaceAll('>', ']')
          .replaceAll(',', ';'),
      ),
    );
    child.end();
  }
}

/** A stand-in for the mail extractor: `--NAME:` lines start parts, `===` a part that is again a message. */
const LINES: Extractor = {
  name: 'mime',
  accepts: (meta) => meta.declaredType === 'message/rfc822',
  begin(container) {
    let child: ChildStream | undefined;
    return {
      write(chunk, start, end) {
        for (let at = start; at < end; at++) {
          if (chunk[at] === 0x2d) {
            child?.end();
            child = container.open({ name: 'part' });
          } else child?.write(chunk, at, at + 1);
        }
      },
      gap(length) {
        child?.gap(length);
      },
      finish(complete) {
        if (complete) child?.end();
        else child?.abort('reset');
      },
    };
  },
};
const MESSAGE: FileMeta = { name: 'm.eml', direction: 'upload', declaredType: 'message/rfc822' };

test('hashes, scans and hands back a file within its end', () => {
  const clean = Buffer.from('nothing to see');
  const root = inspect(inspecting(), clean.subarray(0, 3), clean.subarray(3));
  assert.deepEqual(told(root), { name: 'a.bin', size: 14, state: 'complete', findings: [], children: [] });
  assert.equal(root.info.sha256, sha256(clean));
});

test('finds EICAR however the file was cut', () => {
  const inspection = inspecting();
  const bytes = Buffer.concat([Buffer.from('before '), EICAR, Buffer.from(' after')]);
  for (let cut = 1; cut < bytes.length; cut++) {
    const root = inspect(inspection, bytes.subarray(0, cut), bytes.subarray(cut));
    assert.deepEqual(told(root).findings, ['infected EICAR_TEST_FILE'], `cut at ${cut}`);
  }
});

test('an empty file is a file of size 0 with the hash of nothing', () => {
  const root = inspect(inspecting());
  assert.equal(root.info.size, 0);
  assert.equal(root.info.sha256, sha256(Buffer.alloc(0)));
  assert.deepEqual(root.findings, []);
});

test('takes a file in memory up to the slot limit and spools one byte more, with the same result', () => {
  for (const size of [65_536, 65_537, 65_536 * 3 + 5]) {
    const bytes = Buffer.alloc(size, 'x');
    EICAR.copy(bytes, size - EICAR.length);
    const root = inspect(inspecting(), bytes.subarray(0, 1000), bytes.subarray(1000, 65_530), bytes.subarray(65_530));
    assert.equal(root.info.sha256, sha256(bytes), `${size}`);
    assert.equal(root.info.size, size);
    assert.deepEqual(told(root).findings, ['infected EICAR_TEST_FILE']);
  }
});

test('EICAR is found at every offset around the border of two pieces of a spooled file', () => {
  const border = 1_048_576;
  for (let before = 0; before <= EICAR.length; before += 1) {
    const bytes = Buffer.alloc(border + 100, 'x');
    EICAR.copy(bytes, border - before);
    const root = inspect(inspecting(), bytes);
    assert.deepEqual(told(root).findings, ['infected EICAR_TEST_FILE'], `${before} bytes before the border`);
  }
});

test('one byte more than a file may have is a limit by name, and what came before it is scanned', () => {
  const bytes = Buffer.concat([EICAR, Buffer.from('123')]);
  const limits = { fileSize: EICAR.length + 2 };
  assert.equal(inspect(inspecting({}, limits), bytes.subarray(0, -1)).info.state, 'complete');
  const root = inspect(inspecting({}, limits), bytes.subarray(0, 10), bytes.subarray(10));
  assert.deepEqual(told(root), {
    name: 'a.bin',
    size: bytes.length,
    state: 'limit',
    findings: ['unscannable limit fileSize', 'infected EICAR_TEST_FILE'],
    children: [],
  });
  assert.equal(root.info.sha256, sha256(bytes.subarray(0, -1)));
});

test('a spool that fails leaves a file unscannable by engine error, with what was seen scanned', () => {
  const bytes = Buffer.concat([EICAR, ZEROS.subarray(0, 65_536)]);
  const root = inspect(inspecting({ spoolDirectory: '/nonexistent' }), bytes.subarray(0, 100), bytes.subarray(100));
  const { findings, state, size } = told(root);
  assert.equal(state, 'limit');
  assert.equal(size, bytes.length);
  assert.match(findings[0]!, /^unscannable engine-error spool: ENOENT/);
  assert.equal(findings[1], 'infected EICAR_TEST_FILE');
});

test('a file that is cut, has a gap or was overwritten is told so and is scanned all the same', () => {
  const seen = (write: (file: RootFile) => void): readonly string[] => {
    const root = inspectBy(inspecting(), (file) => {
      file.write(EICAR, 0, EICAR.length);
      write(file);
    });
    return [root.info.state, ...told(root).findings];
  };
  const eicar = 'infected EICAR_TEST_FILE';
  assert.deepEqual(
    seen((file) => file.abort('reset')),
    ['truncated', 'unscannable truncated', eicar],
  );
  assert.deepEqual(
    seen((file) => file.abort('gap')),
    ['gap', 'unscannable gap', eicar],
  );
  assert.deepEqual(
    seen((file) => file.gap(0)),
    ['gap', 'unscannable gap', eicar],
  );
  assert.deepEqual(
    seen((file) => file.abort('rewritten')),
    ['truncated', 'unscannable overlap its bytes were overwritten', eicar],
  );
  assert.deepEqual(
    seen((file) => {
      file.gap(10);
      file.abort('reset');
    }),
    ['gap', 'unscannable gap', 'unscannable truncated', eicar],
  );
});

test('what follows a small gap keeps its place, what follows a large one comes next', () => {
  for (const [holeBytes, length] of [
    [100, 100],
    [99, 100],
  ] as const) {
    let kept = Buffer.alloc(0);
    const inspection = inspecting({ keep: (_hash, content) => (kept = Buffer.from(content.bytes!)) }, { holeBytes });
    const root = inspectBy(inspection, (file) => {
      file.write(Buffer.from('front'), 0, 5);
      file.gap(length);
      file.write(Buffer.from('back'), 0, 4);
    });
    const zeros = Buffer.alloc(holeBytes >= length ? length : 0);
    assert.ok(kept.equals(Buffer.concat([Buffer.from('front'), zeros, Buffer.from('back')])));
    assert.equal(root.info.state, 'gap');
  }
});

test('the engine may report what only it knows, before the end', () => {
  const root = inspectBy(inspecting(), (file) =>
    file.report({ kind: 'unscannable', reason: 'overlap', detail: 'tcp-overlap' }),
  );
  assert.deepEqual(told(root).findings, ['unscannable overlap tcp-overlap']);
});

test('nothing is taken after the end', () => {
  let file: RootFile | undefined;
  const root = inspectBy(inspecting(), (opened) => {
    file = opened;
  });
  file!.write(EICAR, 0, EICAR.length);
  file!.writeAt(0, EICAR, 0, EICAR.length);
  file!.gap(1);
  file!.abort('reset');
  assert.deepEqual(told(root), { name: 'a.bin', size: 0, state: 'complete', findings: [], children: [] });
});

test('bytes at positions in any order, rewritten or missing, give the file that a plain buffer gives', () => {
  const piece = fc.record({ at: fc.nat(3000), length: fc.integer({ min: 1, max: 1500 }), seed: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), fc.constantFrom(1024, 65_536), (pieces, slot) => {
      const model = { bytes: Buffer.alloc(0), written: new Set<number>() };
      let kept: Buffer = Buffer.alloc(0);
      const keep = (_hash: string, content: Content): void => {
        kept = Buffer.from(content.read(0, content.length));
      };
      const root = inspectBy(inspecting({ keep }, { slot, slots: 65_536 }), (file) => {
        for (const { at, length, seed } of pieces) {
          const bytes = Buffer.alloc(length, seed);
          file.writeAt(at, bytes, 0, length);
          const next = Buffer.alloc(Math.max(model.bytes.length, at + length));
          model.bytes.copy(next);
          bytes.copy(next, at);
          model.bytes = next;
          for (let position = at; position < at + length; position++) model.written.add(position);
        }
      });
      const whole = model.written.size === model.bytes.length;
      assert.equal(root.info.state, whole ? 'complete' : 'gap');
      assert.equal(root.findings.length, whole ? 0 : 1);
      assert.ok(kept.equals(model.bytes));
      assert.equal(root.info.sha256, sha256(model.bytes));
    }),
    { numRuns: 100 },
  );
});

test('one missing byte more than the window holds, or one hole, gives the first up: what came is kept without it', () => {
  const far = inspectBy(inspecting({}, { holeBytes: 100 }), (file) => {
    file.writeAt(101, EICAR, 0, EICAR.length);
    file.writeAt(0, Buffer.alloc(101), 0, 101);
  });
  assert.deepEqual(told(far).findings, ['unscannable gap holeBytes', 'infected EICAR_TEST_FILE']);
  assert.equal(far.info.size, EICAR.length);

  const near = inspectBy(inspecting({}, { holeBytes: 100 }), (file) => {
    file.writeAt(100, EICAR, 0, EICAR.length);
    file.writeAt(0, Buffer.alloc(100), 0, 100);
  });
  assert.equal(near.info.state, 'complete');

  for (const holes of [3, 2]) {
    const root = inspectBy(inspecting({}, { holes }), (file) => {
      for (const at of [1, 3, 5]) file.writeAt(at, ZEROS, 0, 1);
      for (const at of [0, 2, 4]) file.writeAt(at, ZEROS, 0, 1);
    });
    assert.equal(root.info.state, holes === 3 ? 'complete' : 'gap');
  }
});

test('what follows a hole that was given up goes on at its place', () => {
  const root = inspectBy(inspecting({}, { holeBytes: 100 }), (file) => {
    file.writeAt(1000, EICAR, 0, 20);
    file.writeAt(1040, EICAR, 40, EICAR.length);
    file.writeAt(1020, EICAR, 20, 40);
  });
  assert.deepEqual(told(root).findings, ['unscannable gap holeBytes', 'infected EICAR_TEST_FILE']);
  assert.equal(root.info.size, EICAR.length);
});

test('parts of a message are files of their own, in order of opening, and the message is not collected', () => {
  const root = inspectBy(
    inspecting({ extractors: [LINES] }),
    (file) => {
      const text = Buffer.from(`head-first-${EICAR.toString().replaceAll('-', '')}`);
      file.write(text, 0, 8);
      file.write(text, 8, text.length);
    },
    MESSAGE,
  );
  assert.deepEqual(root.info.types, ['mime']);
  assert.equal(root.info.sha256, undefined);
  assert.equal(root.info.size, 11 + EICAR.length - 4);
  assert.deepEqual(
    root.children.map((child) => [child.info.id, child.info.depth, child.info.size, child.info.sha256]),
    [
      [2, 1, 5, sha256(Buffer.from('first'))],
      [3, 1, EICAR.length - 4, sha256(Buffer.from(EICAR.toString().replaceAll('-', '')))],
    ],
  );
  assert.equal(root.children[0]!.info.parent, root.info);
});

test('a message is hashed when that is asked for, and kept when somebody keeps files', () => {
  const text = Buffer.from('head-first-second');
  const write = (file: RootFile): void => file.write(text, 0, text.length);
  const hashed = inspectBy(inspecting({ extractors: [LINES], hashContainers: true }), write, MESSAGE);
  assert.equal(hashed.info.sha256, sha256(text));
  const kept: string[] = [];
  const keep = (_hash: string, content: Content): void => {
    kept.push(content.bytes!.toString());
  };
  const both = inspectBy(inspecting({ extractors: [LINES], hashContainers: true, keep }), write, MESSAGE);
  assert.deepEqual(kept, ['first', 'second', 'head-first-second']);
  assert.equal(both.info.sha256, sha256(text));
  assert.equal(both.info.size, text.length);
});

test('a message that comes out of order is taken apart when it is whole', () => {
  const text = Buffer.from('head-first-second');
  const root = inspectBy(
    inspecting({ extractors: [LINES] }),
    (file) => {
      file.writeAt(8, text, 8, text.length);
      file.writeAt(0, text, 0, 8);
    },
    MESSAGE,
  );
  assert.equal(root.info.state, 'complete');
  assert.deepEqual(
    root.children.map((child) => child.info.sha256),
    [sha256(Buffer.from('first')), sha256(Buffer.from('second'))],
  );
});

test('what is a message by its name only is inspected as a file as well', () => {
  const byName: Extractor = { ...LINES, accepts: (meta) => meta.name?.endsWith('.eml') === true };
  const bytes = Buffer.concat([EICAR, Buffer.from('-part')]);
  const meta: FileMeta = { name: 'm.eml', direction: 'upload' };
  const root = inspectBy(inspecting({ extractors: [byName] }), (file) => file.write(bytes, 0, bytes.length), meta);
  assert.deepEqual(told(root).findings, ['infected EICAR_TEST_FILE']);
  assert.equal(root.info.sha256, sha256(bytes));
  assert.equal(root.children.at(-1)!.info.sha256, sha256(Buffer.from('part')));
});

test('a message that is cut cuts the part that it was in', () => {
  const root = inspectBy(
    inspecting({ extractors: [LINES] }),
    (file) => {
      file.write(Buffer.from('-a-b'), 0, 4);
      file.abort('reset');
    },
    MESSAGE,
  );
  assert.deepEqual(
    root.children.map((child) => child.info.state),
    ['complete', 'truncated'],
  );
  assert.deepEqual(told(root).findings, ['unscannable truncated']);
});

test('one part more than a message may have is a limit by name and is not opened', () => {
  const parts = (mimeParts: number): Inspected =>
    inspectBy(
      inspecting({ extractors: [LINES] }, { mimeParts }),
      (file) => file.write(Buffer.from('-a-b-c'), 0, 6),
      MESSAGE,
    );
  assert.deepEqual(told(parts(3)).findings, []);
  assert.deepEqual(told(parts(2)).findings, ['unscannable limit mimeParts']);
  assert.equal(parts(2).children.length, 2);
});

test('a message deeper than messages may lie is not taken apart', () => {
  const nested: Extractor = {
    ...LINES,
    begin: (container) => ({
      write(chunk, start, end) {
        const child = container.open({ name: 'inner', declaredType: 'message/rfc822' });
        child.write(chunk, start + 1, end);
        child.end();
      },
      gap() {},
      finish() {},
    }),
  };
  let file = inspectBy(
    inspecting({ extractors: [nested] }, { mimeDepth: 1 }),
    (one) => one.write(Buffer.from('abcd'), 0, 4),
    MESSAGE,
  );
  for (; file.children.length > 0; file = file.children[0]!) assert.deepEqual(file.findings, []);
  assert.equal(file.info.depth, 2);
  assert.deepEqual(told(file).findings, ['unscannable nested mimeDepth']);
  assert.equal(file.info.sha256, sha256(Buffer.from('cd')));
});

test('members of an archive are inspected, and archives in them', () => {
  const root = inspect(inspecting({ unpackers: [boxes()] }), Buffer.from('[a=one;b=<c=two,d=three>]'));
  const names = (file: Inspected): unknown => [file.info.meta.name, ...file.children.map(names)];
  assert.deepEqual(names(root), ['a.bin', ['a'], ['b', ['c'], ['d']]]);
  assert.equal(root.children[1]!.children[0]!.info.meta.direction, 'upload');
});

test('an archive deeper than archives may nest stays closed and says so', () => {
  const bytes = Buffer.from('[a=<b=c>]');
  const open = inspect(inspecting({ unpackers: [boxes()] }, { nesting: 2 }), bytes);
  assert.equal(open.children[0]!.children[0]!.info.meta.name, 'b');
  const closed = inspect(inspecting({ unpackers: [boxes()] }, { nesting: 1 }), bytes);
  assert.deepEqual(closed.children[0]!.children, []);
  assert.deepEqual(told(closed.children[0]!).findings, ['unscannable nested nesting']);
  assert.deepEqual(closed.findings, []);
});

test('one unpacked byte too many cuts the file and ends unpacking', () => {
  const bytes = Buffer.from('[a=12345;b=<c=1>;d=x]');
  const budget = (unpackedBytes: number): ReturnType<typeof told> =>
    told(inspect(inspecting({ unpackers: [boxes()] }, { unpackedBytes }), bytes));
  const oversize = 'unscannable uncompressed-oversize unpackedBytes';
  assert.deepEqual(budget(12).findings, []);
  assert.equal(budget(12).children.length, 3);
  const over = budget(4);
  assert.deepEqual(over.findings, [oversize]);
  assert.deepEqual(over.children, [{ name: 'a', size: 5, state: 'limit', findings: [oversize], children: [] }]);
});

test('once a bound of the whole tree is crossed, later archives stay closed and say why; other files are scanned', () => {
  const inspection = inspecting({ unpackers: [boxes()], extractors: [LINES] }, { unpackedBytes: 4 });
  const eicar = EICAR.toString().replaceAll('-', '');
  const text = Buffer.from(`-[a=12345]-[b=1]-${eicar}`);
  const root = inspectBy(inspection, (file) => file.write(text, 0, text.length), MESSAGE);
  const oversize = 'unscannable uncompressed-oversize unpackedBytes';
  assert.deepEqual(
    root.children.map((child) => [told(child).findings, child.children.length, child.info.sha256 !== undefined]),
    [
      [[oversize], 1, true],
      [[oversize], 0, true],
      [[], 0, true],
    ],
  );
});

test('one file too many ends unpacking', () => {
  const bytes = Buffer.from('[a=1;b=2;c=3]');
  const budget = (unpackedFiles: number): ReturnType<typeof told> =>
    told(inspect(inspecting({ unpackers: [boxes()] }, { unpackedFiles }), bytes));
  assert.deepEqual(budget(3).findings, []);
  assert.deepEqual(budget(2).findings, ['unscannable limit unpackedFiles']);
  assert.equal(budget(2).children.length, 2);
});

test('a bomb by its ratio is cut one byte past it, and the next archive of the message is opened', () => {
  const bomb = boxes((content, container) => {
    const child = container.open({ name: 'zeros' });
    const size = Number(content.read(1, content.length - 2).toString());
    assert.equal(container.budget.bytesLeft, 5 * content.length);
    child.write(ZEROS, 0, size);
    child.end();
  });
  const inspection = inspecting({ unpackers: [bomb], extractors: [LINES] }, { unpackRatio: 5, ratioFloor: 3 });
  const text = Buffer.from('-[21]-[20]');
  const root = inspectBy(inspection, (file) => file.write(text, 0, text.length), MESSAGE);
  const mailbomb = 'unscannable mailbomb unpackRatio';
  assert.deepEqual(
    root.children.map((child) => [...told(child).findings, ...told(child.children[0]!).findings]),
    [[mailbomb, mailbomb], []],
  );
  assert.deepEqual(root.findings, []);
});

test('unpacking that takes too long ends, and is a timeout', () => {
  let now = 0;
  const slow = boxes((content, container) => {
    openBoxes(content, container);
    now += 600;
    container.open({ name: 'late' }).end();
    assert.equal(container.budget.timeLeft, now <= 1000 ? 1000 - now : 0);
  });
  const inspection = inspecting({ unpackers: [slow], clock: () => now }, { unpackTime: 1000 });
  const root = told(inspect(inspection, Buffer.from('[a=<b=c>;d=<e=f>]')));
  const timeout = 'unscannable timeout unpackTime';
  assert.deepEqual(root.findings, [timeout]);
  assert.deepEqual(
    root.children.map((child) => [child.name, child.findings, child.children.length]),
    [
      ['a', [], 2],
      ['d', [timeout], 1],
    ],
  );
});

test('time that scanners take is not time that unpacking takes', () => {
  let now = 0;
  const slow: Scanner = {
    name: 'slow',
    scan: () => {
      now += 600;
      return [];
    },
  };
  const inspection = inspecting({ unpackers: [boxes()], scanners: [slow], clock: () => now }, { unpackTime: 1000 });
  assert.deepEqual(told(inspect(inspection, Buffer.from('[a=1;b=2;c=3]'))).findings, []);
});

test('a child whose bytes were put into the arena is charged for them like any other', () => {
  const bytes = Buffer.from('0123456789');
  const direct = (arena: Arena, cut: boolean): Unpacker =>
    boxes((_content, container) => {
      const child = container.open({ name: 'direct' });
      const room = child.reserve(64);
      bytes.copy(arena.bytes, room);
      child.grew(bytes.length);
      assert.equal(child.reserve(64), cut ? -1 : room + bytes.length);
      child.end();
    });
  for (const unpackedBytes of [10, 9]) {
    const arena = new Arena(8);
    const limits = { ...DEFAULT_LIMITS, slot: 65_536, slots: 4 * 65_536, unpackedBytes };
    const identify = (): { types: string[] } => ({ types: ['unknown'] });
    const tools = { extractors: [], unpackers: [direct(arena, unpackedBytes === 9)], scanners: [], identify };
    const child = inspect(new Inspection({ ...tools, arena, limits }), Buffer.from('[]')).children[0]!;
    assert.equal(child.info.sha256, sha256(bytes.subarray(0, unpackedBytes)));
    assert.equal(child.info.size, bytes.length);
    assert.equal(child.info.state, unpackedBytes === 10 ? 'complete' : 'limit');
  }
});

test('of many findings in one file the first are kept, and every infection', () => {
  const many = boxes((_content, container) => {
    for (let count = 0; count < 10; count++)
      container.report({ kind: 'unscannable', reason: 'encrypted', detail: `member ${count % 5}` });
    container.report({ kind: 'infected', virus: 'V', virusId: 1, dtype: 'av-engine', by: 'box' });
  });
  const root = (findings: number): readonly string[] =>
    told(inspect(inspecting({ unpackers: [many] }, { findings }), Buffer.from('[]'))).findings;
  const members = [0, 1, 2, 3, 4].map((index) => `unscannable encrypted member ${index}`);
  assert.deepEqual(root(5), [...members, 'infected V']);
  assert.deepEqual(root(4), [...members.slice(0, 4), 'infected V']);
});

test('a child that its unpacker left open is cut, and one opened too late is nowhere', () => {
  let late: Container | undefined;
  const careless = boxes((_content, container) => {
    late = container;
    put(container.open({ name: 'left' }), EICAR);
  });
  const root = inspect(inspecting({ unpackers: [careless] }), Buffer.from('[]'));
  assert.deepEqual(told(root.children[0]!).findings, ['unscannable truncated', 'infected EICAR_TEST_FILE']);
  put(late!.open({ name: 'late' }), EICAR);
  assert.equal(root.children.length, 1);
});

test('what a stage throws is an engine error of that file, and the others go on', () => {
  const fail = (): never => {
    throw new Error('broken');
  };
  const broken: Scanner = { name: 'broken', scan: fail };
  const rejected: Scanner = { name: 'rejected', scan: fail };
  const root = told(
    inspect(
      inspecting({ scanners: [broken, rejected], unpackers: [boxes(fail)], identify: fail, keep: fail }),
      Buffer.from('[]'),
    ),
  );
  assert.deepEqual(root.findings, [
    'unscannable engine-error identify: broken',
    'unscannable engine-error keep: broken',
    'unscannable engine-error broken: broken',
    'unscannable engine-error rejected: broken',
    'unscannable engine-error box: broken',
  ]);
  const stage: Extractor = { ...LINES, begin: () => ({ write: fail, gap: fail, finish: fail }) };
  const message = inspectBy(inspecting({ extractors: [stage] }), (file) => file.write(EICAR, 0, 10), MESSAGE);
  assert.deepEqual(told(message).findings, ['unscannable engine-error mime: broken']);
});

test('an unpacker that finds a password is told on the file', () => {
  const locked = boxes((_content, container) =>
    container.report({ kind: 'unscannable', reason: 'encrypted', detail: 'a.txt' }),
  );
  const root = inspect(inspecting({ unpackers: [locked] }), Buffer.from('[]'));
  assert.equal(root.info.encrypted, true);
  assert.deepEqual(told(root).findings, ['unscannable encrypted a.txt']);
});

test('scanners and unpackers may finish later in any order: findings and children come in theirs', async () => {
  const orders = fc.scheduler();
  await fc.assert(
    fc.asyncProperty(orders, async (scheduler) => {
      const later = (name: string): Scanner => ({
        name,
        scan: async (_info, content): Promise<readonly Finding[]> => {
          await scheduler.schedule(Promise.resolve(), name);
          const virus = `${name}:${content.bytes!.toString('latin1', 0, 3)}`;
          return [{ kind: 'infected', virus, virusId: 1, dtype: 'av-engine', by: name }];
        },
      });
      const unpacker = boxes(async (content, container) => {
        await scheduler.schedule(Promise.resolve(), 'box');
        openBoxes(content, container);
      });
      const inspection = inspecting({ scanners: [later('x'), later('y')], unpackers: [unpacker] });
      const pending = inspectLater(inspection, Buffer.from('[a=111;b=<c=2,d=3>]'));
      await scheduler.waitFor(pending);
      const { root, atOnce } = await pending;
      assert.equal(atOnce, false);
      const flat = (file: ReturnType<typeof told>): unknown => [file.name, file.findings, file.children.map(flat)];
      assert.deepEqual(flat(told(root)), [
        'a.bin',
        ['infected x:[a=', 'infected y:[a='],
        [
          ['a', ['infected x:111', 'infected y:111'], []],
          [
            'b',
            ['infected x:[c=', 'infected y:[c='],
            [
              ['c', ['infected x:2', 'infected y:2'], []],
              ['d', ['infected x:3', 'infected y:3'], []],
            ],
          ],
        ],
      ]);
    }),
    { numRuns: 30 },
  );
});

test('a rejected promise is an engine error', async () => {
  const scanner: Scanner = { name: 'gone', scan: () => Promise.reject(new Error('exit 137')) };
  const { root } = await inspectLater(inspecting({ scanners: [scanner] }), Buffer.from('x'));
  assert.deepEqual(told(root).findings, ['unscannable engine-error gone: exit 137']);
});

test('memory is given back: a thousand files of every way go through one slot', () => {
  const inspection = inspecting({ unpackers: [boxes()] }, { slots: 65_536 });
  for (let count = 0; count < 1000; count++) {
    const bytes = count % 2 === 0 ? Buffer.from('[a=1;b=<c=2>]') : ZEROS.subarray(0, 70_000);
    assert.deepEqual(inspect(inspection, bytes).findings, []);
  }
});

test('a part lies in its message from its headers to where it was ended', () => {
  const spans: Extractor = {
    ...LINES,
    begin: (container) => ({
      write() {
        const meta: ChildMeta = { name: 'a', otherNames: ['b'], attachment: true, span: { start: 3, body: 5 } };
        container.open(meta).end(9);
        container.headers({ from: 'a@x', to: undefined, cc: undefined, subject: 's' });
      },
      gap() {},
      finish() {},
    }),
  };
  const root = inspectBy(inspecting({ extractors: [spans] }), (file) => file.write(ZEROS, 0, 10), MESSAGE);
  const part = root.children[0]!.info;
  assert.deepEqual(part.span, { start: 3, body: 5, end: 9 });
  assert.deepEqual(part.otherNames, ['b']);
  assert.equal(part.attachment, true);
  assert.equal(root.info.headers?.subject, 's');
});

test('a transfer encoding that nobody takes off is unscannable, not scanned as it stands', () => {
  const root = inspectBy(inspecting(), () => {}, { ...FILE, encoding: 'base64' });
  assert.deepEqual(told(root).findings, ['unscannable unhandled encoding base64']);
});

test('of a message of which only the beginning was asked for, parts that were cut are truncated, and nothing else is wrong', () => {
  const limits = { ...DEFAULT_LIMITS, slot: 65_536, slots: 4 * 65_536 };
  const arena = new Arena(64);
  const inspection = inspecting({ extractors: [createMimeExtractor({ arena, limits })] });
  const header = 'From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="foo"\r\n\r\n';
  const beginning = (text: string) =>
    told(
      inspectBy(inspection, (file) => file.write(Buffer.from(text), 0, text.length), {
        name: undefined,
        direction: 'download',
        declaredType: 'message/rfc822',
        partial: true,
      }),
    );
  assert.deepEqual(beginning(header).findings, []);
  assert.deepEqual(beginning('From: a@b\r\nSubject: x\r\n\r\n').children[0]?.findings, []);
  const cut = beginning(`${header}--foo\r\n\r\nhel`);
  assert.deepEqual(cut.findings, []);
  assert.deepEqual(cut.children[0]?.findings, ['unscannable truncated']);
});

test('a message that is attached as something else is taken apart by its content, but for text', () => {
  const inspection = inspecting({
    extractors: [LINES],
    identify: (content) => ({ types: [content.read(0, 1)[0] === 0x2d ? LINES.name : 'unknown'] }),
  });
  const bytes = Buffer.from('-one-two');
  const write = (file: RootFile) => file.write(bytes, 0, bytes.length);
  assert.equal(inspectBy(inspection, write, { ...FILE, declaredType: 'application/octet-stream' }).children.length, 2);
  assert.equal(inspectBy(inspection, write).children.length, 2);
  assert.equal(inspectBy(inspection, write, { ...FILE, declaredType: 'text/plain' }).children.length, 0);
});

test('whatever is done to a file, in whatever order, it is done with once, and is clean only when it came whole', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('write'), length: fc.nat(3000) }),
    fc.record({ kind: fc.constant('writeAt'), at: fc.nat(20_000), length: fc.nat(3000) }),
    fc.record({ kind: fc.constant('gap'), length: fc.nat(2000) }),
  );
  const ending = fc.constantFrom('end', 'reset', 'gap', 'rewritten');
  const meta = fc.constantFrom(FILE, MESSAGE, { ...FILE, name: 'm.eml' });
  const byName: Extractor = {
    ...LINES,
    accepts: (one) => one.declaredType === 'message/rfc822' || one.name === 'm.eml',
  };
  const limits = fc.record({
    slot: fc.constantFrom(4096, 8192),
    fileSize: fc.constantFrom(5000, 1 << 20),
    spool: fc.constantFrom(6000, 1 << 20),
    holeBytes: fc.constantFrom(1000, 10_000),
    holes: fc.constantFrom(1, 100),
    mimeParts: fc.constantFrom(3, 1000),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 15 }), ending, meta, limits, (operations, end, what, bounds) => {
      const bytes = Buffer.from('text - and more '.repeat(200));
      const inspection = inspecting({ extractors: [byName], hashContainers: true }, { ...bounds, slots: 8192 });
      let expected = 0;
      const root = inspectBy(
        inspection,
        (file) => {
          for (const one of operations) {
            if (one.kind === 'gap') file.gap(one.length);
            else if ('at' in one) file.writeAt(one.at, bytes, 0, one.length);
            else file.write(bytes, 0, one.length);
            if (one.kind === 'write') expected += one.length;
          }
          if (end !== 'end') file.abort(end as 'reset');
        },
        what,
      );
      const whole = operations.every((one) => one.kind === 'write') && end === 'end';
      if (whole) assert.equal(root.info.size, expected);
      if (root.info.state === 'complete')
        assert.equal(operations.some((one) => one.kind === 'gap') || end !== 'end', false);
      else assert.notEqual(root.findings.length, 0);
      assert.notEqual(root.info.sha256, undefined);
      // All memory is given back: the next file of the same inspection fits.
      assert.equal(inspect(inspection, bytes.subarray(0, 4096)).info.state, 'complete');
    }),
    { numRuns: 300 },
  );
});
