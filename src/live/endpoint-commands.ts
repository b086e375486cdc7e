/** The commands about endpoints: what is known of them, in FortiOS's words, and, in ours, telling the daemon of one where no EMS does. */
import type { Config } from '../config/config.js';
import type { ControlCommand } from '../control/commands.js';
import { ConfigError } from '../core/errors.js';
import { printDynamic } from '../ztna/dynamic-addresses.js';
import type { Endpoint } from '../ztna/endpoint.js';
import type { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { printCache, printRecords } from '../ztna/print.js';

export interface CommandedEndpoints {
  readonly endpoints: EndpointRegistry;
  config(): Config;
}

/** The first number of a dynamic address; FortiOS's own begin somewhere too. */
const FIRST_ID = 100;

export function endpointCommands(daemon: CommandedEndpoints): ControlCommand[] {
  const { endpoints } = daemon;
  const ids = new Map<string, number>();
  const idOf = (name: string): number => {
    const known = ids.get(name) ?? FIRST_ID + ids.size;
    ids.set(name, known);
    return known;
  };
  return [
    {
      words: 'diagnose test application fcnacd',
      rest: '7',
      help: '7: the endpoints that are known, with their tags',
      run: ([what, ...more], { print }) => {
        if (what !== '7' || more.length > 0) throw new ConfigError('diagnose test application fcnacd 7');
        print(printCache(endpoints.values()));
      },
    },
    {
      words: 'diagnose firewall dynamic list',
      rest: '[NAME]',
      help: 'who is in the dynamic addresses now',
      run: ([name], { print }) => print(printDynamic(daemon.config(), endpoints, idOf, name)),
    },
    {
      words: 'diagnose endpoint record list',
      help: 'the endpoints that are known, and how many are online and in quarantine',
      run: (_, { print }) => print(printRecords(endpoints.values())),
    },
    {
      words: 'diagnose endpoint record update',
      rest: 'UID [ems SN] [tags A,B] [ip A,B] [mac A,B] [user U] [domain D] [owner O] [cert SN] [online|revoked|quarantined yes|no]',
      help: 'tell of an endpoint, or what is new about it, where no EMS does',
      run: ([uid, ...words]) => {
        if (!endpoints.update(updated(endpoints, uid, words))) throw new ConfigError('no more endpoints can be known');
      },
    },
    {
      words: 'diagnose endpoint record delete',
      rest: 'UID',
      help: 'forget an endpoint',
      run: ([uid]) => endpoints.remove((uid ?? '').toUpperCase()),
    },
  ];
}

function updated(endpoints: EndpointRegistry, name: string | undefined, words: readonly string[]): Endpoint {
  const uid = (name ?? '').toUpperCase();
  if (!/^[0-9A-F]{32}$/.test(uid)) throw new ConfigError(`"${name ?? ''}" is no UID: 32 hex digits`);
  let endpoint: Endpoint = endpoints.byUid(uid) ?? {
    uid,
    emsSerial: '',
    certificateSerial: undefined,
    revoked: false,
    online: true,
    domain: undefined,
    user: undefined,
    owner: undefined,
    addresses: [],
    macs: [],
    tags: [],
    quarantined: false,
  };
  for (let at = 0; at < words.length; at += 2) {
    const option = words[at] ?? '';
    const value = words[at + 1];
    if (value === undefined) throw new ConfigError(`${option}: a value is missing`);
    endpoint = { ...endpoint, ...changeOf(option, value) };
  }
  return endpoint;
}

function changeOf(option: string, value: string): Partial<Endpoint> {
  const list = value === '' ? [] : value.split(',');
  const text = value === '' ? undefined : value;
  switch (option) {
    case 'ems':
      return { emsSerial: value };
    case 'tags':
      return { tags: list };
    case 'ip':
      return { addresses: list };
    case 'mac':
      return { macs: list };
    case 'user':
      return { user: text };
    case 'domain':
      return { domain: text };
    case 'owner':
      return { owner: text };
    case 'cert':
      return { certificateSerial: text?.toUpperCase() };
    case 'online':
    case 'revoked':
    case 'quarantined':
      if (value !== 'yes' && value !== 'no') throw new ConfigError(`${option}: yes or no`);
      return { [option]: value === 'yes' };
    default:
      throw new ConfigError(`"${option}" is nothing that an endpoint has`);
  }
}
