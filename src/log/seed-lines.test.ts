import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEED_ZONE, seedLines } from '../testing/seed-lines.js';
import { formatRecord } from './format.js';
import { timeZone } from './time-zone.js';
import { toRecord } from './utm.js';

const zone = timeZone(SEED_ZONE);

for (const { name, line, eventTime, writtenAt, session, outcome } of seedLines()) {
  test(`writes FortiOS's ${name} line byte for byte`, () => {
    assert.equal(formatRecord(toRecord(outcome, session, { eventTime, writtenAt, zone }), 'default'), line);
  });
}
