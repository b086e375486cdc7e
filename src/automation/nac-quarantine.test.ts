import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../config/config.js';
import { bannedFor, nacQuarantineOf } from './nac-quarantine.js';

const read = (expiry: string, infected = 'quar-src-ip') =>
  nacQuarantineOf(
    readConfig(
      `config antivirus profile\nedit "av"\nconfig nac-quar\nset infected ${infected}\n${expiry}\nend\nnext\nend`,
      'test.conf',
    ).config,
  ).get('av');

test('days, hours and minutes are seconds, and so is what holds when nothing is written', () => {
  assert.equal(read('set expiry 1d2h30m'), 95_400);
  assert.equal(read('set expiry 5m'), 300);
  assert.equal(read(''), 300);
  assert.equal(read('set expiry indefinite'), 0);
  assert.equal(read('', 'none'), undefined);
  for (const bad of ['0m', 'm', '5', '1m2h', '-1m']) assert.throws(() => read(`set expiry ${bad}`), /expiry: found/);
});

test('only the profile that says so bans, and only for what is infected', () => {
  const bans = new Map([['av', 60]]);
  const fields = { subtype: 'virus', eventtype: 'infected', profile: 'av', srcip: '192.0.2.1' };
  assert.deepEqual(bannedFor(fields, bans), { address: '192.0.2.1', seconds: 60 });
  for (const more of [{ profile: 'other' }, { eventtype: 'oversize' }, { subtype: 'file-filter' }])
    assert.equal(bannedFor({ ...fields, ...more }, bans), undefined);
});
