/** A flow engine for tests: a decoder of a few lines, and everything that the engine says and sends written down. */
import { Buffer } from 'node:buffer';
import type { FileMeta, FileStream, Verdict } from '../core/file.js';
import type { Decoder, Flow, Side, Unit } from '../core/flow.js';
import { SERVER } from '../core/flow.js';
import { DEFAULT_LIMITS, type Limits } from '../core/limits.js';
import { FlowEngine, type FlowServices } from '../flow/engine.js';

export const PASS: Verdict = { action: 'pass', replacement: '', edits: [] };

/** A decoder made of what a test cares for. */
function decoder(parts: Partial<Decoder>): Decoder {
  return { push() {}, end() {}, gap() {}, verdict() {}, unanswered() {}, wake() {}, ...parts };
}

export interface Bench {
  readonly engine: FlowEngine;
  /** What was asked of services and output, in words. */
  readonly said: string[];
  /** Gives the verdict of each file that was opened. */
  readonly judges: ((verdict: Verdict) => void)[];
  sent(side: Side): string;
}

/** An engine with everything that it says written down. */
export function bench(
  make: (flow: Flow) => Partial<Decoder>,
  passive = false,
  more: { readonly services?: Partial<FlowServices>; readonly limits?: Partial<Limits> } = {},
): Bench {
  const said: string[] = [];
  const sent: [Buffer[], Buffer[]] = [[], []];
  const judges: ((verdict: Verdict) => void)[] = [];
  let ids = 0;
  const services: FlowServices = {
    openFile: (_meta, judged) => {
      judges.push(judged);
      const id = ++ids;
      const stream: FileStream = {
        id,
        write: (chunk, start, end) => said.push(`file ${id}: ${chunk.toString('latin1', start, end)}`),
        writeAt: () => {},
        gap: (length) => said.push(`file ${id}: gap ${length}`),
        malformed: (code) => said.push(`file ${id}: malformed ${code}`),
        end: () => said.push(`file ${id}: end`),
        abort: (reason) => said.push(`file ${id}: abort ${reason}`),
      };
      return stream;
    },
    fileEnding: () => {},
    expect: (related, ready) => ready(related.target),
    wakeAt: () => {},
    anomaly: (code, side, offset) => said.push(`anomaly ${code} ${side} at ${offset}`),
    bypassed: (reason) => said.push(`bypassed ${reason}`),
    failed: (error) => said.push(`failed ${(error as Error).message}`),
    openLayer: () => undefined,
    adopted: () => {},
    ...more.services,
  };
  const engine: FlowEngine = new FlowEngine({
    id: 1,
    limits: { ...DEFAULT_LIMITS, ...more.limits },
    services,
    output: passive
      ? undefined
      : {
          write: (toward, bytes) => sent[toward].push(Buffer.from(bytes)),
          finish: (toward) => said.push(`fin to ${toward}`),
          reset: (reason) => said.push(`reset ${reason}`),
          layer: (kind) => said.push(`layer ${kind}`),
          pause: (side, paused) => said.push(`${paused ? 'pause' : 'go on'} ${side}`),
        },
    decode: (flow) => decoder(make(flow)),
  });
  return { engine, said, judges, sent: (side: Side) => Buffer.concat(sent[side]).toString('latin1') };
}

/** Holds everything from the client in a unit that a file guards. */
export function holding(
  flow: Flow,
  settle: (unit: Unit, verdict: Verdict) => void,
  meta: Partial<FileMeta> = {},
): Partial<Decoder> {
  let unit: Unit | undefined;
  let file: FileStream | undefined;
  return {
    push(side, chunk) {
      if (side === SERVER) return flow.pass(chunk.length);
      unit ??= flow.unit(SERVER, 'held');
      file ??= flow.openFile({ name: 'x', direction: 'upload', ...meta }, unit);
      file.write(chunk, 0, chunk.length);
      flow.pass(chunk.length, unit);
      if (chunk.includes('.')) file.end();
    },
    verdict(_id, verdict) {
      if (unit !== undefined) settle(unit, verdict);
    },
  };
}
