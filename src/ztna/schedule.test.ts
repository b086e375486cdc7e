// When a rule holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../config/config.js';
import { UTC } from '../log/time-zone.js';
import { scheduleHolds } from './schedule.js';

const { config } = readConfig(
  `config firewall schedule recurring
    edit "office"
        set day monday tuesday wednesday thursday friday
        set start 08:30
        set end 17:00
    next
    edit "night"
        set day friday
        set start 22:00
        set end 06:00
    next
    edit "weekend"
        set day saturday sunday
    next
end
config firewall schedule onetime
    edit "fair"
        set start 10:00 2026/11/27
        set end 12:00 2026/11/28
    next
end
config firewall schedule group
    edit "any"
        set member "weekend" "fair"
    next
end
`,
  'test',
);

// 2026-11-27 is a Friday.
const CASES: readonly (readonly [name: string | undefined, at: string, holds: boolean])[] = [
  [undefined, '2026-11-27T12:00:00Z', true],
  ['always', '2026-11-27T12:00:00Z', true],
  ['none', '2026-11-27T12:00:00Z', false],
  ['nobody-wrote-it', '2026-11-27T12:00:00Z', false],
  ['office', '2026-11-27T08:29:59Z', false],
  ['office', '2026-11-27T08:30:00Z', true],
  ['office', '2026-11-27T17:00:00Z', false],
  ['office', '2026-11-28T12:00:00Z', false],
  ['night', '2026-11-27T21:59:00Z', false],
  ['night', '2026-11-27T23:00:00Z', true],
  ['night', '2026-11-28T05:59:00Z', true],
  ['night', '2026-11-28T06:00:00Z', false],
  ['night', '2026-11-27T05:00:00Z', false],
  ['weekend', '2026-11-28T00:00:00Z', true],
  ['weekend', '2026-11-27T12:00:00Z', false],
  ['fair', '2026-11-27T09:59:00Z', false],
  ['fair', '2026-11-28T12:00:00Z', true],
  ['fair', '2026-11-28T12:01:00Z', false],
  ['any', '2026-11-27T11:00:00Z', true],
  ['any', '2026-11-30T11:00:00Z', false],
];

test('schedules hold at their times, one over midnight on the day that it begins, and unknown ones never', () => {
  for (const [name, at, holds] of CASES)
    assert.equal(scheduleHolds(config, name, UTC, Date.parse(at)), holds, `${name} at ${at}`);
});
