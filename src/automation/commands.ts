/** `diagnose automation`: run a stitch to try it out, and tell of an indicator of compromise (which a FortiAnalyzer would). */
import { isIP } from 'node:net';
import type { ControlCommand } from '../control/commands.js';
import { ConfigError } from '../core/errors.js';
import type { Automation } from './automation.js';
import type { Incident } from './incident.js';
import { IOC_LEVELS } from './stitches.js';

export function automationCommands(automation: Automation): ControlCommand[] {
  return [
    {
      words: 'diagnose automation test',
      rest: 'STITCH [ADDRESS]',
      help: 'run a stitch now, as if an incident at an address had triggered it',
      run: ([name = '', address = '127.0.0.1', extra], { print }) => {
        const stitch = automation.stitches.find((each) => each.name === name);
        if (stitch === undefined)
          throw new ConfigError(
            `no stitch "${name}" is enabled: ${automation.stitches.map((each) => each.name).join(', ')}`,
          );
        if (isIP(address) === 0 || extra !== undefined) throw new ConfigError('give STITCH and an IP address');
        automation.run(stitch, incident(address, {}));
        print(`automation test is done. stitch:${name}\n`);
      },
    },
    {
      words: 'diagnose automation ioc',
      rest: `ADDRESS [${IOC_LEVELS.join('|')} [NAME]]`,
      help: 'tell of an indicator of compromise at an address',
      run: ([address = '', level = 'high', name = 'manual', extra], { print }) => {
        const known = IOC_LEVELS.find((each) => each === level);
        if (isIP(address) === 0 || known === undefined || extra !== undefined)
          throw new ConfigError(`give an IP address, and ${IOC_LEVELS.join(' or ')}`);
        const count = automation.happened({ ...incident(address, { virus: name }), level: known });
        print(`stitches triggered: ${count}\n`);
      },
    },
    {
      words: 'diagnose automation list',
      help: 'the stitches that are enabled',
      run: (_, { print }) => {
        for (const { name, trigger, steps } of automation.stitches)
          print(
            `stitch: ${name}  trigger: ${trigger.name} (${trigger.kind})  actions: ${steps.map(({ action }) => `${action.name} (${action.kind})`).join(', ')}\n`,
          );
        const { triggered, done, failed, suppressed } = automation.counts;
        print(`triggered ${triggered}, actions done ${done}, failed ${failed}, suppressed ${suppressed}\n`);
      },
    },
  ];
}

function incident(address: string, more: Readonly<Record<string, string>>): Incident {
  const fields = { srcip: address, ...more };
  return { kind: 'ioc', level: 'high', from: 'cli', fields, line: `srcip=${address}` };
}
