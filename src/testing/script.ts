/**
 * A session written down: what each end sends, in the order in which one causes the other. samples/README.md describes the text.
 * A line that starts with C: or S: is a line of bytes from that end (1C:, 1S: of the first connection that the session announced);
 * one that starts with -- is a directive. Nothing here knows a protocol.
 */
import { Buffer } from 'node:buffer';
import { CLIENT, SERVER, type Side } from '../core/flow.js';

/** One end's next move. Streams are numbered flow * 2 + side. */
export interface Step {
  readonly stream: number;
  readonly kind: 'bytes' | 'gap' | 'fin' | 'wait';
  readonly bytes: Buffer;
  /** `gap`: how many bytes are missing; `wait`: milliseconds. */
  readonly length: number;
  /** Every step below this index has happened before. */
  readonly after: number;
  /** Every step of a client below this index has happened before: an answer follows its question. */
  readonly afterClients: number;
  /** Every verdict due by then has arrived before: this end acts on what the verdict let through. */
  readonly afterVerdicts: boolean;
}

export function flowOf(stream: number): number {
  return stream >> 1;
}
export function sideOf(stream: number): Side {
  return (stream & 1) === 0 ? CLIENT : SERVER;
}

const LINE = /^(\d*)([CS]): ?(.*)$/;
const DIRECTIVE = /^-- (\S+)(?: (\d*)([CS]))?(?: (\d+))?$/;

/** Turns a session's text into steps. A line that means nothing is a SyntaxError that names it. */
export function parseScript(text: string): readonly Step[] {
  const steps: Step[] = [];
  let section: number | undefined;
  let afterVerdicts = false;
  const add = (kind: Step['kind'], stream: number, bytes: Buffer, length: number) => {
    const turn = section === undefined && steps.at(-1)?.stream !== stream;
    steps.push({
      stream,
      kind,
      bytes,
      length,
      after: section ?? steps.length,
      afterClients: sideOf(stream) === SERVER ? steps.length : 0,
      afterVerdicts: afterVerdicts || turn || kind === 'wait',
    });
    afterVerdicts = false;
  };
  for (const [index, line] of text.split('\n').entries()) {
    const said = LINE.exec(line);
    if (said !== null) {
      const written = said[3] ?? '';
      const open = /(^|[^\\])(\\\\)*\\$/.test(written);
      add('bytes', streamOf(said[1], said[2]), unescapeBytes(open ? written.slice(0, -1) : `${written}\\r\\n`), 0);
      continue;
    }
    const told = DIRECTIVE.exec(line);
    const stream = streamOf(told?.[2], told?.[3]);
    const amount = Number(told?.[4] ?? 0);
    switch (told?.[1]) {
      case 'pipelined':
        section = steps.length;
        break;
      case 'in-order':
        section = undefined;
        break;
      case 'verdicts':
        if (section !== undefined) section = steps.length;
        afterVerdicts = true;
        break;
      case 'gap':
      case 'fin':
        add(told[1] === 'gap' ? 'gap' : 'fin', stream, Buffer.alloc(0), amount);
        break;
      case 'wait':
        add('wait', CLIENT, Buffer.alloc(0), amount);
        break;
      default:
        if (line.trim() !== '' && !line.startsWith('#'))
          throw new SyntaxError(`session line ${index + 1} is no line of C or S and no directive: ${line}`);
    }
  }
  return steps;
}

function streamOf(flow: string | undefined, side: string | undefined): number {
  return Number(flow ?? 0) * 2 + (side === 'S' ? SERVER : CLIENT);
}

const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|\*(\d+)\{([^}]*)\}|([rnt0\\]))/g;
const PLAIN: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' };

/** UTF-8 text with `\r \n \t \0 \\`, `\xHH` for any byte and `\*5{ab}` for ababababab. */
export function unescapeBytes(text: string): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const found of text.matchAll(ESCAPE)) {
    parts.push(Buffer.from(text.slice(from, found.index)));
    from = found.index + found[0].length;
    if (found[1] !== undefined) parts.push(Buffer.of(Number.parseInt(found[1], 16)));
    else if (found[2] !== undefined) {
      const repeated = unescapeBytes(found[3] ?? '');
      for (let times = Number(found[2]); times > 0; times--) parts.push(repeated);
    } else parts.push(Buffer.from(PLAIN[found[4] ?? ''] ?? ''));
  }
  parts.push(Buffer.from(text.slice(from)));
  return Buffer.concat(parts);
}
