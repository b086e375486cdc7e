/**
 * `config system automation-trigger`, `automation-action`, `automation-stitch` and `email-server`: what is done when something was found. Triggers and actions of
 * what inspectd does not have (switches, clouds, scripts) are accepted and said to have no effect.
 */
import { shown } from '../did-you-mean.js';
import { accepted, choice, integer, names, type OptionKind, reference, secret, text, toggle } from '../options.js';
import { nameKey, numericKey, singleSection, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

const key = nameKey(35);

/** Those that something happens at. */
export const EVENT_TYPES = ['ioc', 'event-log', 'virus-logs', 'incoming-webhook'] as const;
export const ACTION_TYPES = ['quarantine-forticlient', 'ban-ip', 'webhook', 'email', 'alert', 'log'] as const;

// biome-ignore format: a list of words.
const OTHER_EVENTS = [
  'reboot', 'low-memory', 'high-cpu', 'license-near-expiry', 'local-cert-near-expiry', 'ha-failover', 'config-change', 'security-rating-summary',
  'virus-ips-db-updated', 'faz-event', 'fabric-event', 'ips-logs', 'anomaly-logs', 'ssh-logs', 'webfilter-violation', 'traffic-violation', 'stitch',
] as const;
// biome-ignore format: a list of words.
const OTHER_ACTIONS = [
  'fortiexplorer-notification', 'disable-ssid', 'system-actions', 'quarantine', 'quarantine-nsx', 'quarantine-fortinac', 'aws-lambda',
  'azure-function', 'google-cloud-function', 'alicloud-function', 'cli-script', 'diagnose-script', 'regular-expression', 'slack-notification',
  'microsoft-teams-notification',
] as const;

/** A word that FortiOS knows; `other`: nothing comes of it here. */
function known<const V extends readonly string[], const U extends V[number]>(
  values: V,
  others: readonly string[],
  unset: U,
  what: string,
): OptionKind<V[number] | 'other'> {
  const all = choice([...values, ...others], undefined);
  return {
    unset,
    allowed: all.allowed,
    many: false,
    read: (words, reader) => {
      const word = all.read(words, reader);
      const [first] = words;
      if (word === undefined || first === undefined) return undefined;
      const value = values.find((each) => each === word);
      if (value === undefined)
        reader.warning(first, `${shown(word)}: inspectd has no such ${what}, nothing comes of it`);
      return value ?? 'other';
    },
  };
}

/** Short numbers of messages: 1 to 65535; ours above 99000 too. */
const logids: OptionKind<readonly number[]> = {
  unset: [],
  allowed: 'numbers of messages, such as 45114',
  many: true,
  read: (words, reader) =>
    words.flatMap((word) => {
      if (/^\d{1,5}$/.test(word.text) && Number(word.text) > 0) return [Number(word.text)];
      reader.error(word, `found ${shown(word.text)}; allowed: ${logids.allowed}`);
      return [];
    }),
};

export const systemAutomationTrigger = tableSection(
  {
    description: text(255),
    'trigger-type': choice(['event-based', 'scheduled'], 'event-based'),
    'event-type': known(EVENT_TYPES, OTHER_EVENTS, 'ioc', 'event'),
    /** As bad as this, or worse. */
    'ioc-level': choice(['medium', 'high'], 'medium'),
    logid: logids,
    ...elsewhere([
      'license-type',
      'report-type',
      'vdom',
      'trigger-frequency',
      'trigger-weekday',
      'trigger-day',
      'trigger-hour',
      'trigger-minute',
      'trigger-datetime',
      'faz-event-severity',
      'faz-event-tags',
      'faz-event-name',
      'serial',
      'fabric-event-name',
      'fabric-event-severity',
      'stitch-name',
    ] as const),
  },
  { nested: { fields: tableSection({ name: text(35), value: text(63) }, { key: numericKey }) }, key },
);

export const systemAutomationAction = tableSection(
  {
    description: text(255),
    'action-type': known(ACTION_TYPES, OTHER_ACTIONS, 'alert', 'action'),
    /** Seconds: at most once within them. */
    'minimum-interval': integer(0, 2_592_000, 0, 1000),
    delay: integer(0, 3600, 0, 1000),
    required: toggle(false),
    'email-to': names(),
    'email-from': text(127),
    'email-subject': text(511),
    message: text(4095),
    protocol: choice(['http', 'https'], 'http'),
    method: choice(['post', 'put', 'get', 'patch', 'delete'], 'post'),
    uri: text(1023),
    port: integer(1, 65_535, undefined),
    'http-body': text(4095),
    'verify-host-cert': toggle(true),
    /** Our own: seconds that ban-ip bans for; 0: until it is taken off. */
    'ban-time': integer(0, 31_536_000, 0),
    ...elsewhere([
      'replacement-message',
      'replacemsg-group',
      'security-tag',
      'headers',
      'execute-security-fabric',
      'accprofile',
      'tls-certificate',
      'forticare-email',
      'timeout',
      'duration',
      'output-size',
      'message-type',
      'script',
      'system-action',
      'aws-api-key',
      'azure-function-authorization',
      'azure-api-key',
      'alicloud-function-authorization',
      'alicloud-access-key-id',
      'alicloud-access-key-secret',
      'sdn-connector',
      'file-only',
      'log-debug-print',
      'regular-expression',
    ] as const),
  },
  {
    nested: { 'http-headers': tableSection({ key: text(1023), value: text(4095) }, { key: numericKey }) },
    key: nameKey(63),
  },
);

export const systemAutomationStitch = tableSection(
  {
    description: text(255),
    status: toggle(true),
    trigger: reference('system automation-trigger'),
    /** As written up to 7.0; `config actions` since. */
    action: names('system automation-action'),
    destination: accepted,
    'condition-logic': accepted,
  },
  {
    nested: {
      actions: tableSection(
        {
          action: reference('system automation-action'),
          delay: integer(0, 3600, 0, 1000),
          required: toggle(false),
        },
        { key: numericKey },
      ),
    },
    skipped: ['condition'],
    key,
  },
);

/** Where mail of actions is handed in. */
export const systemEmailServer = singleSection({
  server: text(63),
  port: integer(1, 65_535, 25),
  'reply-to': text(63),
  security: choice(['none', 'starttls', 'smtps'], 'none'),
  authenticate: toggle(false),
  username: text(63),
  password: secret('text of at most 128 characters', /^.{0,128}$/s),
  'validate-server': toggle(true),
  type: accepted,
  ...elsewhere([
    'source-ip',
    'source-ip6',
    'ssl-min-proto-version',
    'interface-select-method',
    'interface',
    'vrf-select',
  ] as const),
});
