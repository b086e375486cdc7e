/** What a capture's connections tell, written down: for tests of captures and of what is made of them. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { CaptureReader, type CaptureTask, type FastPathUse } from '../capture/capture-reader.js';
import type { CloseCause, ConnectionStart } from '../capture/connection.js';
import type { CaptureStatistics } from '../capture/statistics.js';
import { Arena } from '../core/arena.js';
import type { Side } from '../core/flow.js';
import { DEFAULT_LIMITS, type Limits, MiB } from '../core/limits.js';

export interface RecordedConnection {
  readonly start: ConnectionStart;
  /** The bytes of each side as Latin-1; a gap is `[-LENGTH]`. */
  readonly streams: [string, string];
  /** All calls but data, in order: `gap 0 5`, `overlap 1`, `end 0`, `close fin`. */
  readonly events: string[];
  cause: CloseCause | undefined;
  /** The clock's packet at each `data` call and at `close`. */
  readonly packets: number[];
  /** How many `data` calls there were. */
  calls: number;
}

export interface RecordedCapture {
  readonly connections: RecordedConnection[];
  readonly statistics: CaptureStatistics;
}

/**
 * Reads a capture, given as its bytes or as a task's input, and writes down what came of it, or of those connections that are wanted. Bytes are read twice,
 * every packet the long way and with the fast path, which must come to the same.
 */
export async function recordCapture(
  input: Buffer | CaptureTask['input'],
  limits: Partial<Limits> = {},
  task: Partial<CaptureTask> = {},
  wanted: (start: ConnectionStart) => boolean = () => true,
): Promise<RecordedCapture> {
  if (!Buffer.isBuffer(input)) return record(input, limits, task, wanted, 'always');
  const slowly = await record(Readable.from([input]), limits, {}, wanted, 'never');
  const recorded = await record(Readable.from([input]), limits, task, wanted, 'always');
  assert.deepEqual(recorded, slowly);
  return recorded;
}

async function record(
  input: CaptureTask['input'],
  limits: Partial<Limits>,
  task: Partial<CaptureTask>,
  wanted: (start: ConnectionStart) => boolean,
  fastPath: FastPathUse,
): Promise<RecordedCapture> {
  const packet = 1 * MiB;
  const reader = new CaptureReader(new Arena(512), { ...DEFAULT_LIMITS, packet, ...limits }, fastPath);
  const connections: RecordedConnection[] = [];
  const statistics = await reader.read({
    ...task,
    input,
    open(start) {
      if (!wanted(start)) return undefined;
      const one: RecordedConnection = { start, streams: ['', ''], events: [], cause: undefined, packets: [], calls: 0 };
      connections.push(one);
      return {
        data(side: Side, chunk: Buffer) {
          one.streams[side] += chunk.toString('latin1');
          one.packets.push(reader.clock.packet);
          one.calls++;
        },
        gap(side, length) {
          one.streams[side] += `[-${length}]`;
          one.events.push(`gap ${side} ${length}`);
        },
        overlap: (side) => one.events.push(`overlap ${side}`),
        end: (side) => one.events.push(`end ${side}`),
        close(cause) {
          one.cause = cause;
          one.packets.push(reader.clock.packet);
          one.events.push(`close ${cause}`);
        },
      };
    },
  });
  return { connections, statistics };
}
