/** Which sessions a new configuration touches: those whose rule, or a rule above it, or something that rules name, is another than it was. */
import type { Config } from '../config/config.js';

/** What rules look into beside themselves. */
const NAMED = [
  'firewall address',
  'firewall address6',
  'firewall addrgrp',
  'firewall addrgrp6',
  'firewall service custom',
  'firewall service group',
  'firewall schedule recurring',
  'firewall schedule onetime',
  'firewall schedule group',
  'firewall vip',
  'firewall access-proxy',
  'user local',
  'user group',
] as const satisfies readonly (keyof Config['sections'])[];

/** By the numbers of the rules that let them in; `all`: whatever rule that was. */
export function touchedRules(before: Config, after: Config): 'all' | ReadonlySet<number> {
  if (NAMED.some((name) => written(before.sections[name]) !== written(after.sections[name]))) return 'all';
  const old = [...before.sections['firewall proxy-policy'].values()];
  const now = [...after.sections['firewall proxy-policy'].values()].map(written);
  const same = old.findIndex((rule, at) => written(rule) !== now[at]);
  // Top down: nothing below decides about what fits a rule above.
  return new Set((same < 0 ? [] : old.slice(same)).map(({ key }) => Number(key)));
}

/** Without where in the file it stands. */
function written(value: unknown): string {
  return JSON.stringify(value, (key, each: unknown) => {
    if (key === 'at') return undefined;
    return each instanceof Map || each instanceof Set ? [...(each as Iterable<unknown>)] : each;
  });
}
