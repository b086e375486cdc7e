import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../config/config.js';
import { ConfigError } from '../core/errors.js';
import { scratch } from '../testing/peers/peers.js';
import { emsSettingsOf } from './settings.js';
import { SimulatedAuthority } from './simulator/authority.js';

const read = (text: string) => emsSettingsOf(readConfig(text, 'test.conf').config);

/** The example of the EMS administration guide, its placeholders filled in. */
const EXAMPLE = `config firewall address
edit "EMS01"
set type ipmask
set subnet 10.0.0.9 255.255.255.255
next
end
config endpoint-control forticlient-ems
edit "e01"
set address "EMS01"
set serial-number FCTEMS0000109188
set rest-api-auth userpass
set https-port 443
set admin-username admin
set admin-password secret-word
set admin-type Windows
next
end
`;

test('the older way of writing it: an address object, a user and a password', () => {
  assert.deepEqual(read(EXAMPLE), [
    {
      name: 'e01',
      host: '10.0.0.9',
      port: 443,
      serial: 'FCTEMS0000109188',
      username: 'admin',
      password: 'secret-word',
      callTime: 30_000,
      statusInterval: 5_000,
      outOfSync: 180_000,
      authority: undefined,
    },
  ]);
  assert.deepEqual(read(EXAMPLE.replace('userpass', 'disable')), []);
});

test('the newer way: a server, an authority, and seven entries of which most are empty', (context) => {
  const { certificate } = new SimulatedAuthority(scratch(context, 'ca'), 'FCTEMS0000109188');
  const [ems, more] = read(`config vpn certificate ca
edit "EMS-CA"
set ca "${certificate}"
next
end
config endpoint-control fctems
edit 1
set status enable
set name "ems"
set server "ems.example.com"
set https-port 8443
set admin-username "a"
set admin-password "b"
set call-timeout 60
set status-check-interval 10
set out-of-sync-threshold 360
set verifying-ca "EMS-CA"
set pull-tags enable
next
edit 2
next
edit 3
set status disable
set name "off"
next
end`);
  assert.equal(more, undefined);
  assert.deepEqual(
    [ems?.name, ems?.host, ems?.port, ems?.callTime, ems?.statusInterval, ems?.outOfSync, ems?.authority],
    ['ems', 'ems.example.com', 8443, 60_000, 10_000, 360_000, certificate],
  );
});

test('what is missing or contradicts itself is said, and no password with it', () => {
  for (const [text, said] of [
    [EXAMPLE.replace('255.255.255.255', '255.255.255.0'), /"EMS01" of an EMS must be one/],
    [EXAMPLE.replace('set address "EMS01"', ''), /edit e01: address is missing/],
    [EXAMPLE.replace('set admin-username admin', ''), /admin-username is missing/],
    [EXAMPLE.replace('set admin-password secret-word', ''), /admin-password is missing/],
    [EXAMPLE.replace('set https-port 443', 'set https-port 70000'), /https-port: found "70000"/],
    [EXAMPLE.replace('FCTEMS0000109188', 'serial!'), /serial-number: found/],
    [EXAMPLE.replace('secret-word', 'x'.repeat(300)), /admin-password: allowed: text of at most 255/],
    [
      `${EXAMPLE}${EXAMPLE.slice(EXAMPLE.indexOf('config endpoint')).replace('e01', 'e02')}`,
      /FCTEMS0000109188 is there already/,
    ],
    ['config endpoint-control fctems\nedit 1\nset name "x"\nnext\nend', /server is missing/],
    [
      `config vpn certificate ca\nedit "x"\nset ca "no"\nnext\nend\n${EXAMPLE.replace('set admin-type', 'set verifying-ca "x"\nset admin-type')}`,
      /"x" of "config vpn certificate ca" is no certificate in PEM/,
    ],
  ] as const)
    assert.throws(
      () => read(text),
      (error: unknown) =>
        error instanceof ConfigError && said.test(error.message) && !/secret-word|xxxx/.test(error.message),
      text,
    );
});
