// What a reload touches: a rule, those below it, or everything that rules look into.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../config/config.js';
import { touchedRules } from './touched.js';

const rule = (id: number, more = ''): string =>
  `edit ${id}\n set proxy access-proxy\n set access-proxy "p"\n set srcaddr "all"\n set action accept\n ${more}\n next\n`;
const of = (text: string, other = '') =>
  readConfig(`${other}\nconfig firewall proxy-policy\n${text}end\n`, 'test').config;
const THREE = rule(1) + rule(2) + rule(3);

test('a reload touches the sessions of the first rule that changed and of those below it', () => {
  const before = of(THREE);
  const touched = (text: string, other = ''): readonly number[] | 'all' => {
    const found = touchedRules(before, of(text, other));
    return found === 'all' ? found : [...found];
  };
  assert.deepEqual(touched(THREE), []);
  assert.deepEqual(touched(THREE, 'config inspectd settings\n set workers 2\nend\n\n\n'), []);
  assert.deepEqual(touched(rule(1) + rule(2, 'set ztna-ems-tag "a"') + rule(3)), [2, 3]);
  assert.deepEqual(touched(rule(1) + rule(2) + rule(9) + rule(3)), [3]);
  assert.deepEqual(touched(rule(2) + rule(3)), [1, 2, 3]);
  assert.deepEqual(touched(THREE + rule(4)), []);
  assert.deepEqual(touched(rule(1) + rule(2) + rule(3, 'set status disable')), [3]);
  assert.equal(touched(THREE, 'config firewall address\n edit "x"\n set subnet 10.0.0.0/8\n next\nend\n'), 'all');
});
