/**
 * An endpoint as its EMS describes it: who it is, what its posture is called. The identity is the UID, which the certificate of the endpoint
 * names; an address is only where it was last seen.
 */

/** Plain data: it crosses processes. */
export interface Endpoint {
  /** 32 upper-case hex digits. */
  readonly uid: string;
  /** The serial number of its EMS: `FCTEMS0000109188`. */
  readonly emsSerial: string;
  /** Of the certificate that EMS gave it, upper-case hex; undefined: it has none. */
  readonly certificateSerial: string | undefined;
  /** EMS took its certificate back. */
  readonly revoked: boolean;
  readonly online: boolean;
  readonly domain: string | undefined;
  readonly user: string | undefined;
  readonly owner: string | undefined;
  readonly addresses: readonly string[];
  readonly macs: readonly string[];
  /** `AV-enabled`, in the order of EMS. */
  readonly tags: readonly string[];
  readonly quarantined: boolean;
}

/** What policies name a tag by, in FortiOS 7.0's way: by address, and by MAC. */
export function tagNames(emsSerial: string, tag: string): readonly [byAddress: string, byMac: string] {
  return [`${emsSerial}_${tag}`, `MAC_${emsSerial}_${tag}`];
}

/** Endpoints as policy asks for them. Changes are told by UID after they hold. */
export interface Endpoints {
  get(uid: string): Endpoint | undefined;
  values(): Iterable<Endpoint>;
  /** Called with the UIDs of every change, until the function returned is called. */
  watch(changed: (uids: ReadonlySet<string>) => void): () => void;
}
