import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../config/config.js';
import { ConfigError } from '../core/errors.js';
import { stitchesOf } from './stitches.js';

const read = (text: string) => stitchesOf(readConfig(text, 'test.conf').config);

const TRIGGER = `config system automation-trigger
edit "trigger01"
set trigger-type event-based
set event-type ioc
set ioc-level high
next
end
`;
const ACTION = `config system automation-action
edit "action01"
set action-type quarantine-forticlient
set minimum-interval 0
next
end
`;
const STITCH = `config system automation-stitch
edit "stitch01"
set status enable
set trigger "trigger01"
set action "action01"
next
end
`;

test('the example of the EMS administration guide is one stitch', () => {
  assert.deepEqual(read(TRIGGER + ACTION + STITCH), [
    {
      name: 'stitch01',
      trigger: { name: 'trigger01', kind: 'ioc', level: 'high' },
      steps: [
        {
          action: { name: 'action01', kind: 'quarantine-forticlient', minimumInterval: 0 },
          delay: 0,
          required: false,
        },
      ],
    },
  ]);
});

test('the newer way of writing actions, with delay and required', () => {
  const newer = STITCH.replace(
    'set action "action01"',
    'config actions\nedit 1\nset action "action01"\nset delay 5\nset required enable\nnext\nend',
  );
  const [stitch] = read(
    TRIGGER + ACTION.replace('set minimum-interval 0', 'set minimum-interval 60\nset delay 2') + newer,
  );
  const [step] = stitch?.steps ?? [];
  assert.deepEqual([step?.delay, step?.required, step?.action.minimumInterval], [7_000, true, 60_000]);
});

test('stitches that are disabled, and events and actions that there are none of here, do nothing; that is said', () => {
  assert.deepEqual(read(TRIGGER + ACTION + STITCH.replace('enable', 'disable')), []);
  assert.deepEqual(read(TRIGGER.replace('event-type ioc', 'event-type reboot') + ACTION + STITCH), []);
  assert.deepEqual(read(TRIGGER.replace('event-based', 'scheduled') + ACTION + STITCH), []);
  assert.deepEqual(read(TRIGGER + ACTION.replace('quarantine-forticlient', 'cli-script') + STITCH), []);
  const { warnings } = readConfig(TRIGGER.replace('event-type ioc', 'event-type reboot'), 'test.conf');
  assert.match(warnings.join(), /"reboot": inspectd has no such event, nothing comes of it/);
});

test('a webhook and a mail are put together from their parts', () => {
  const more = `config system email-server
set server "mail.example.com"
set port 587
set security starttls
set authenticate enable
set username "u"
set password "p"
end
config system automation-action
edit "action01"
set action-type webhook
set protocol https
set uri "hooks.example.com/a/%%log.srcip%%?b=c"
set port 8443
next
edit "m"
set action-type email
set email-to "a@example.com" "b@example.com"
next
end
`;
  const [stitch] = read(TRIGGER + more + STITCH.replace('"action01"', '"action01" "m"'));
  const [webhook, mail] = stitch?.steps.map(({ action }) => action) ?? [];
  assert.deepEqual(webhook?.kind === 'webhook' ? webhook.webhook : undefined, {
    method: 'POST',
    url: 'https://hooks.example.com:8443/a/%%log.srcip%%?b=c',
    headers: [],
    body: '%%log%%',
    verify: true,
  });
  assert.deepEqual(mail?.kind === 'email' ? mail.mail : undefined, {
    to: ['a@example.com', 'b@example.com'],
    from: 'inspectd@localhost',
    replyTo: undefined,
    subject: 'inspectd: m',
    server: {
      host: 'mail.example.com',
      port: 587,
      security: 'starttls',
      account: { user: 'u', pass: 'p' },
      verify: true,
    },
  });
});

test('what is missing or wrong is said, all of it at once', () => {
  for (const [text, said] of [
    [ACTION + STITCH, /there is no "trigger01" in "config system automation-trigger"/],
    [TRIGGER + STITCH, /there is no "action01" in "config system automation-action"/],
    [TRIGGER + ACTION + STITCH.replace('set trigger "trigger01"', ''), /stitch "stitch01": trigger is missing/],
    [TRIGGER + ACTION + STITCH.replace('set action "action01"', ''), /stitch "stitch01": there is no action/],
    [TRIGGER.replace('type ioc', 'type iocs'), /event-type: found "iocs".*did you mean "ioc"/],
    [TRIGGER.replace('type ioc', 'type event-log'), /trigger "trigger01": logid is missing/],
    [TRIGGER.replace('level high', 'level highest'), /ioc-level: found "highest"/],
    [ACTION.replace('quarantine-forticlient', 'webhook'), /action "action01": uri is missing/],
    [ACTION.replace('quarantine-forticlient', 'webhook\nset uri "https://x/y"'), /uri is HOST\/PATH, without a scheme/],
    [ACTION.replace('quarantine-forticlient', 'webhook\nset uri "%%log.srcip%%/y"'), /uri is HOST\/PATH/],
    [
      ACTION.replace('quarantine-forticlient', 'email'),
      /email-to is missing\n.*"config system email-server" names no server/,
    ],
    [ACTION.replace('interval 0', 'interval x'), /minimum-interval: found "x"/],
  ] as const)
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof ConfigError && said.test(error.message),
      text,
    );
});
