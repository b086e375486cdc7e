/** `diagnose` and `execute` about EMS and what it is told, in FortiOS's words where it has any. */
import { isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { ControlCommand } from '../control/commands.js';
import { ConfigError } from '../core/errors.js';
import type { CallQueue } from './call-queue.js';
import type { EmsConnector } from './connector.js';
import type { EndpointControl } from './endpoint-control.js';

export function emsCommands(control: EndpointControl, calls: CallQueue): ControlCommand[] {
  return [
    {
      words: 'diagnose endpoint forticlient-ems-rest-api queue-complete-calls',
      rest: 'Q-ADDRESS | U-ADDRESS',
      help: 'have EMS quarantine the endpoint at an address, or release it',
      run: async ([what = '', extra], { print }) => {
        const [letter, address] = [what.slice(0, 2).toUpperCase(), what.slice(2).toLowerCase()];
        if ((letter !== 'Q-' && letter !== 'U-') || isIP(address) === 0 || extra !== undefined)
          throw new ConfigError('give Q-ADDRESS (quarantine) or U-ADDRESS (release), such as Q-10.10.10.25');
        const queued = await control.queue(letter === 'Q-' ? 'quarantine' : 'unquarantine', address);
        for (const { call, ended } of queued) {
          print(`Call queued: ${call.kind} ${address} (UID ${call.uid}, EMS ${call.ems})\n`);
          const failed = await Promise.race([ended, pause(WAIT, WAITS, { ref: false })]);
          if (failed === WAITS) print('EMS does not answer: the call is kept and made as soon as it does.\n');
          else if (failed === undefined) print('Call completed.\n');
          else throw new ConfigError(`EMS refused: ${failed}`);
        }
      },
    },
    {
      words: 'diagnose endpoint forticlient-ems-rest-api list',
      help: 'calls that EMS has not heard yet',
      run: (_, { print }) => {
        for (const { kind, address, uid, ems, at } of calls.values())
          print(`${new Date(at).toISOString()} ${kind} ${address} UID ${uid} EMS ${ems}\n`);
        print(`total calls ${calls.size}\n`);
      },
    },
    {
      words: 'diagnose test application fcnacd 2',
      help: 'the EMS of the configuration, and how each is',
      run: (_, { print }) => print(control.connectors.map(emsText).join('') || 'no EMS is configured\n'),
    },
    {
      words: 'diagnose endpoint fctems test-connectivity',
      rest: 'EMS',
      help: 'is it there, and who does it say that it is?',
      run: async ([name = ''], { print }) => {
        const { subject, issuer, validTo, fingerprint } = await control.presented(name);
        const found = control.connectors.find(({ settings }) => settings.name === name);
        print(`Connection test was successful: certificate ${subject}, issued by ${issuer}, until ${validTo}\n`);
        print(`SHA-256 ${fingerprint}\n${found === undefined ? '' : emsText(found)}`);
      },
    },
    {
      words: 'execute fctems verify',
      rest: 'EMS [FINGERPRINT]',
      help: 'show the certificate of an EMS; with its fingerprint: accept it, and no other',
      run: async ([name = '', fingerprint], { print }) => {
        if (fingerprint !== undefined) {
          control.accept(name, fingerprint);
          print(`The certificate is accepted for EMS ${name}.\n`);
          return;
        }
        const presented = await control.presented(name);
        print(
          `Subject:     ${presented.subject}\nIssuer:      ${presented.issuer}\nValid until: ${presented.validTo}\n`,
        );
        print(`Fingerprint: ${presented.fingerprint}\n`);
        if (control.fingerprint(name) === presented.fingerprint) print('It is accepted.\n');
        else print(`To accept it: execute fctems verify ${name} ${presented.fingerprint}\n`);
      },
    },
  ];
}

/** Milliseconds that whoever asked waits for EMS. */
const WAIT = 10_000;
const WAITS = Symbol('waits');

function emsText(connector: EmsConnector): string {
  const { settings, serial, state, endpoints, lastError, syncedAt } = connector;
  return `${[
    `EMS ${settings.name}: ${settings.host}:${settings.port}`,
    `  serial number: ${serial ?? 'not known yet'}`,
    `  state: ${state}`,
    `  endpoints: ${endpoints}`,
    `  last sync: ${new Date(syncedAt).toISOString()}`,
    ...(lastError === undefined ? [] : [`  last error: ${lastError}`]),
  ].join('\n')}\n`;
}
