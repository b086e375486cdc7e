/**
 * A toy of IMAP (RFC 9051), to try the contracts on: a fetched literal is held and replaced within its length; a partial fetch is
 * answered by the proxy after it fetched the whole itself; APPEND; STARTTLS. It knows one command at a time, and no real server.
 */
import { Buffer } from 'node:buffer';
import type { FileId, FileStream, Verdict } from '../../core/file.js';
import {
  CLIENT,
  type Decoder,
  type Flow,
  opposite,
  type Protocol,
  SERVER,
  type Side,
  type Unit,
} from '../../core/flow.js';
import { lineEnd } from '../../core/lines.js';

/** A literal on its way; in front of it in its unit stand `{n}` and a line end. */
interface Literal {
  readonly file: FileStream;
  readonly unit: Unit | undefined;
  readonly length: number;
  left: number;
}

const OWN_TAG = 'PROXY';

class ToyImap implements Decoder {
  readonly #flow: Flow;
  readonly #literals = new Map<FileId, Literal>();
  #body: Literal | undefined;
  #bodySide: Side = SERVER;
  #starttls: string | undefined;
  /** The size of the APPEND that waits for a go-ahead. */
  #append: number | undefined;
  /** A whole message that was fetched for a partial fetch: being fetched, or there. */
  #fetching = false;
  #fetched = false;
  #whole: Buffer[] = [];
  #judged: Buffer | undefined;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(side: Side, chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const body = this.#body;
      if (body !== undefined && this.#bodySide === side) {
        const end = Math.min(chunk.length, at + body.left);
        body.file.write(chunk, at, end);
        if (body.unit === undefined) {
          this.#whole.push(Buffer.from(chunk.subarray(at, end)));
          this.#flow.drop(end);
        } else this.#flow.pass(end, body.unit);
        body.left -= end - at;
        at = end;
        if (body.left === 0) {
          this.#body = undefined;
          body.file.end();
        }
        continue;
      }
      const end = lineEnd(chunk, at, 1_000);
      if (end < 0) return;
      const line = chunk.toString('latin1', at, end - 2);
      if (!(side === CLIENT ? this.#command(line, at, end) : this.#answer(line, at, end))) return;
      at = end;
    }
  }

  /** False: nothing more may be taken now. */
  #command(line: string, at: number, end: number): boolean {
    const partial = /^(\S+) FETCH (\d+) BODY\[\]<(\d+)\.(\d+)>$/.exec(line);
    if (partial !== null && !this.#flow.passive) {
      const [, tag = '', number = '', from = '0', count = '0'] = partial;
      if (this.#judged === undefined) {
        this.#fetching = true;
        this.#flow.stop(CLIENT);
        this.#flow.send(SERVER, Buffer.from(`${OWN_TAG} FETCH ${number} BODY.PEEK[]\r\n`));
        return false;
      }
      const slice = this.#judged.subarray(Number(from), Number(from) + Number(count));
      const head = `* ${number} FETCH (BODY[]<${from}> {${slice.length}}\r\n`;
      this.#flow.send(CLIENT, Buffer.concat([Buffer.from(head), slice, Buffer.from(`)\r\n${tag} OK done\r\n`)]));
      this.#flow.drop(end);
      return true;
    }
    this.#flow.pass(end);
    const append = /^\S+ APPEND \S+ \{(\d+)\}$/.exec(line);
    if (append !== null) {
      this.#append = Number(append[1]);
      this.#flow.stop(CLIENT);
    }
    const tls = /^(\S+) STARTTLS$/.exec(line);
    if (tls !== null) {
      this.#starttls = tls[1];
      this.#flow.stop(CLIENT);
    }
    return at >= 0 && append === null && tls === null;
  }

  #answer(line: string, at: number, end: number): boolean {
    const literal = /\{(\d+)\}$/.exec(line);
    if (literal !== null) {
      const brace = at + (literal.index ?? 0);
      const length = Number(literal[1]);
      if (this.#fetching) this.#flow.drop(end);
      else this.#flow.pass(brace);
      const unit = this.#fetching ? undefined : this.#flow.unit(CLIENT, 'held');
      if (unit !== undefined) this.#flow.pass(end, unit);
      this.#open(SERVER, 'download', unit, length);
    } else if (this.#fetching) {
      this.#flow.drop(end);
      this.#fetched = line.startsWith(OWN_TAG);
      this.#answerPartial();
    } else this.#flow.pass(end);
    if (line.startsWith('+') && this.#append !== undefined) {
      const unit = this.#flow.unit(SERVER, 'held');
      this.#open(CLIENT, 'upload', unit, this.#append);
      this.#append = undefined;
      this.#flow.resume(CLIENT);
    }
    if (this.#starttls !== undefined && line.startsWith(`${this.#starttls} `)) {
      this.#starttls = undefined;
      this.#flow.resume(CLIENT);
      if (!line.includes(' OK')) return true;
      this.#flow.layer('tls');
      return false;
    }
    return true;
  }

  #open(side: Side, direction: 'upload' | 'download', unit: Unit | undefined, length: number): void {
    const meta = {
      name: undefined,
      direction,
      declaredType: 'message/rfc822',
      fixedLength: true,
      declaredSize: length,
    };
    const file = this.#flow.openFile(meta, unit);
    this.#body = { file, unit, length, left: length };
    this.#bodySide = side;
    this.#literals.set(file.id, this.#body);
  }

  verdict(file: FileId, verdict: Verdict): void {
    const literal = this.#literals.get(file);
    if (literal === undefined) return;
    const refusal = Buffer.from(verdict.replacement.padEnd(literal.length).slice(0, literal.length));
    if (literal.unit === undefined) {
      this.#judged = verdict.action === 'block' ? refusal : Buffer.concat(this.#whole);
      this.#answerPartial();
    } else if (verdict.action === 'block') {
      const head = literal.unit.length - literal.length;
      literal.unit.replace(head === 0 ? refusal : Buffer.concat([Buffer.from(`{${literal.length}}\r\n`), refusal]));
    } else literal.unit.release();
  }

  /** The client's command comes again when the message is judged and the answer that it came in is over. */
  #answerPartial(): void {
    if (!this.#fetched || this.#judged === undefined) return;
    this.#fetching = false;
    this.#flow.resume(CLIENT);
  }

  end(side: Side): void {
    if (this.#body !== undefined && this.#bodySide === side) this.#body.file.abort('reset');
    this.#flow.finish(opposite(side));
  }
  gap(): void {}
  unanswered(side: Side): void {
    this.#flow.resume(side);
  }
  wake(): void {}
}

export const TOY_IMAP: Protocol = {
  name: 'toy-imap',
  service: 'IMAP',
  ports: [],
  tlsPorts: [],
  maxUntaken: () => 2_000,
  probe: () => 'no',
  decoders: () => (flow) => new ToyImap(flow),
};
