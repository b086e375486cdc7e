import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../testing/until.js';
import { Automation } from './automation.js';
import type { Incident } from './incident.js';
import type { Action, Step, Stitch, Trigger } from './stitches.js';

const action = (name: string, minimumInterval = 0): Action => ({ name, minimumInterval, kind: 'log', message: '' });
const step = (name: string, more: Partial<Step> & { readonly interval?: number } = {}): Step => ({
  action: action(name, more.interval ?? 0),
  delay: more.delay ?? 0,
  required: more.required ?? false,
});
const stitch = (name: string, trigger: Trigger, ...steps: Step[]): Stitch => ({ name, trigger, steps });
const IOC: Trigger = { name: 't', kind: 'ioc', level: 'high' };
const ioc = (virus: string, level: 'medium' | 'high' = 'high'): Incident => ({
  kind: 'ioc',
  level,
  from: 'log',
  fields: { virus },
  line: '',
});

function automation(stitches: readonly Stitch[], fails: readonly string[] = []) {
  const done: string[] = [];
  let now = 0;
  const made = new Automation({
    perform: async ({ name }, { fields }) => {
      await Promise.resolve();
      if (fails.includes(name)) throw new Error('no');
      done.push(`${name} ${fields['virus'] ?? ''}`);
    },
    triggered: ({ name }) => void done.push(`triggered ${name}`),
    done: ({ name }, _, failed) => void (failed === undefined ? 0 : done.push(`failed ${name}: ${failed}`)),
    now: () => now,
  });
  made.use(stitches);
  return { made, done, pass: (milliseconds: number) => (now += milliseconds) };
}

test('actions are done in their order; behind one that is required and fails, none is', async () => {
  const { made, done } = automation(
    [stitch('s', IOC, step('a'), step('b'), step('c', { required: true }), step('d'))],
    ['b', 'c'],
  );
  assert.equal(made.happened(ioc('V')), 1);
  await until('both failed', () => made.counts.failed === 2);
  assert.deepEqual(done, ['triggered s', 'a V', 'failed b: no', 'failed c: no']);
});

test('a trigger of level high is not set off by medium, one of medium by both', () => {
  const { made } = automation([
    stitch('high', IOC, step('a')),
    stitch('medium', { name: 'm', kind: 'ioc', level: 'medium' }, step('b')),
  ]);
  assert.equal(made.happened(ioc('V', 'medium')), 1);
  assert.equal(made.happened(ioc('V', 'high')), 2);
});

test('within the minimum interval nothing is done; when it is over, the last of what came is', async () => {
  const { made, done, pass } = automation([stitch('s', IOC, step('a', { interval: 50 }))]);
  for (const virus of ['first', 'second', 'third']) made.happened(ioc(virus));
  await until('the last one is done', () => done.includes('a third'));
  assert.deepEqual(
    done.filter((each) => each.startsWith('a ')),
    ['a first', 'a third'],
  );
  assert.equal(made.counts.suppressed, 1);
  pass(51);
  made.happened(ioc('fourth'));
  await until('its time has come', () => done.includes('a fourth'));
});

test('a stitch that waits is given up when the daemon stops', async () => {
  const { made, done } = automation([stitch('s', IOC, step('a', { delay: 3_600_000 }))]);
  made.happened(ioc('V'));
  made.stop();
  made.happened(ioc('V'));
  await new Promise(setImmediate);
  assert.deepEqual(done, ['triggered s']);
});

test('a flood of incidents is bounded', () => {
  const { made } = automation([stitch('s', IOC, step('a', { delay: 3_600_000 }))]);
  for (let at = 0; at < 1_100; at++) made.happened(ioc('V'));
  assert.deepEqual([made.counts.triggered, made.counts.dropped], [1_000, 100]);
  made.stop();
});
