/** Endpoints as FortiOS prints them: `diagnose test application fcnacd 7`, `diagnose endpoint record list`. */
import type { Endpoint } from './endpoint.js';

/** The cache of the daemon that knows EMS, in FortiOS 7.0's words. */
export function printCache(endpoints: Iterable<Endpoint>): string {
  const lines = ['ZTNA Cache V2:'];
  let entry = 0;
  for (const endpoint of endpoints) {
    lines.push(
      `Entry #${++entry}:`,
      line('UID', endpoint.uid),
      line('Domain', endpoint.domain),
      line('User', endpoint.user),
      line('Owner', endpoint.owner),
      line('Certificate SN', endpoint.certificateSerial),
      line('EMS SN', endpoint.emsSerial),
      line('online', String(endpoint.online)),
      ` - Tags (${endpoint.tags.length}):`,
      ...endpoint.tags.map((tag, at) => ` -- Tag (#${at}): ${tag}`),
      'lls_idx_mask = 0x00000001,',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** `diagnose endpoint record list`: the lines of FortiOS's record that we know something about. */
export function printRecords(endpoints: Iterable<Endpoint>): string {
  const lines: string[] = [];
  const counts = { online: 0, offline: 0, quarantined: 0 };
  let record = 0;
  for (const endpoint of endpoints) {
    const { online, quarantined } = endpoint;
    if (online) counts.online++;
    else counts.offline++;
    if (quarantined) counts.quarantined++;
    lines.push(
      `Record #${++record}:`,
      detail('IP Address', endpoint.addresses.join(' ')),
      detail('MAC list', endpoint.macs.join(' ')),
      detail('EMS serial number', endpoint.emsSerial, ':'),
      detail('Client cert SN', endpoint.certificateSerial ?? '', ':'),
      detail('Client cert', endpoint.revoked ? 'revoked' : 'valid', ':'),
      detail('UID', endpoint.uid, ':'),
      detail('Quarantined', quarantined ? 'yes' : 'no', ':'),
      detail('Online status', online ? 'online' : 'offline', ':'),
    );
  }
  lines.push(
    `online records: ${counts.online}; offline records: ${counts.offline}; quarantined records: ${counts.quarantined}; out-of-sync records: 0`,
  );
  return `${lines.join('\n')}\n`;
}

function line(name: string, value: string | undefined): string {
  return ` - ${name}:${value === undefined || value === '' ? '' : ` ${value}`}`;
}

function detail(name: string, value: string, sign = ' ='): string {
  return `                ${name}${sign} ${value}`.trimEnd();
}
