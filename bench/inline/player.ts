/** Both ends of a session that was made to order: each says its turns, and waits for as many bytes as the other's turns have. */
import type { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { CLIENT, SERVER, type Side } from '../../src/core/flow.js';
import type { Turn } from '../../src/testing/sessions.js';

/** Plays `side` of `turns`; settles when all was said and heard. Rejects when the connection ends before. */
export function playSide(stream: Duplex, turns: readonly Turn[], side: Side): Promise<void> {
  return new Promise((resolve, reject) => {
    let at = 0;
    let awaited = 0;
    const go = (): void => {
      for (;;) {
        const turn = turns[at];
        if (turn === undefined) {
          stream.removeListener('close', lost);
          resolve();
          if (side === CLIENT) stream.end();
          return;
        }
        if (turn.side === side) stream.write(turn.bytes);
        else {
          awaited += turn.bytes.length;
          if (awaited > 0) return;
        }
        at++;
      }
    };
    const lost = (): void => reject(new Error(`the connection ended in turn ${at} of ${turns.length}`));
    stream.on('data', (chunk: Buffer) => {
      awaited -= chunk.length;
      if (awaited > 0 || at >= turns.length) return;
      at++;
      const left = awaited;
      awaited = 0;
      if (left < 0) awaited = left;
      go();
    });
    stream.on('error', () => {});
    stream.on('close', lost);
    if (side === SERVER) stream.on('end', () => stream.end());
    stream.resume();
    go();
  });
}
