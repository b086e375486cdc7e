/** Records of endpoints and automation, byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { automationNote, stitchRecord } from './automation-event.js';
import { endpointEventRecord } from './endpoint-event.js';
import { formatRecord } from './format.js';
import type { LogRecord } from './record.js';
import { timeZone } from './time-zone.js';

const CONTEXT = { eventTime: 1_634_581_905_530_840_484n, zone: timeZone('America/Los_Angeles') };
const FRONT = 'date=2021-10-18 time=11:31:45 eventtime=1634581905530840484 tz="-0700"';
const line = (record: LogRecord): string => formatRecord(record, 'default');

test('a stitch that was triggered', () => {
  assert.equal(
    line(
      stitchRecord({ stitch: 'stitch01', trigger: 'trigger01', actions: ['action01', 'mail'], from: 'log' }, CONTEXT),
    ),
    `${FRONT} logid="0100046600" type="event" subtype="system" level="notice" vd="root" logdesc="Automation stitch triggered" stitch="stitch01" trigger="trigger01" stitchaction="action01,mail" from="log" msg="stitch:stitch01 is triggered."`,
  );
});

test('an endpoint that EMS put into quarantine', () => {
  const facts = {
    emsSerial: 'FCTEMS0000109188',
    user: 'keithli',
    address: '10.10.10.25',
    uid: 'F4F3263AEBE54777A6509A8FCCDF9284',
  };
  assert.equal(
    line(endpointEventRecord('quarantined', 'Endpoint is quarantined by EMS.', facts, CONTEXT)),
    `${FRONT} logid="0107045114" type="event" subtype="endpoint" level="notice" vd="root" logdesc="FortiClient endpoint quarantined" fctemssn="FCTEMS0000109188" user="keithli" ip=10.10.10.25 fctuid="F4F3263AEBE54777A6509A8FCCDF9284" msg="Endpoint is quarantined by EMS."`,
  );
});

test('what EMS or a peer wrote begins no second record', () => {
  const record = automationNote('action-log', 'a\nlogid="1"', { stitch: 's"', address: '192.0.2.1' }, CONTEXT);
  assert.equal(
    line(record),
    `${FRONT} logid="0100099122" type="event" subtype="system" level="warning" vd="root" logdesc="Automation action" stitch="s\\"" ip=192.0.2.1 msg="a logid=\\"1\\""`,
  );
});
