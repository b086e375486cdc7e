import assert from 'node:assert/strict';
import { test } from 'node:test';
import { automationNote } from '../log/automation-event.js';
import { endpointEventRecord } from '../log/endpoint-event.js';
import { timeZone } from '../log/time-zone.js';
import { triggers } from './automation.js';
import { incidentsOf, recordsWanted, toldRecord } from './incident.js';
import { filterOf, type Stitch, type Trigger } from './stitches.js';
import { filledIn } from './variables.js';

const CONTEXT = { eventTime: 1_000_000_000n, zone: timeZone('UTC') };
const QUARANTINED = endpointEventRecord('quarantined', 'so', { address: '10.0.0.1', user: 'x' }, CONTEXT);
const stitch = (trigger: Trigger): Stitch => ({ name: 's', trigger, steps: [] });
const byLog = (...filters: [string, string][]): Stitch =>
  stitch({
    name: 't',
    kind: 'log',
    numbers: new Set([45_114]),
    filters: filters.map(([name, value]) => filterOf(name, value)),
  });

test('a record of a wanted number sets a stitch off, its filters all have to fit', () => {
  const [record] = incidentsOf(toldRecord(QUARANTINED));
  assert.ok(record);
  assert.equal(triggers(byLog(), record), true);
  assert.equal(triggers(byLog(['user', 'x'], ['ip', '10.0.*']), record), true);
  assert.equal(triggers(byLog(['user', 'x'], ['ip', '10.1.*']), record), false);
  assert.equal(triggers(byLog(['absent', 'x']), record), false);
  assert.equal(triggers(stitch({ name: 't', kind: 'webhook' }), record), false);
});

test('an infected file that a client sends is an indicator, one that it fetches or that is only filtered is none', () => {
  const kinds = (fields: Readonly<Record<string, string>>): string[] =>
    incidentsOf({ fields, line: '' }).map(({ kind }) => kind);
  const virus = { subtype: 'virus', eventtype: 'infected', direction: 'outgoing' };
  assert.deepEqual(kinds(virus), ['ioc', 'record']);
  assert.deepEqual(kinds({ ...virus, direction: 'incoming' }), ['record']);
  assert.deepEqual(kinds({ ...virus, eventtype: 'oversize' }), ['record']);
  assert.deepEqual(kinds({ ...virus, subtype: 'file-filter' }), ['record']);
});

test('only records that a stitch may want leave the process that wrote them', () => {
  const note = automationNote('ban', 'x', {}, CONTEXT);
  assert.equal(recordsWanted([])(QUARANTINED), false);
  assert.equal(recordsWanted([byLog()])(QUARANTINED), true);
  assert.equal(recordsWanted([byLog()])(note), false);
  assert.equal(recordsWanted([stitch({ name: 't', kind: 'ioc', level: 'high' })])(QUARANTINED), false);
});

test('filters: the whole value, * for anything, [ab] for one of these, never slow', () => {
  for (const [pattern, value, fits] of [
    ['abc', 'abc', true],
    ['abc', 'abcd', false],
    ['', '', true],
    ['*', '', true],
    ['a*c', 'abbc', true],
    ['a*c', 'ac', true],
    ['a*c', 'acb', false],
    ['*b*d', 'abcbd', true],
    ['port[12]', 'port2', true],
    ['port[12]', 'port3', false],
    ['port[12]', 'port', false],
    ['[', '[', true],
    ['a.c', 'abc', false],
    ['*[ab]*x', 'zzbzzx', true],
  ] as const)
    assert.equal(filterOf('n', pattern).fits(value), fits, `${pattern} ${value}`);
  assert.equal(filterOf('n', `${'*a'.repeat(30)}b`).fits('a'.repeat(60)), false);
});

test('variables are written so that what a peer wrote stays where it is put', () => {
  const incident = incidentsOf({ fields: { filename: 'a"b\\&c\u00e9', srcip: '10.0.0.1' }, line: 'the "line"' })[0];
  assert.ok(incident);
  assert.equal(
    filledIn('%%log.srcip%% %%log%% %%log.none%%|%%LOG%%', incident, 'text'),
    '10.0.0.1 the "line" |%%LOG%%',
  );
  assert.equal(filledIn('{"f":"%%log.filename%%"}', incident, 'json'), '{"f":"a\\"b\\\\&c\u00e9"}');
  assert.equal(filledIn('/?f=%%log.filename%%', incident, 'url'), '/?f=a%22b%5C%26c%C3%A9');
  assert.equal(filledIn('%%log.filename%%', incident, 'header'), 'a"b\\&c ');
  assert.equal(filledIn('%%log.__proto__%%%%log.constructor%%', incident, 'text'), '');
});
