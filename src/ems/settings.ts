/** Which EMS there are and how each is reached, out of both ways of writing it down. */
import { X509Certificate } from 'node:crypto';
import type { Config } from '../config/config.js';
import { ConfigError } from '../core/errors.js';

export interface EmsSettings {
  /** As it is called in commands and records: `e01`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** What it must say of itself; undefined: whatever it says. */
  readonly serial: string | undefined;
  readonly username: string;
  readonly password: string;
  /** Milliseconds. */
  readonly callTime: number;
  readonly statusInterval: number;
  readonly outOfSync: number;
  /** PEM; undefined: the authorities that the system trusts, or the certificate that was accepted by hand. */
  readonly authority: string | undefined;
}

/** As many as FortiOS has. */
const MOST = 7;

/** Throws ConfigError with everything that is missing. */
export function emsSettingsOf(config: Config): EmsSettings[] {
  const problems: string[] = [];
  const all: EmsSettings[] = [];
  const { sections } = config;
  const add = (path: string, entry: Written, name: string, host: string | undefined, hostOption: string): void => {
    const missing = (option: string): void =>
      void problems.push(`line ${entry.at.line}: "config ${path}" / edit ${entry.key}: ${option} is missing`);
    if (host === undefined) missing(hostOption);
    if (entry.adminUsername === undefined) missing('admin-username');
    if (entry.adminPassword === undefined) missing('admin-password');
    if (all.some((each) => each.name === name))
      problems.push(`line ${entry.at.line}: an EMS of the name "${name}" is there already`);
    if (entry.serialNumber !== undefined && all.some(({ serial }) => serial === entry.serialNumber))
      problems.push(`line ${entry.at.line}: the EMS ${entry.serialNumber} is there already`);
    const authority =
      entry.verifyingCa === undefined ? undefined : sections['vpn certificate ca'].get(entry.verifyingCa)?.ca;
    if (entry.verifyingCa !== undefined && !isCertificate(authority))
      problems.push(
        `line ${entry.at.line}: "${entry.verifyingCa}" of "config vpn certificate ca" is no certificate in PEM`,
      );
    all.push({
      name,
      host: host ?? '',
      port: entry.httpsPort,
      serial: entry.serialNumber,
      username: entry.adminUsername ?? '',
      password: entry.adminPassword ?? '',
      callTime: entry.callTimeout,
      statusInterval: entry.statusCheckInterval,
      outOfSync: entry.outOfSyncThreshold,
      authority,
    });
  };
  for (const entry of sections['endpoint-control fctems'].values()) {
    // FortiOS writes all seven, most of them empty.
    if (!entry.status || !(entry.given.has('server') || entry.given.has('name'))) continue;
    add('endpoint-control fctems', entry, entry.name ?? entry.key, entry.server, 'server');
  }
  for (const entry of sections['endpoint-control forticlient-ems'].values()) {
    if (entry.restApiAuth === 'disable') continue;
    const path = 'endpoint-control forticlient-ems';
    const address = entry.address === undefined ? undefined : sections['firewall address'].get(entry.address);
    const single = address?.type === 'ipmask' && address.subnet.prefix === 32 ? address.subnet.address : undefined;
    if (address !== undefined && single === undefined)
      problems.push(`line ${entry.at.line}: the address "${address.key}" of an EMS must be one (255.255.255.255)`);
    add(path, entry, entry.key, address === undefined ? undefined : (single ?? ''), 'address');
  }
  if (all.length > MOST) problems.push(`at most ${MOST} EMS`);
  if (problems.length > 0) throw new ConfigError(problems);
  return all;
}

function isCertificate(pem: string | undefined): boolean {
  try {
    return new X509Certificate(pem ?? '').ca;
  } catch {
    return false;
  }
}

interface Written {
  readonly key: string;
  readonly at: { readonly line: number };
  readonly serialNumber: string | undefined;
  readonly httpsPort: number;
  readonly adminUsername: string | undefined;
  readonly adminPassword: string | undefined;
  readonly callTimeout: number;
  readonly statusCheckInterval: number;
  readonly outOfSyncThreshold: number;
  readonly verifyingCa: string | undefined;
}
