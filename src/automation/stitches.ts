/** Stitches as the configuration writes them, put together: what triggers each, and what is done then. */
import type { Config } from '../config/config.js';
import { ConfigError } from '../core/errors.js';

export const IOC_LEVELS = ['medium', 'high'] as const;
export type IocLevel = (typeof IOC_LEVELS)[number];

export type Trigger = { readonly name: string } & (
  | { readonly kind: 'ioc'; readonly level: IocLevel }
  /** Records with one of these short numbers whose fields fit. */
  | { readonly kind: 'log'; readonly numbers: ReadonlySet<number>; readonly filters: readonly Filter[] }
  | { readonly kind: 'virus'; readonly filters: readonly Filter[] }
  | { readonly kind: 'webhook' }
);

export interface Filter {
  readonly name: string;
  fits(value: string): boolean;
}

export interface Mail {
  readonly to: readonly string[];
  readonly from: string;
  readonly replyTo: string | undefined;
  readonly subject: string;
  readonly server: MailServer;
}

export interface MailServer {
  readonly host: string;
  readonly port: number;
  readonly security: 'none' | 'starttls' | 'smtps';
  readonly account: { readonly user: string; readonly pass: string } | undefined;
  readonly verify: boolean;
}

export interface Webhook {
  readonly method: string;
  /** With its variables; `https://example.com:8443/path`. */
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | undefined;
  readonly verify: boolean;
}

export type Action = {
  readonly name: string;
  /** Milliseconds within which it is done once at most. */
  readonly minimumInterval: number;
} & (
  | { readonly kind: 'quarantine-forticlient' }
  | { readonly kind: 'ban-ip'; readonly seconds: number }
  | { readonly kind: 'webhook'; readonly webhook: Webhook }
  | { readonly kind: 'email'; readonly mail: Mail; readonly message: string }
  | { readonly kind: 'log'; readonly message: string }
);

export interface Step {
  readonly action: Action;
  /** Milliseconds before it. */
  readonly delay: number;
  /** When it fails, those behind it are not done. */
  readonly required: boolean;
}

export interface Stitch {
  readonly name: string;
  readonly trigger: Trigger;
  readonly steps: readonly Step[];
}

