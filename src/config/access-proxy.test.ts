// What is read of access proxies, schedules and users, as FortiOS exports them: options that say nothing to us are passed over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './config.js';

const EXPORT = `config system global
    set block-session-timer 45
end
config system interface
    edit "port1"
        set vdom "root"
        set ip 192.168.2.86 255.255.255.0
        set allowaccess ping https
        set role wan
        config ipv6
            set ip6-mode dhcp
        end
    next
end
config authentication setting
    set active-auth-scheme "basic"
    set user-cert-ca "Fortinet_CA"
end
config firewall schedule recurring
    edit "always"
        set day sunday monday tuesday wednesday thursday friday saturday
    next
    edit "office"
        set start 08:30
        set end 17:00
        set day monday
    next
end
config firewall vip
    edit "ztna"
        set id 0
        set type access-proxy
        set extip 192.168.2.86
        set extintf "port1"
        set server-type https
        set extport 443
        set ssl-certificate "Fortinet_SSL"
        set client-cert enable
    next
end
config firewall access-proxy
    edit "ztna"
        set vip "ztna"
        set client-cert enable
        set some-option-of-a-later-release enable
        config api-gateway
            edit 1
                set url-map "/tcp"
                set service tcp-forwarding
                config realservers
                    edit 1
                        set address "all"
                        set mappedport 3389 5900-5910
                        set another-such-option 7
                    next
                end
                config ssl-cipher-suites
                end
            next
        end
    next
end
config firewall proxy-policy
    edit 1
        set proxy access-proxy
        set access-proxy "ztna"
        set srcaddr "all"
        set ztna-ems-tag "EMS1_ZTNA_Low"
        set device-ownership enable
        set schedule "office"
        set groups "staff"
    next
end
`;

test('an export of an access proxy is read, and what has no effect is said', () => {
  const { config, warnings } = readConfig(EXPORT, 'export');
  const { sections } = config;
  assert.equal(sections['system global'].blockSessionTimer, 45);
  assert.equal(sections['system interface'].get('port1')?.role, 'wan');
  assert.deepEqual(sections['firewall vip'].get('ztna')?.sslCertificate, ['Fortinet_SSL']);
  assert.equal(sections['firewall schedule recurring'].get('office')?.end, 17 * 60);
  const gateway = sections['firewall access-proxy'].get('ztna')?.apiGateway.get('1');
  assert.deepEqual(gateway?.realservers.get('1')?.mappedport, [
    { from: 3389, to: 3389 },
    { from: 5900, to: 5910 },
  ]);
  const policy = sections['firewall proxy-policy'].get('1');
  assert.deepEqual([policy?.schedule, policy?.groups, policy?.ztnaEmsTagNegate], ['office', ['staff'], false]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /inspectd has no check of who owns a device/);
});

test('what cannot be is refused, by line', () => {
  const wrong = EXPORT.replace('5900-5910', '5910-5900')
    .replace('set vip "ztna"', 'set vip "nobody"')
    .replace('08:30', '28:30')
    .replace('block-session-timer 45', 'block-session-timer 301');
  assert.throws(
    () => readConfig(wrong, 'export'),
    (error: Error) => ['export:2:', 'export:24:', 'export:43:', 'export:53:'].every((at) => error.message.includes(at)),
  );
});
