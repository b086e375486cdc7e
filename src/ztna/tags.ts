/**
 * What policies call a tag. FortiOS makes address objects of each tag: `FCTEMS0000109188_AV-enabled` and `MAC_FCTEMS0000109188_AV-enabled`
 * (7.0), `EMS1_ZTNA_AV-enabled` and `EMS1_CLASS_…` (7.2 and later), or an object of the configuration that names it (`set obj-tag`).
 * An endpoint is known by its certificate here, so that the objects by address and by MAC mean the same.
 */
import type { Config } from '../config/config.js';
import type { Endpoint } from './endpoint.js';

/** A tag, of one EMS or of whichever has it. */
export interface Tag {
  readonly tag: string;
  readonly emsSerial: string | undefined;
}

type AddressOf<T> = T extends ReadonlyMap<string, infer A> ? A : never;
type Address = AddressOf<Config['sections']['firewall address']>;

/** What a dynamic address object stands for; undefined: for nothing that EMS knows. */
export function tagOfAddress({ key, type, subType, objTag }: Address): Tag | undefined {
  if (type !== 'dynamic' || (subType !== undefined && subType !== 'ems-tag')) return undefined;
  return objTag === undefined ? tagOfName(key) : { tag: objTag, emsSerial: undefined };
}

/** What a name means that EMS made; undefined: it is none. */
export function tagOfName(name: string): Tag | undefined {
  const old = /^(?:MAC_)?(FCTEMS[0-9A-Z]{4,20})_(.+)$/s.exec(name);
  if (old !== null) return { tag: old[2] ?? '', emsSerial: old[1] };
  const tag = /^(?:MAC_)?EMS\d{0,2}_(?:ZTNA|CLASS)_(.+)$/s.exec(name)?.[1];
  return tag === undefined ? undefined : { tag, emsSerial: undefined };
}

export function carries({ tags, emsSerial }: Endpoint, tag: Tag): boolean {
  return (tag.emsSerial === undefined || tag.emsSerial === emsSerial) && tags.includes(tag.tag);
}

/** What an entry of `ztna-ems-tag` asks: any of these tags. Groups are or-ed inside, whatever the list is. Without one nobody fits. */
export function tagsOf(config: Config, name: string, seen: Set<string> = new Set()): Tag[] {
  if (seen.has(name)) return [];
  seen.add(name);
  const address = config.sections['firewall address'].get(name);
  const group = config.sections['firewall addrgrp'].get(name);
  if (group !== undefined) return group.member.flatMap((member) => tagsOf(config, member, seen));
  const tag = address === undefined ? tagOfName(name) : tagOfAddress(address);
  return tag === undefined ? [] : [tag];
}

/** What firewall policies ask of the address that a client comes from. */
export function tagsOfPolicies(config: Config): Tag[] {
  return [...config.sections['firewall policy'].values()].flatMap((policy) =>
    policy.ztnaStatus
      ? [...policy.ztnaEmsTag, ...policy.ztnaEmsTagSecondary].flatMap((name) => tagsOf(config, name))
      : [],
  );
}
