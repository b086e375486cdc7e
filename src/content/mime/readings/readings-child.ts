/**
 * The process in which ambiguous messages are read in every way: the sweep, and a second reader that others wrote (mailparser), whose own
 * idea of the message is one reading more. Neither can be trusted to end in time, so the parent kills the process when it does not.
 */
import type { Buffer } from 'node:buffer';
import { simpleParser } from 'mailparser';
import { beginMember, endMember, retiring, serveJobs, writeMember } from '../../child/child-jobs.js';
import type { Job, JobOutcome, MemberFrame } from '../../child/messages.js';
import { type SweepEnd, type SweepLimits, sweep } from './sweep.js';

export type Task = Pick<SweepLimits, 'regions'>;

export interface Outcome extends JobOutcome {
  readonly end: SweepEnd;
}

/** What is written to the parent at once. */
const PIECE = 1024 * 1024;
const OTHER_NAMES = 16;

async function work(job: Job, message: Buffer): Promise<Outcome> {
  const { regions } = job.task as Task;
  const end = sweep(message, { regions, bytes: job.maxBytes }, (view) => {
    const [name, ...others] = view.names;
    member(view.bytes, {
      name,
      otherNames: others.slice(0, OTHER_NAMES),
      reading: view.how,
      ...(view.declaredType === undefined ? {} : { declaredType: view.declaredType }),
    });
  });
  await secondReading(message);
  return { end, retiring: retiring() };
}

/** What it cannot read gives nothing: the sweep has read it. */
async function secondReading(message: Buffer): Promise<void> {
  try {
    const { attachments } = await simpleParser(message, {
      skipHtmlToText: true,
      skipTextToHtml: true,
      skipImageLinks: true,
    });
    for (const { content, filename } of attachments) member(content, { name: filename, reading: 'by mailparser' });
  } catch {
    // As said.
  }
}

function member(bytes: Buffer, frame: MemberFrame): void {
  beginMember(frame);
  for (let at = 0; at < bytes.length; at += PIECE) writeMember(bytes.subarray(at, at + PIECE));
  endMember();
}

serveJobs(work);
