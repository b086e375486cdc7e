/** Waits for a condition that others bring about: at most ten seconds, unless told. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  milliseconds = 10_000,
): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await holds())) {
    if (performance.now() > deadline) assert.fail(`not within ${milliseconds} ms: ${what}`);
    await sleep(10);
  }
}