/** Those that are enabled and of which something comes. Throws ConfigError with everything that is wrong. */
export function stitchesOf(config: Config): Stitch[] {
  const problems: string[] = [];
  const triggers = new Map<string, Trigger | undefined>();
  for (const entry of config.sections['system automation-trigger'].values())
    triggers.set(entry.key, triggerOf(entry, problems));
  const actions = new Map<string, Step | undefined>();
  for (const entry of config.sections['system automation-action'].values())
    actions.set(entry.key, actionOf(entry, config, problems));
  const stitches: Stitch[] = [];
  for (const entry of config.sections['system automation-stitch'].values()) {
    const at = `line ${entry.at.line}: stitch "${entry.key}"`;
    if (entry.trigger === undefined) problems.push(`${at}: trigger is missing`);
    const newer = [...entry.actions.values()];
    if (entry.action.length + newer.length === 0) problems.push(`${at}: there is no action`);
    const steps = [
      ...entry.action.flatMap((name) => actions.get(name) ?? []),
      ...newer.flatMap(({ action, delay, required }): Step[] => {
        const step = action === undefined ? undefined : actions.get(action);
        return step === undefined ? [] : [{ ...step, delay: delay + step.delay, required: required || step.required }];
      }),
    ];
    const trigger = entry.trigger === undefined ? undefined : triggers.get(entry.trigger);
    if (entry.status && trigger !== undefined && steps.length > 0) stitches.push({ name: entry.key, trigger, steps });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return stitches;
}

type Entries<K extends keyof Config['sections']> =
  Config['sections'][K] extends ReadonlyMap<string, infer E> ? E : never;

/** Undefined: nothing of the kind ever happens here. */
function triggerOf(entry: Entries<'system automation-trigger'>, problems: string[]): Trigger | undefined {
  const { key: name, at, eventType, triggerType, iocLevel, logid } = entry;
  if (triggerType === 'scheduled' || eventType === 'other') return undefined;
  const filters = [...entry.fields.values()].flatMap((each): Filter[] =>
    each.name === undefined || each.value === undefined ? [] : [filterOf(each.name, each.value)],
  );
  switch (eventType) {
    case 'ioc':
      return { name, kind: 'ioc', level: iocLevel };
    case 'event-log':
      if (logid.length === 0) problems.push(`line ${at.line}: trigger "${name}": logid is missing`);
      return { name, kind: 'log', numbers: new Set(logid), filters };
    case 'virus-logs':
      return { name, kind: 'virus', filters };
    case 'incoming-webhook':
      return { name, kind: 'webhook' };
  }
}

/** `*` stands for anything and `[ab]` for one of these; otherwise the whole value, as it is. */
export function filterOf(name: string, pattern: string): Filter {
  if (!/[*[]/.test(pattern)) return { name, fits: (value) => value === pattern };
  const pieces = pattern.match(/\*+|\[[^\]]*\]|[^*[]+|\[/g) ?? [];
  return { name, fits: (value) => fitsPieces(pieces, 0, value, 0) };
}

/** Without backtracking over more than the last `*`: no pattern is slow. */
function fitsPieces(pieces: readonly string[], piece: number, value: string, at: number): boolean {
  let [p, v] = [piece, at];
  let star = -1;
  let starAt = 0;
  const taken = (): number => {
    const wanted = pieces[p];
    if (wanted === undefined) return -1;
    if (wanted.length > 1 && wanted.startsWith('[')) {
      const one = value[v];
      return one !== undefined && wanted.slice(1, -1).includes(one) ? 1 : -1;
    }
    return value.startsWith(wanted, v) ? wanted.length : -1;
  };
  for (;;) {
    if (pieces[p]?.startsWith('*') === true) {
      star = p++;
      starAt = v;
      continue;
    }
    if (p === pieces.length && v === value.length) return true;
    const length = taken();
    if (length >= 0) {
      p++;
      v += length;
    } else if (star >= 0 && starAt < value.length) {
      p = star + 1;
      v = ++starAt;
    } else return false;
  }
}

const DEFAULT_MESSAGE = '%%log%%';

/** Undefined: nothing comes of it here. */
function actionOf(entry: Entries<'system automation-action'>, config: Config, problems: string[]): Step | undefined {
  const { key: name, at, actionType, minimumInterval, delay, required, message = DEFAULT_MESSAGE } = entry;
  const wrong = (what: string): void => void problems.push(`line ${at.line}: action "${name}": ${what}`);
  const step = (action: Action): Step => ({ action, delay, required });
  const common = { name, minimumInterval };
  switch (actionType) {
    case 'other':
      return undefined;
    case 'quarantine-forticlient':
      return step({ ...common, kind: 'quarantine-forticlient' });
    case 'ban-ip':
      return step({ ...common, kind: 'ban-ip', seconds: entry.banTime });
    case 'alert':
    case 'log':
      return step({ ...common, kind: 'log', message });
    case 'email': {
      const server = mailServerOf(config);
      if (entry.emailTo.length === 0) wrong('email-to is missing');
      if (server === undefined) wrong('"config system email-server" names no server');
      const from = entry.emailFrom ?? config.sections['system email-server'].replyTo ?? 'inspectd@localhost';
      const mail = {
        to: entry.emailTo,
        from,
        replyTo: config.sections['system email-server'].replyTo,
        subject: entry.emailSubject ?? `inspectd: ${name}`,
      };
      return server === undefined ? undefined : step({ ...common, kind: 'email', mail: { ...mail, server }, message });
    }
    case 'webhook': {
      const { protocol, uri, port, method, httpBody, httpHeaders } = entry;
      const url = uri === undefined ? undefined : urlOf(protocol, uri, port);
      if (url === undefined) wrong(uri === undefined ? 'uri is missing' : 'uri is HOST/PATH, without a scheme');
      const headers = [...httpHeaders.values()].flatMap(({ key, value }) =>
        key === '' || value === undefined ? [] : [[key, value] as const],
      );
      for (const [header] of headers)
        if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)) wrong(`"${header}" is no name of a header`);
      const body = method === 'get' ? undefined : (httpBody ?? DEFAULT_MESSAGE);
      const webhook = { method: method.toUpperCase(), url: url ?? '', headers, body, verify: entry.verifyHostCert };
      return step({ ...common, kind: 'webhook', webhook });
    }
  }
}

/** Undefined: it is none. Variables stand in the path only. */
function urlOf(protocol: string, uri: string, port: number | undefined): string | undefined {
  const found = /^([^/?#@\s%:]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?([/?]\S*)?$/.exec(uri);
  if (found === null) return undefined;
  const at = found[2] ?? (port === undefined ? '' : String(port));
  const url = `${protocol}://${found[1] ?? ''}${at === '' ? '' : `:${at}`}${found[3] ?? '/'}`;
  return URL.canParse(url) ? url : undefined;
}

function mailServerOf(config: Config): MailServer | undefined {
  const { server, port, security, authenticate, username, password, validateServer } =
    config.sections['system email-server'];
  if (server === undefined || server === '') return undefined;
  return {
    host: server,
    port,
    security,
    account: authenticate ? { user: username ?? '', pass: password ?? '' } : undefined,
    verify: validateServer,
  };
}
