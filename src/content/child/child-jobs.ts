/** The side of a child process: it takes one content after another, and writes what comes out of it to its parent. */
import { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import {
  BYTES,
  FRAME_HEADER,
  type Job,
  type JobOutcome,
  JSON_LIMIT,
  MEMBER,
  MEMBER_END,
  type MemberFrame,
  OUTCOME,
  type ToChild,
} from './messages.js';

const STDOUT = 1;
/** Processor seconds after which it makes room for a fresh process: what leaks here ends with it. */
const RETIRE = 300;
const NAME = 1024;

/** Runs `work` on each content; what it ends with goes to the parent. When it throws, the process ends, which the parent sees and says. */
export function serveJobs(work: (job: Job, content: Buffer) => Promise<JobOutcome>): void {
  let job: Job | undefined;
  let content = nothing;
  let filled = 0;
  process.on('message', (message: ToChild) => {
    if (message.kind === 'job') {
      job = message;
      // As long as the content is, not as it says: the parent has it.
      content = Buffer.allocUnsafeSlow(message.length);
      filled = 0;
      if (message.length > 0) return;
    } else {
      content.set(message.bytes, filled);
      filled += message.bytes.length;
    }
    if (job === undefined || filled < content.length) return;
    const started = job;
    job = undefined;
    void work(started, content).then(
      (outcome) => {
        content = nothing;
        frame(OUTCOME, Buffer.from(JSON.stringify(outcome)));
      },
      () => process.exit(1),
    );
  });
  process.on('disconnect', () => process.exit(0));
}

export function beginMember(member: MemberFrame): void {
  const bytes = Buffer.from(JSON.stringify(member));
  frame(
    MEMBER,
    bytes.length <= JSON_LIMIT
      ? bytes
      : Buffer.from(JSON.stringify({ ...member, name: member.name?.slice(0, NAME), otherNames: [] })),
  );
}

export function writeMember(bytes: Buffer): void {
  frame(BYTES, bytes);
}

export function endMember(): void {
  frame(MEMBER_END, nothing);
}

/** Has this process worked long enough? */
export function retiring(): boolean {
  const { user, system } = process.cpuUsage();
  return user + system > RETIRE * 1e6;
}

const nothing = Buffer.alloc(0);
const header = Buffer.alloc(FRAME_HEADER);

/** Returns when the parent, or the pipe to it, has taken everything. */
function frame(kind: number, payload: Buffer): void {
  header[0] = kind;
  header.writeUInt32LE(payload.length, 1);
  writeAll(header);
  writeAll(payload);
}

function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STDOUT, bytes, at, bytes.length - at);
    } catch (error) {
      // A library that touches process.stdout makes the pipe one that does not wait.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}
const pause = new Int32Array(new SharedArrayBuffer(4));
