/**
 * A case file: front matter, a `session` fence, a `trace` fence for each kind of flow (samples/README.md describes them). Reads it into
 * a SessionCase, and writes the traces back when a case is regenerated. Fences of other names (`log`) are left alone.
 */
import { Buffer } from 'node:buffer';
import type { Edit, Verdict } from '../core/file.js';
import type { DecoderContext, Protocol } from '../core/flow.js';
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js';
import { decoderContext } from './context.js';
import { parseScript, unescapeBytes } from './script.js';
import type { Mode, SessionCase } from './split.js';

export const MODES = ['live', 'passive'] as const satisfies readonly Mode[];

export interface CaseFile {
  readonly session: SessionCase;
  /** The trace that stands in the file; undefined where there is none yet. */
  trace(mode: Mode): string | undefined;
  /** The file's text with these traces instead. */
  withTraces(traces: ReadonlyMap<Mode, string>): string;
}

const FENCE = /^```(\S+)(?: (\S+))?\n([\s\S]*?)^```$/gm;
const FRONT = /^---\n([\s\S]*?)^---\n/m;

/** `protocols`: those that `protocol:` may name. What is wrong is a SyntaxError. */
export function parseCaseFile(
  text: string,
  protocols: readonly Protocol[],
  context: DecoderContext = decoderContext(),
): CaseFile {
  const front = new Map<string, string>();
  for (const line of (FRONT.exec(text)?.[1] ?? '').split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) front.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const fences = [...text.matchAll(FENCE)];
  const body = (name: string, mode?: string) => fences.find((fence) => fence[1] === name && fence[2] === mode)?.[3];
  const script = body('session');
  if (script === undefined) throw new SyntaxError('a case needs a session fence');
  const named = front.get('protocol');
  const limits = { ...DEFAULT_LIMITS, ...parseLimits(front.get('limits') ?? '') };
  const protocol = protocols.find((one) => one.name === named);
  if (protocol === undefined) throw new SyntaxError(`no protocol is called ${named}`);
  const modes = MODES.filter((mode) => (front.get('modes') ?? 'live, passive').split(/, */).includes(mode));
  const verdicts = (front.get('verdicts') ?? '').split(/; */).map(parseVerdict);
  return {
    session: {
      script: parseScript(script),
      decoders: () => protocol.decoders(context),
      maxUntaken: protocol.maxUntaken(limits),
      modes,
      limits,
      judge: (file) => verdicts[Math.min(file.number, verdicts.length) - 1] ?? PASS,
      splits: front.get('splits') === 'whole' ? 'whole' : 'every',
      interleave: front.get('interleave') !== 'no',
      verdictTiming: front.get('verdict-timing') === 'matters',
    },
    trace: (mode) =>
      body('trace', mode === 'live' ? undefined : mode)?.trimEnd() ??
      (mode === 'live' ? undefined : body('trace')?.trimEnd()),
    withTraces(traces) {
      const kept = text.replace(/\n*^```trace[^\n]*\n[\s\S]*?^```\n?/gm, '\n').trimEnd();
      const live = traces.get('live') ?? traces.get('passive') ?? '';
      const passive = traces.get('passive') ?? live;
      const fence = (name: string, trace: string) => `\n\n\`\`\`${name}\n${trace}\n\`\`\``;
      return `${kept}${fence('trace', live)}${passive === live ? '' : fence('trace passive', passive)}\n`;
    },
  };
}

export const PASS: Verdict = { action: 'pass', replacement: '', edits: [] };

/** `pass`, `block "text"`, `strip 10-20 "text" 40-60 "text"`. */
function parseVerdict(text: string): Verdict {
  const action = text.split(' ', 1)[0] ?? '';
  if (action === '') return PASS;
  if (action !== 'pass' && action !== 'monitor' && action !== 'strip' && action !== 'block')
    throw new SyntaxError(`no verdict is called ${action}`);
  const edits: Edit[] = [];
  for (const found of text.matchAll(/(\d+)-(\d+) "([^"]*)"/g))
    edits.push({ start: Number(found[1]), end: Number(found[2]), instead: Buffer.from(unescapeBytes(found[3] ?? '')) });
  return { action, replacement: /^block "([^"]*)"/.exec(text)?.[1] ?? '', edits };
}

/** `line=100, pipelined=2`. */
function parseLimits(text: string): Partial<Record<keyof Limits, number>> {
  const limits: Partial<Record<keyof Limits, number>> = {};
  for (const found of text.matchAll(/(\w+)=(\d+)/g)) {
    if (!(found[1] !== undefined && found[1] in DEFAULT_LIMITS))
      throw new SyntaxError(`no limit is called ${found[1]}`);
    limits[found[1] as keyof Limits] = Number(found[2]);
  }
  return limits;
}
