import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FLOW_EVENTS } from './events.js';

test('each code that is explained is one that the engine, the capture driver or one of its layers notes', () => {
  const sources = ['flow/engine.ts', 'capture/flow-driver.ts', 'capture/inflate-layer.ts'];
  const text = sources.map((name) => readFileSync(new URL(`../../../src/${name}`, import.meta.url), 'utf8')).join('');
  // That they note no other is the compiler's to see.
  for (const code of Object.keys(FLOW_EVENTS)) assert.ok(text.includes(`'${code}'`), code);
});
