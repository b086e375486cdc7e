/** A live SMB connection in memory: a client in the test's hands, the inspection stage, and `MemorySmbServer`. What crosses is kept, to look for leaks. */
import { Buffer } from 'node:buffer';
import { CLIENT, SERVER } from '../core/flow.js';
import type { InspectionStage } from '../stage/stage.js';
import { MemorySmbServer, type SmbMischief } from './smb-server.js';
import * as m from './smb2-messages.js';

const FRAME = 4;

export interface SmbAnswer {
  readonly status: number;
  readonly bytes: Buffer;
}

export class SmbRig {
  readonly server: MemorySmbServer;
  readonly toClient: Buffer[] = [];
  readonly anomalies: string[] = [];
  /** Why it was reset. */
  reason: string | undefined;
  /** Something of ours was thrown. */
  failed: unknown;
  readonly #connection: ReturnType<InspectionStage['open']>;
  readonly #answers = new Map<number, SmbAnswer>();
  readonly #heard = new Set<() => void>();
  #rest: Buffer = Buffer.alloc(0);
  #id = 0;
  readonly #cut: number;

  /** `cut`: so many bytes at a time are handed over. */
  constructor(stage: InspectionStage, mischief: SmbMischief = {}, cut = Number.POSITIVE_INFINITY) {
    this.server = new MemorySmbServer(mischief);
    this.#cut = cut;
    this.#connection = stage.open(
      { client: { address: '10.0.0.1', port: 40_000 }, server: { address: '10.0.0.2', port: 445 } },
      {
        write: (toward, bytes) => (toward === CLIENT ? this.#hear(bytes) : this.#serve(Buffer.from(bytes))),
        finish: () => {},
        reset: (reason) => {
          this.reason = reason;
          for (const each of this.#heard) each();
        },
        pause: () => {},
        event: (event) => {
          if (event.kind === 'anomaly') this.anomalies.push(event.code);
          if (event.kind === 'failed') this.failed = event.error;
        },
      },
    );
  }

  /** NEGOTIATE, SESSION_SETUP and TREE_CONNECT. */
  async begin(share = '\\\\server\\share'): Promise<void> {
    await this.ask((id) => m.negotiate(id, [0x0210]));
    await this.ask((id) => m.sessionSetup(id, Buffer.alloc(0), { session: 0 }));
    await this.ask((id) => m.treeConnect(id, share));
  }

  /** Sends what is made under the next message id, and waits for its answer or the end of the connection. */
  async ask(make: (id: number) => Buffer): Promise<SmbAnswer> {
    const id = this.#id++;
    this.send(make(id));
    for (;;) {
      const answer = this.#answers.get(id);
      if (answer !== undefined) return answer;
      if (this.reason !== undefined) return { status: -1, bytes: Buffer.alloc(0) };
      await this.heard();
    }
  }

  /** Something came for the client, or the connection ended. */
  heard(): Promise<void> {
    return new Promise((resolve) => {
      const once = (): void => {
        this.#heard.delete(once);
        resolve();
      };
      this.#heard.add(once);
    });
  }

  /** Opens a file; its id is a number. */
  async open(name: string, access = 3): Promise<number> {
    const { status, bytes } = await this.ask((id) => m.create(id, name, access));
    return status === 0 ? bytes.readUInt32LE(FRAME + 64 + 64) : 0;
  }

  send(bytes: Buffer): void {
    this.#hand(CLIENT, bytes);
  }

  close(): void {
    this.#connection.close();
  }

  get alive(): boolean {
    return this.reason === undefined;
  }

  /** All that reached either end. */
  get crossed(): Buffer {
    return Buffer.concat([...this.toClient, ...this.server.received]);
  }

  #serve(bytes: Buffer): void {
    for (const answer of this.server.receive(bytes)) setImmediate(() => this.#hand(SERVER, answer));
  }

  #hand(side: typeof CLIENT | typeof SERVER, bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.alive; at += this.#cut)
      this.#connection.receive(side, Buffer.from(bytes.subarray(at, Math.min(bytes.length, at + this.#cut))));
  }

  #hear(bytes: Buffer): void {
    this.toClient.push(Buffer.from(bytes));
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= FRAME && this.#rest.length >= FRAME + this.#rest.readUIntBE(1, 3)) {
      const message = this.#rest.subarray(0, FRAME + this.#rest.readUIntBE(1, 3));
      this.#rest = this.#rest.subarray(message.length);
      if (message.length < FRAME + 64 || message.readUInt32LE(FRAME + 8) === 0x103) continue;
      this.#answers.set(message.readUInt32LE(FRAME + 24), { status: message.readUInt32LE(FRAME + 8), bytes: message });
    }
    for (const each of [...this.#heard]) each();
  }
}
