/** A connection of a stage for tests: both ends are lines of text, and everything that the stage asks for is written down. */
import { Buffer } from 'node:buffer';
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import type { ConnectionFacts, StagedConnection } from '../stage/connection.js';
import type { ConnectionOutput } from '../stage/output.js';
import type { InspectionStage } from '../stage/stage.js';

export interface Staged {
  readonly connection: StagedConnection;
  /** What was asked of the output beside bytes, and what was told, in words. */
  readonly said: string[];
  /** All that went to an end so far. */
  sent(side: Side): string;
  /** What went to an end since this was asked last. */
  take(side: Side): string;
  client(text: string): void;
  server(text: string): void;
  /** Greets, and goes up to the answer to the last RCPT. */
  greet(): void;
  /** A whole message behind DATA; what the client hears at its end, when it does at once. */
  mail(body: string): string;
}

export const FACTS: ConnectionFacts = {
  client: { address: '192.0.2.1', port: 1025 },
  server: { address: '192.0.2.2', port: 25 },
};

/** `more`: of the output. */
export function staged(
  stage: InspectionStage,
  facts: Partial<ConnectionFacts> = {},
  more: Partial<ConnectionOutput> = {},
): Staged {
  const said: string[] = [];
  const bytes: [Buffer[], Buffer[]] = [[], []];
  const seen: [number, number] = [0, 0];
  const text = (side: Side): string => Buffer.concat(bytes[side]).toString('latin1');
  const connection = stage.open({ ...FACTS, ...facts }, recording(bytes, said, more));
  const told: Staged = {
    connection,
    said,
    sent: text,
    take: (side) => {
      const all = text(side);
      const fresh = all.slice(seen[side]);
      seen[side] = all.length;
      return fresh;
    },
    client: (line) => connection.receive(CLIENT, Buffer.from(line, 'latin1')),
    server: (line) => connection.receive(SERVER, Buffer.from(line, 'latin1')),
    greet() {
      told.server('220 mail ESMTP\r\n');
      for (const line of ['EHLO a', 'MAIL FROM:<a@example.test>', 'RCPT TO:<b@example.test>']) {
        told.client(`${line}\r\n`);
        told.server('250 ok\r\n');
      }
      told.take(CLIENT);
      told.take(SERVER);
    },
    mail(body) {
      told.client('DATA\r\n');
      told.take(CLIENT);
      told.client(`${body}\r\n.\r\n`);
      return told.take(CLIENT);
    },
  };
  return told;
}

/** An output that writes everything down. */
export function recording(
  bytes: readonly [Buffer[], Buffer[]],
  said: string[],
  more: Partial<ConnectionOutput> = {},
): ConnectionOutput {
  return {
    write: (toward, each) => bytes[toward].push(Buffer.from(each)),
    finish: (toward) => said.push(`fin to ${toward}`),
    reset: (reason, only) => said.push(only === undefined ? `reset ${reason}` : `reset ${reason} of ${only}`),
    pause: (side, paused) => said.push(`${paused ? 'pause' : 'go on'} ${side}`),
    event: (event) => {
      if (event.kind === 'outcome') said.push(`${event.outcome.kind} ${event.outcome.action}`);
      else if (event.kind === 'judged') said.push(`judged ${event.action}`);
      else if (event.kind === 'bypassed') said.push(`bypassed ${event.reason} ${event.allowed}`);
      else if (event.kind === 'failed') said.push(`failed ${String(event.error)}`);
    },
    ...more,
  };
}
