import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLIENT, SERVER } from '../../src/core/flow.js';
import { parseCaseFile, runSession, testCases } from '../../src/testing/index.js';
import { parseExtended, parseHostPort, parseLong, placeInReply } from './addresses.js';
import { BlockMode } from './block-mode.js';
import { commandLine, mayOffer, parseCommand } from './commands.js';
import { WorkingDirectory } from './directory.js';
import { ftp } from './ftp.js';

testCases(new URL('../../../samples/ftp/', import.meta.url), [ftp]);

test('a place is read strictly: what two readers could read as two is none', () => {
  assert.deepEqual(parseHostPort('10,0,0,1,4,1'), { address: '10.0.0.1', port: 1025 });
  for (const wrong of [
    '10,0,0,1,4',
    '10,0,0,1,4,1,2',
    '10,0,0,256,4,1',
    '-1,0,0,1,4,1',
    '0x0a,0,0,1,4,1',
    ' 10,0,0,1,4,1',
    '1,1,1,1,0,0',
  ])
    assert.equal(parseHostPort(wrong), undefined, wrong);
  assert.deepEqual(parseExtended('|1|10.0.0.1|1025|'), { address: '10.0.0.1', port: 1025 });
  assert.deepEqual(parseExtended('|2|FD00:1:0::0:44|1025|'), { address: 'fd00:1::44', port: 1025 });
  for (const wrong of [
    '|2|10.0.0.1|1025|',
    '|1|fd00::1|1025|',
    '|3|10.0.0.1|1|',
    '|1|10.0.0.1|0|',
    '|1|10.0.0.1|70000|',
    '1|10.0.0.1|1|',
    '|1|10.0.0.1|1025',
  ])
    assert.equal(parseExtended(wrong), undefined, wrong);
  assert.deepEqual(parseLong('4,4,10,0,0,1,2,4,1'), { address: '10.0.0.1', port: 1025 });
  assert.equal(parseLong('4,5,10,0,0,1,2,4,1'), undefined);
  assert.deepEqual(placeInReply(227, 'Entering Passive Mode 10,0,0,2,4,1'), { address: '10.0.0.2', port: 1025 });
  assert.deepEqual(placeInReply(229, 'Extended (|||1025|)'), { address: undefined, port: 1025 });
  assert.equal(placeInReply(227, 'Entering Passive Mode (1,2,3,4,5,6,7)'), undefined);
});

test('signals in front of a command are no part of it', () => {
  const line = Buffer.from('\xff\xf4\xff\xf2ABOR', 'latin1');
  assert.deepEqual(parseCommand(line, 0, line.length), { verb: 'ABOR', argument: '', bytes: Buffer.alloc(0) });
  const name = Buffer.from('RETR a\xff\xffb', 'latin1');
  const command = parseCommand(name, 0, name.length);
  assert.deepEqual(command, { verb: 'RETR', argument: 'a\xffb', bytes: Buffer.from('a\xffb', 'latin1') });
  assert.deepEqual(commandLine('DELE', command.bytes), Buffer.from('DELE a\xff\xffb\r\n', 'latin1'));
});

test('of the features only those are offered that are known and not refused', () => {
  for (const line of [
    '211-Features:',
    '211 End',
    ' SIZE',
    ' AUTH TLS;SSL',
    ' MLST type*;size*;',
    ' UTF8',
    ' MODE S',
    ' SITE UTIME',
  ])
    assert.ok(mayOffer(line), line);
  for (const line of [' MODE Z', ' REST STREAM', ' CCC', ' HASH SHA-256', ' RANG STREAM', ' SSCN', ' SITE COPY'])
    assert.ok(!mayOffer(line), line);
});

test('names are found where the client stands', () => {
  const at = new WorkingDirectory();
  assert.deepEqual(at.locate('a.txt'), { name: 'a.txt', path: undefined });
  at.enter('/pub/x');
  at.enter('../y');
  assert.deepEqual(at.locate('a.txt'), { name: 'a.txt', path: '/pub/y' });
  assert.deepEqual(at.locate('/z/b.txt'), { name: 'b.txt', path: '/z' });
});

