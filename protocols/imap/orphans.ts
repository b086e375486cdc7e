/**
 * A recording that lacks bytes: lines that are no commands or responses may belong to a message whose announcement is missing. Each side's are
 * inspected as one message with a gap in front, up to the next line that is known.
 */
import type { FileStream } from '../../src/core/file.js';
import { type Flow, SERVER, type Side } from '../../src/core/flow.js';
import type { Line } from './reader.js';

/** `)` and a line end: what only ends something begins nothing. */
const SHORTEST = 3;

export class Orphans {
  readonly #flow: Flow;
  readonly #files: [FileStream | undefined, FileStream | undefined] = [undefined, undefined];

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  add(side: Side, line: Line, login: string | undefined): void {
    let file = this.#files[side];
    if (file === undefined) {
      if (line.end - line.start <= SHORTEST) return;
      file = this.#flow.openFile({
        name: undefined,
        direction: side === SERVER ? 'download' : 'upload',
        declaredType: 'message/rfc822',
        mail: login === undefined ? {} : { login },
      });
      file.gap(0);
      this.#files[side] = file;
    }
    file.write(line.chunk, line.start, line.end);
  }

  end(side: Side): void {
    this.#files[side]?.abort('gap');
    this.#files[side] = undefined;
  }
}
