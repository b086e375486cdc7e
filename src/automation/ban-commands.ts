/** `diagnose user banned-ip`: FortiOS's words since 7.2; `diagnose user quarantine` is what they were before. */
import { isIP } from 'node:net';
import type { ControlCommand } from '../control/commands.js';
import { ConfigError } from '../core/errors.js';
import { BAN_CAUSES, type BanCause, type BanList, printBans } from './ban-list.js';

export function banCommands(bans: BanList): ControlCommand[] {
  return ['diagnose user banned-ip', 'diagnose user quarantine'].flatMap((words): ControlCommand[] => [
    {
      words: `${words} list`,
      help: 'addresses that get no session, since when, until when and why',
      run: (_, { print }) => print(printBans(bans.values())),
    },
    {
      words: `${words} add`,
      rest: `src4|src6 ADDRESS [SECONDS [${BAN_CAUSES.join('|')}]]`,
      help: 'ban an address, for so long (0: until it is taken off); its sessions end',
      run: ([family = '', address = '', seconds = '0', cause = 'admin', extra], { print }) => {
        const wanted = { src4: 4, src6: 6 }[family];
        if (wanted === undefined || extra !== undefined)
          throw new ConfigError(`give src4 or src6, an address, seconds and one of ${BAN_CAUSES.join(', ')}`);
        if (isIP(address) !== wanted) throw new ConfigError(`"${address}" is no IPv${wanted} address`);
        if (!/^\d{1,9}$/.test(seconds)) throw new ConfigError(`"${seconds}" is no number of seconds`);
        if (!(BAN_CAUSES as readonly string[]).includes(cause))
          throw new ConfigError(`"${cause}" is none of ${BAN_CAUSES.join(', ')}`);
        if (!bans.add(address, Number(seconds), cause as BanCause)) throw new ConfigError('the list of bans is full');
        print(`${address} is banned\n`);
      },
    },
    {
      words: `${words} delete`,
      rest: 'src4|src6 ADDRESS',
      help: 'take an address off the list',
      run: ([, address = ''], { print }) => {
        if (isIP(address) === 0) throw new ConfigError(`"${address}" is no address`);
        if (!bans.remove(address)) throw new ConfigError(`${address} is not banned`);
        print(`${address} is not banned any more\n`);
      },
    },
    { words: `${words} clear`, help: 'take all addresses off the list', run: () => bans.clear() },
    {
      words: `${words} stat`,
      help: 'how many addresses are banned',
      run: (_, { print }) => print(`banned addresses: ${bans.size}\n`),
    },
  ]);
}