test('blocks give their data, not their markers, at every cut', () => {
  const block = (descriptor: number, data: string) =>
    Buffer.concat([Buffer.from([descriptor, 0, data.length]), Buffer.from(data)]);
  const all = Buffer.concat([block(0, 'one '), block(0x10, '42'), block(0, 'two'), block(0x40, '')]);
  for (let cut = 0; cut <= all.length; cut++) {
    let text = '';
    let ends = 0;
    const mode = new BlockMode({
      write: (chunk, start, end) => {
        text += chunk.toString('latin1', start, end);
      },
      endOfFile: () => ends++,
    });
    const taken = mode.read(all.subarray(0, cut), 0);
    const rest = Buffer.concat([all.subarray(taken)]);
    assert.equal(mode.read(rest, 0), rest.length);
    assert.equal(text, 'one two');
    assert.equal(ends, 1);
  }
  assert.equal(new BlockMode({ write() {}, endOfFile() {} }).read(Buffer.from([0x0f, 0, 1, 0]), 0), -1);
});

test('knows a server by its greeting, and a client by verbs of its own', () => {
  assert.equal(ftp.probe(SERVER, Buffer.from('220 (vsFTPd 3.0.3)\r\n')), 'yes');
  assert.equal(ftp.probe(SERVER, Buffer.from('220 mail ESMTP\r\n')), 'more');
  assert.equal(ftp.probe(SERVER, Buffer.from('+OK\r\n')), 'no');
  assert.equal(ftp.probe(CLIENT, Buffer.from('USER a\r\n')), 'more');
  assert.equal(ftp.probe(CLIENT, Buffer.from('USER a\r\nPASS b\r\nEPSV\r\n')), 'yes');
  assert.equal(ftp.probe(CLIENT, Buffer.from('GET / HTTP/1.1\r\n')), 'more');
});

const LINE = fc.constantFrom(
  ...[
    'C: RETR a',
    'C: STOR b',
    'C: LIST',
    'C: PASV',
    'C: EPSV',
    'C: PORT 10,0,0,1,4,2',
    'C: REST 5',
    'C: TYPE A',
    'C: ABOR',
    'C: CWD x',
    'C: RNTO c',
    'C: PROT P',
    'C: USER b',
  ],
  ...['C: AUTH GSSAPI', 'C: MODE B', 'C: PORT x', 'C: QUIT', 'C: \\*90{y}', 'C: XYZ', 'C:'],
  ...[
    'S: 220 hi',
    'S: 150 go',
    'S: 226 done',
    'S: 426 no',
    'S: 550 no',
    'S: 200 ok',
    'S: 250 ok',
    'S: 257 "/p"',
    'S: 331 pw',
  ],
  ...[
    'S: 227 (10,0,0,2,4,1)',
    'S: 229 (|||1026|)',
    'S: 123-many',
    'S: 123 end',
    'S: what',
    'S: \\*90{z}',
    'S: 227 (1,2,3)',
  ],
  ...['1S: data', '1C: data', '-- fin 1S', '-- fin 1C'],
  ...['-- fin S', '-- fin C', '-- gap S 7', '-- gap C 7', '-- verdicts', '-- wait 31000'],
);

test('any order of lines, gaps, ends and verdicts neither fails the flow nor lets anything out too early', () => {
  const plan = fc.record({
    mode: fc.constantFrom('live' as const, 'passive' as const),
    verdicts: fc.constantFrom('at once' as const, 'late' as const, 'random' as const, 'never' as const),
    seed: fc.integer({ min: 1, max: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(LINE, { maxLength: 30 }), plan, (lines, { mode, verdicts, seed }) => {
      const script = lines.filter((line) => mode === 'passive' || !line.startsWith('-- gap')).join('\n');
      const front = `protocol: ftp\nmodes: ${mode}\ninterleave: no\nlimits: line=64, pipelined=3, replyLines=2\nverdicts: block "no"; pass`;
      const { session } = parseCaseFile(
        `---\n${front}\n---\n\`\`\`session\nS: 220 FTP\nC: USER a\nS: 230 in\n${script}\n\`\`\`\n`,
        [ftp],
      );
      const { problems } = runSession(session, { mode, verdicts, seed });
      // Of data connections that nobody has announced there are none.
      assert.deepEqual(
        problems.filter((each) => !each.endsWith('was never announced')),
        [],
      );
    }),
    { numRuns: 1500 },
  );
});
