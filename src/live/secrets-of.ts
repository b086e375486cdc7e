/** Whose sealed and signed SMB sessions the daemon reads: `config inspectd smb-account`. */
import { Buffer } from 'node:buffer';
import type { Config } from '../config/config.js';
import type { Secret } from '../core/secret.js';

export function secretsOf(config: Config): readonly Secret[] {
  return [...config.sections['inspectd smb-account'].values()].flatMap(
    ({ username, domain, password, ntHash }): Secret[] => {
      if (username === undefined || (password === undefined && ntHash === undefined)) return [];
      const known = ntHash === undefined ? (password ?? '') : { ntHash: Buffer.from(ntHash, 'hex') };
      return [{ kind: 'account', user: username, domain, password: known }];
    },
  );
}
