import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './config.js';
import { policyMatcher } from './match-policy.js';

const match = (text: string, client: string, server: string, port: number, service?: string) =>
  policyMatcher(readConfig(text, 'x.conf').config)(
    { address: client, port: 40_000 },
    { address: server, port },
    service,
  );
const idFor = (...args: Parameters<typeof match>) => match(...args).facts.id;

const ADDRESSES = `
config firewall address
  edit net set uuid 0f6255fa-742c-51ec-90fa-53966ea2dfeb set subnet 10.1.0.0 255.255.0.0 next
  edit host set subnet 10.2.0.1/32 next
  edit range set type iprange set start-ip 10.3.0.5 set end-ip 10.3.0.9 next
  edit name set type fqdn set fqdn "a.test" next
end
config firewall address6 edit six set ip6 fd00:1::/32 next end
config firewall addrgrp
  edit both set member net host next
  edit circle set member circle net next
  edit but set member net set exclude enable set exclude-member but-this next
end
config firewall address edit but-this set subnet 10.1.9.0/24 next end
config firewall vip edit ftp set extip 192.0.2.1 set mappedip 10.9.0.1 set portforward enable set extport 2121 set mappedport 21 next end
config firewall service custom edit odd set tcp-portrange 2525 9000-9010:1024-65535 next end
config firewall service group edit mail set member SMTP odd next end
`;
const policy = (id: number, lines: string) => `config firewall policy edit ${id} set action accept ${lines} next end\n`;
const any = 'set srcaddr all set dstaddr all set service ALL';

// biome-ignore format: one case a line.
for (const [title, lines, client, server, port, service, hit] of [
  ['all is every address', any, '1.2.3.4', '5.6.7.8', 1, undefined, true],
  ['all is every address of IPv6 too', any, 'fd00::1', 'fd00::2', 1, undefined, true],
  ['a subnet', 'set srcaddr net set dstaddr all set service ALL', '10.1.255.255', '5.6.7.8', 25, undefined, true],
  ['outside of a subnet', 'set srcaddr net set dstaddr all set service ALL', '10.2.0.0', '5.6.7.8', 25, undefined, false],
  ['the end of a range', 'set srcaddr range set dstaddr all set service ALL', '10.3.0.9', '5.6.7.8', 25, undefined, true],
  ['past a range', 'set srcaddr range set dstaddr all set service ALL', '10.3.0.10', '5.6.7.8', 25, undefined, false],
  ['a name matches nothing', 'set srcaddr name set dstaddr all set service ALL', '10.3.0.5', '5.6.7.8', 25, undefined, false],
  ['a negated name matches nothing either', 'set srcaddr name set srcaddr-negate enable set dstaddr all set service ALL', '10.3.0.5', '5.6.7.8', 25, undefined, false],
  ['a negated subnet', 'set srcaddr net set srcaddr-negate enable set dstaddr all set service ALL', '10.2.0.1', '5.6.7.8', 25, undefined, true],
  ['IPv6', 'set srcaddr6 six set dstaddr6 all set service ALL', 'fd00:1::5', 'fd00:2::1', 25, undefined, true],
  ['a group', 'set srcaddr both set dstaddr all set service ALL', '10.2.0.1', '5.6.7.8', 25, undefined, true],
  ['a group in a circle', 'set srcaddr circle set dstaddr all set service ALL', '10.1.0.1', '5.6.7.8', 25, undefined, true],
  ['what a group excludes', 'set srcaddr but set dstaddr all set service ALL', '10.1.9.1', '5.6.7.8', 25, undefined, false],
  ['a VIP before translation', 'set srcaddr all set dstaddr ftp set service ALL', '10.1.9.1', '192.0.2.1', 2121, undefined, true],
  ['a VIP after translation', 'set srcaddr all set dstaddr ftp set service ALL', '10.1.9.1', '10.9.0.1', 21, undefined, true],
  ['a VIP on another port', 'set srcaddr all set dstaddr ftp set service ALL', '10.1.9.1', '192.0.2.1', 22, undefined, false],
  ['a predefined service', 'set srcaddr all set dstaddr all set service SMTP', '1.1.1.1', '2.2.2.2', 25, undefined, true],
  ['another service', 'set srcaddr all set dstaddr all set service SMTP', '1.1.1.1', '2.2.2.2', 110, 'POP3', false],
  ['a protocol on a port of its own', 'set srcaddr all set dstaddr all set service SMTP', '1.1.1.1', '2.2.2.2', 2600, 'SMTP', true],
  ['a custom service in a group', 'set srcaddr all set dstaddr all set service mail', '1.1.1.1', '2.2.2.2', 9010, undefined, true],
  ['past a custom service', 'set srcaddr all set dstaddr all set service mail', '1.1.1.1', '2.2.2.2', 9011, undefined, false],
  ['a policy that is off', `set status disable ${any}`, '1.1.1.1', '2.2.2.2', 25, undefined, false],
  ['a policy without addresses', 'set service ALL', '1.1.1.1', '2.2.2.2', 25, undefined, false],
] as const) {
  test(`${title}: ${hit ? 'the policy' : 'policy 0'}`, () => {
    assert.equal(idFor(ADDRESSES + policy(7, lines), client, server, port, service), hit ? 7 : 0);
  });
}

