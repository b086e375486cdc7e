/** `config nac-quar` of antivirus profiles: whose address is banned when something infected was found, and for how long. */
import type { Config } from '../config/config.js';

/** Seconds by the name of the profile; 0: until it is taken off. */
export function nacQuarantineOf(config: Config): ReadonlyMap<string, number> {
  return new Map(
    [...config.sections['antivirus profile'].values()].flatMap(({ key, nacQuar }) =>
      nacQuar.infected === 'quar-src-ip' ? [[key, nacQuar.expiry ?? 0] as const] : [],
    ),
  );
}

/** Who is to be banned for a record, and for how long; undefined: nobody. */
export function bannedFor(
  fields: Readonly<Record<string, string>>,
  bans: ReadonlyMap<string, number>,
): { readonly address: string; readonly seconds: number } | undefined {
  const { subtype, eventtype, profile = '', srcip } = fields;
  const seconds = bans.get(profile);
  if (subtype !== 'virus' || eventtype !== 'infected' || srcip === undefined || seconds === undefined) return undefined;
  return { address: srcip, seconds };
}
