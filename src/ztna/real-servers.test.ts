// Which real server a request means, by address and by name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../config/config.js';
import { RealServers } from './real-servers.js';

const { config } = readConfig(
  `config firewall vip
    edit "v"
        set type access-proxy
        set extip 192.0.2.1
        set extport 443
    next
end
config firewall address
    edit "net"
        set subnet 10.0.0.0 255.255.255.0
    next
    edit "named"
        set type fqdn
        set fqdn "Files.Example.com"
    next
end
config firewall access-proxy
    edit "p"
        set vip "v"
        config api-gateway
            edit 3
                set service https
                config realservers
                    edit 1
                        set ip 10.9.9.9
                    next
                end
            next
            edit 4
                set service tcp-forwarding
                config realservers
                    edit 1
                        set address "net"
                        set mappedport 3389 20-22
                    next
                    edit 2
                        set addr-type fqdn
                        set address "named"
                    next
                    edit 3
                        set ip 10.1.0.1
                        set domain "*.corp.example.com"
                        set mappedport 445
                    next
                    edit 4
                        set ip 10.1.0.2
                        set status disable
                    next
                    edit 5
                        set ip 10.1.0.3
                        set type ssh
                    next
                end
            next
            edit 5
                set service tcp-forwarding
                config realservers
                    edit 1
                        set ip 10.1.0.4
                    next
                end
            next
        end
    next
    edit "empty"
        set vip "v"
    next
end
`,
  'test',
);
const of = (name: string): RealServers => {
  const proxy = config.sections['firewall access-proxy'].get(name);
  assert.ok(proxy !== undefined);
  return new RealServers(config, proxy);
};

const CASES: readonly (readonly [host: string, port: number, address: string, gateway: number | undefined])[] = [
  ['10.0.0.7', 3389, '10.0.0.7', 4],
  ['10.0.0.7', 22, '10.0.0.7', 4],
  ['10.0.0.7', 21, '10.0.0.7', 4],
  ['10.0.0.7', 445, '10.0.0.7', undefined],
  ['10.0.1.7', 3389, '10.0.1.7', undefined],
  // A name that leads to what is mapped.
  ['pc.example.net', 3389, '10.0.0.7', 4],
  ['pc.example.net', 3389, '10.0.1.7', undefined],
  // One that only its name is known of.
  ['files.example.com', 21, '203.0.113.5', 4],
  ['203.0.113.5', 21, '203.0.113.5', undefined],
  ['files.example.com.evil.test', 21, '203.0.113.5', undefined],
  // Both have to fit.
  ['nas.corp.example.com', 445, '10.1.0.1', 4],
  ['nas.corp.example.com', 445, '10.1.0.9', undefined],
  ['corp.example.com', 445, '10.1.0.1', undefined],
  ['xcorp.example.com', 445, '10.1.0.1', undefined],
  ['10.1.0.2', 445, '10.1.0.2', undefined],
  ['10.1.0.3', 22, '10.1.0.3', undefined],
  ['10.9.9.9', 443, '10.9.9.9', undefined],
  ['10.1.0.4', 8, '10.1.0.4', 5],
];

test('a request is led to what is mapped, and nowhere else', () => {
  const servers = of('p');
  for (const [host, port, address, gateway] of CASES)
    assert.deepEqual(
      servers.find({ host, port }, address),
      gateway === undefined ? 'no-server' : { gatewayId: gateway },
      `${host}:${port} at ${address}`,
    );
  assert.equal(servers.mayLead('10.0.0.7'), undefined);
});

test('without a gateway for TCP forwarding nothing is asked of the network', () => {
  assert.equal(of('empty').mayLead('files.example.com'), 'no-gateway');
  assert.equal(of('empty').find({ host: '10.0.0.7', port: 1 }, '10.0.0.7'), 'no-gateway');
});