test('the first policy in the order of the file, not of the numbers; firewall policies before proxy policies', () => {
  const proxy =
    'config firewall proxy-policy edit 1 set proxy access-proxy set srcaddr all set dstaddr all set action accept next end\n';
  assert.equal(idFor(ADDRESSES + policy(9, any) + policy(2, any), '1.1.1.1', '2.2.2.2', 25), 9);
  assert.deepEqual(match(proxy + policy(9, any), '1.1.1.1', '2.2.2.2', 25).facts, { id: 9, type: 'policy' });
  assert.deepEqual(match(proxy, '1.1.1.1', '2.2.2.2', 25).facts, { id: 1, type: 'proxy-policy' });
});

test('logs get the uuid and name of the policy and the uuid of the address', () => {
  const text =
    ADDRESSES +
    policy(
      7,
      'set name mail set uuid 325D4516-74a8-51ec-db9b-a5511f9a7842 set srcaddr net set dstaddr all set service ALL',
    );
  const found = match(text, '10.1.0.1', '2.2.2.2', 25);
  assert.deepEqual(found.facts, { id: 7, type: 'policy', uuid: '325d4516-74a8-51ec-db9b-a5511f9a7842', name: 'mail' });
  assert.equal(found.srcUuid, '0f6255fa-742c-51ec-90fa-53966ea2dfeb');
  assert.equal(found.dstUuid, undefined);
});

test('the profiles are those that the policy names; without one there is no antivirus', () => {
  const profile = 'config antivirus profile edit mine config smtp set av-scan monitor end next end\n';
  const named = match(profile + policy(1, `${any} set av-profile mine`), '1.1.1.1', '2.2.2.2', 25).profiles;
  assert.equal(named.antivirus?.protocols.smtp.avScan, 'monitor');
  assert.equal(named.protocolOptions.protocols.smtp.oversizeLimit, 10 * 1024 * 1024);
  assert.equal(match(policy(1, any), '1.1.1.1', '2.2.2.2', 25).profiles.antivirus, undefined);
  const off = match(profile + policy(1, `${any} set av-profile mine set utm-status disable`), '1.1.1.1', '2.2.2.2', 25);
  assert.equal(off.profiles.antivirus, undefined);
  const shipped = match(policy(1, `${any} set av-profile default`), '1.1.1.1', '2.2.2.2', 25).profiles.antivirus;
  assert.equal(shipped?.protocols.smtp.avScan, 'block');
});

test('what no policy admits, or one denies, is inspected by the strict built-in profiles', () => {
  const none = match('', '1.1.1.1', '2.2.2.2', 25);
  assert.deepEqual([none.facts, none.profiles.antivirus?.protocols.smtp.avScan], [{ id: 0, type: 'policy' }, 'block']);
  const denied = match(`config firewall policy edit 5 ${any} next end`, '1.1.1.1', '2.2.2.2', 25);
  assert.deepEqual([denied.facts.id, denied.profiles.antivirus?.protocols.smtp.avScan], [5, 'block']);
});
