/** The rows of `--files` and `--flows`: one JSON object a line, as docs/output.md describes them. */
import type { FileSeen, FlowEnded, PacketTime, TreeInspected } from '../capture/events.js';
import { endpointText, serviceName } from '../core/session.js';

/** Which input and connection a tree belongs to; `flow` is null for a file that came out of no connection. */
export interface RowPlace {
  readonly input: string;
  readonly flow: number | null;
}

export function fileRow(
  tree: TreeInspected,
  file: FileSeen,
  id: string,
  parent: string | null,
  place: RowPlace,
): string {
  const wire = place.flow !== null;
  return JSON.stringify({
    input: place.input,
    id,
    parent,
    flow: place.flow,
    service: (wire ? serviceName(tree.session) : undefined) ?? null,
    client: wire ? endpointText(tree.session.client) : null,
    server: wire ? endpointText(tree.session.server) : null,
    transfer: wire ? file.transfer : null,
    name: file.name ?? null,
    path: file.path ?? null,
    size: file.size,
    sha256: file.sha256 ?? null,
    type: file.type,
    state: file.state,
    verdict: file.verdict.verdict,
    virus: file.verdict.virus,
    reason: file.verdict.reason,
    mail:
      tree.mail === undefined
        ? null
        : {
            from: tree.mail.from ?? null,
            to: tree.mail.to ?? null,
            sender: tree.mail.sender ?? null,
            recipient: tree.mail.recipient ?? null,
            subject: tree.mail.subject ?? null,
          },
  });
}

export function flowRow(flow: FlowEnded, place: RowPlace): string {
  return JSON.stringify({
    input: place.input,
    flow: place.flow,
    service: serviceName(flow) ?? null,
    client: endpointText(flow.client),
    server: endpointText(flow.server),
    start: isoTime(flow.start),
    end: isoTime(flow.end),
    clientBytes: flow.clientBytes,
    serverBytes: flow.serverBytes,
    state: flow.state,
    reason: flow.reason,
    tls:
      flow.tls === undefined
        ? null
        : {
            version: flow.tls.version ?? null,
            cipher: flow.tls.cipher ?? null,
            sni: flow.tls.sni ?? null,
            decrypted: flow.tls.decrypted,
          },
    anomalies: flow.anomalies,
  });
}

/** UTC with microseconds: `2026-11-22T13:20:00.000001Z`. */
export function isoTime(time: PacketTime): string {
  const seconds = new Date(time.seconds * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(Math.floor(time.nanoseconds / 1000)).padStart(6, '0')}Z`;
}
