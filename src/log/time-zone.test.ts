import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../core/errors.js';
import { isoTime, localTime, timeZone } from './time-zone.js';

const JANUARY = 1_642_119_184_944_916_750n;
const JULY = JANUARY + 180n * 86_400_000_000_000n;

test('a fixed offset is the same all year', () => {
  assert.deepEqual(localTime(JANUARY, timeZone('-0800')), { date: '2022-01-13', time: '16:13:04', tz: '-0800' });
  assert.equal(localTime(JULY, timeZone('-08:00')).tz, '-0800');
  assert.deepEqual(localTime(JANUARY, timeZone('+0530')), { date: '2022-01-14', time: '05:43:04', tz: '+0530' });
  assert.equal(localTime(JANUARY, timeZone('UTC')).tz, '+0000');
});

test('a named zone follows its summer time', () => {
  const vancouver = timeZone('America/Vancouver');
  assert.deepEqual(localTime(JANUARY, vancouver), { date: '2022-01-13', time: '16:13:04', tz: '-0800' });
  assert.equal(localTime(JULY, vancouver).tz, '-0700');
  assert.equal(localTime(JANUARY, timeZone('Asia/Kathmandu')).tz, '+0545');
  assert.equal(localTime(JANUARY, timeZone('Europe/London')).tz, '+0000');
});

test('a zone that nobody knows is an error of the configuration that names it', () => {
  assert.throws(
    () => timeZone('Mars/Phobos'),
    (error) => error instanceof ConfigError && /Mars\/Phobos/.test(error.message),
  );
  assert.throws(() => timeZone('+1500'), ConfigError);
});

test('the zone of this machine needs no name', () => {
  assert.match(localTime(JANUARY, timeZone()).tz, /^[+-]\d{4}$/);
});

test('the time of a damaged packet, whatever it is, has a date', () => {
  assert.equal(isoTime(Number.MAX_SAFE_INTEGER), '1970-01-01T00:00:00.000Z');
  assert.match(localTime(2n ** 63n, timeZone('America/Vancouver')).date, /^\d{4}-\d\d-\d\d$/);
  assert.match(localTime(-(2n ** 63n), timeZone('-0800')).date, /^\d{4}-\d\d-\d\d$/);
});
