/**
 * One command to a clamd and its answer, on a connection of its own, as clamd(8) has it: commands with a `z` prefix, which are answered by
 * one text that ends in NUL, after which clamd closes.
 *
 * Strict, because what is not an answer must not be taken for one: clamd gives up idle clients with a text without NUL, and something else may
 * listen at its address. Anything behind the NUL, an end before it, an answer before the question was sent whole, and silence
 * past the deadline reject with SourceError.
 */
import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { SourceError } from '../../core/errors.js';
import { type ClamdAddress, clamdAddressText } from './address.js';

/** No answer of clamd is as long; the name of a virus is the longest thing in it. */
const LONGEST_ANSWER = 4096;

export interface ClamdCommand {
  /** Without its `z` and NUL. */
  readonly name: 'PING' | 'VERSION' | 'INSTREAM';
  /** What follows the command, piece by piece. A piece is not touched again before the next is asked for. */
  readonly pieces: () => Iterable<Buffer>;
  /** Milliseconds from the first byte to the last. */
  readonly deadline: number;
}

/** The answer's text, without NUL. */
export function ask(address: ClamdAddress, command: ClamdCommand): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    let answer = Buffer.alloc(0);
    let asked = false;
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      act();
    };
    const fail = (what: string, cause?: unknown): void =>
      settle(() =>
        reject(new SourceError(`clamd at ${clamdAddressText(address)}: ${what}`, cause === undefined ? {} : { cause })),
      );
    const timer = setTimeout(() => fail(`no answer within ${command.deadline} ms`), command.deadline);
    socket.on('error', (error) => fail(error.message, error));
    socket.on('data', (bytes) => {
      answer = Buffer.concat([answer, bytes]);
      if (!asked) fail(`answered before it had everything: ${shown(answer)}`);
      else if (answer.length > LONGEST_ANSWER) fail('its answer has no end');
      else if (answer.indexOf(0) >= 0 && answer.indexOf(0) < answer.length - 1)
        fail(`more than one answer: ${shown(answer)}`);
    });
    socket.on('end', () => {
      if (answer.at(-1) === 0) settle(() => resolve(answer.toString('utf8', 0, answer.length - 1)));
      else fail(answer.length === 0 ? 'closed without an answer' : `closed within its answer: ${shown(answer)}`);
    });
    socket.on('connect', () => {
      send(socket, command).then(
        () => {
          asked = true;
        },
        (error: unknown) => fail(error instanceof Error ? error.message : String(error), error),
      );
    });
  });
}

/** Settles when all of it was handed to the system. */
async function send(socket: Socket, { name, pieces }: ClamdCommand): Promise<void> {
  await write(socket, Buffer.from(`z${name}\0`));
  for (const piece of pieces()) await write(socket, piece);
}

/** What the system takes is its own; what it does not take at once is waited for, so that a slow clamd does not fill our memory. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error === undefined || error === null ? resolve() : reject(error)));
  });
}

function shown(answer: Buffer): string {
  return JSON.stringify(answer.toString('latin1', 0, 100));
}
