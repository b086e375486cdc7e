// Whom a change visits: those that it touches, however many others there are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../config/config.js';
import type { Endpoint } from '../../ztna/endpoint.js';
import type { LiveSession } from '../live-session.js';
import { Posture } from './posture.js';

const rule = (id: number, more = ''): string =>
  `edit ${id}\n set proxy access-proxy\n set access-proxy "p"\n set srcaddr "all"\n set action accept\n ${more}\n next\n`;
const configOf = (rules: string) => readConfig(`config firewall proxy-policy\n${rules}end\n`, 'test').config;

const endpoint = (uid: string, tags: readonly string[]): Endpoint => ({
  uid,
  emsSerial: 'FCTEMS0000109188',
  certificateSerial: undefined,
  revoked: false,
  online: true,
  domain: undefined,
  user: undefined,
  owner: undefined,
  addresses: [],
  macs: [],
  tags,
  quarantined: false,
});

/** What a posture asks of a session, of one that is not there. */
function session(id: number, uid: string, policy: number, cut: number[]): LiveSession {
  const admission = {
    id,
    client: { address: `10.0.${id >> 8}.${id & 0xff}`, port: 1 },
    match: { facts: { id: policy, type: 'proxy-policy' } },
    access: { request: { device: { uid, serial: '' } } },
  };
  return { admission, cut: () => cut.push(id) > 0 } as unknown as LiveSession;
}

test('a change visits the sessions that it touches, and cuts those that are allowed no more before it returns', () => {
  const cut: number[] = [];
  const revoked: number[] = [];
  let asked = 0;
  let allowed = true;
  const config = configOf(rule(1) + rule(2));
  const posture = new Posture(config, {
    again: () => {
      asked++;
      return { verdict: allowed ? 'accept' : 'unmatched', code: undefined } as never;
    },
    routed: () => true,
    revoked: (each) => revoked.push(each.admission.id),
    mark: () => assert.fail('none of these becomes dirty'),
  });
  const sessions = Array.from({ length: 10_000 }, (_, id) => session(id, `U${id % 2_500}`, 1 + (id % 2), cut));
  for (const each of sessions) posture.add(each);
  asked = 0;
  const change = { uid: 'U7', before: endpoint('U7', ['a']), after: endpoint('U7', []) };
  posture.endpointsChanged([change]);
  assert.deepEqual([asked, cut], [4, []]);
  allowed = false;
  posture.endpointsChanged([change]);
  assert.deepEqual([asked, cut], [8, [7, 2_507, 5_007, 7_507]]);
  assert.deepEqual(revoked, cut);
  for (const id of cut) posture.remove(sessions[id] as LiveSession);
  posture.endpointsChanged([change, { uid: 'nobody', before: undefined, after: endpoint('nobody', []) }]);
  assert.equal(asked, 8);
  allowed = true;
  posture.configChanged(configOf(rule(1) + rule(2, 'set ztna-ems-tag "a"')));
  // Those of the second rule, without the four of U7, which had it.
  assert.equal(asked, 8 + 5_000 - 4);
  posture.configChanged(configOf(rule(1) + rule(2, 'set ztna-ems-tag "a"')));
  assert.equal(asked, 8 + 5_000 - 4);
});
