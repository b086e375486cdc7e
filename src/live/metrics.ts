/** The daemon's totals for Prometheus, over HTTP at `/metrics`. */
import { createServer, type Server } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import { SourceError } from '../core/errors.js';
import { type Endpoint, endpointText } from '../core/session.js';
import type { ResponseTotals } from './incident-response.js';
import type { Totals } from './messages.js';

/** What there is beside the workers' totals. */
export interface DaemonTotals extends Totals {
  readonly workers: number;
  /** Workers that ended by themselves. */
  readonly workersLost: number;
  readonly expectations: number;
  readonly response: ResponseTotals;
}

/** Rejects with SourceError when the address is taken. */
export async function serveMetrics(at: Endpoint, totals: () => DaemonTotals): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end('/metrics\n');
      return;
    }
    const registry = filled(totals());
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.maxConnections = 64;
  server.requestTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new SourceError(`metrics: cannot listen on ${endpointText(at)}: ${cause.message}`, { cause })),
    );
    server.listen(at.port, at.address, resolve);
  });
  server.on('error', () => {});
  return server;
}

/** Made anew for each reader: the numbers come from other processes as sums, not as events. */
function filled(totals: DaemonTotals): Registry {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, value: number): void =>
    new Gauge({ name: `inspectd_${name}`, help, registers }).set(value);
  const counter = (name: string, help: string, value: number): void =>
    new Counter({ name: `inspectd_${name}_total`, help, registers }).inc(value);
  const gauges = (name: string, help: string, label: string, values: Readonly<Record<string, number>>): void => {
    const each = new Gauge({ name: `inspectd_${name}`, help, labelNames: [label], registers });
    for (const [value, count] of Object.entries(values)) each.labels(value).set(count);
  };
  const counters = (name: string, help: string, label: string, values: Readonly<Record<string, number>>): void => {
    const each = new Counter({ name: `inspectd_${name}_total`, help, labelNames: [label], registers });
    for (const [value, count] of Object.entries(values)) each.labels(value).inc(count);
  };
  gauge('sessions_open', 'Sessions that are open.', totals.open);
  gauge('held_bytes', 'Bytes that wait for verdicts.', totals.held);
  gauge('expectations_open', 'Expectation sessions that are open.', totals.expectations);
  gauge('workers', 'Worker processes.', totals.workers);
  counter('workers_lost', 'Worker processes that ended by themselves.', totals.workersLost);
  counter('sessions', 'Sessions that were opened.', totals.sessions);
  counter('sessions_denied', 'Clients that policy did not let in.', totals.denied);
  counter('client_sent_bytes', 'Bytes from clients.', totals.sent);
  counter('client_received_bytes', 'Bytes to clients.', totals.received);
  counters('files', 'Files by what was done about them.', 'action', totals.verdicts);
  counters('records', 'utm records by kind.', 'kind', totals.outcomes);
  counters('anomalies', 'Protocol anomalies by code.', 'code', totals.anomalies);
  counters('sessions_ended', 'Sessions by how they ended.', 'how', totals.ended);
  const { response } = totals;
  gauge('endpoints', 'Endpoints that EMS told of.', response.endpoints);
  gauge('endpoints_quarantined', 'Endpoints that are in quarantine.', response.quarantined);
  gauge('banned_addresses', 'Addresses that get no session.', response.banned);
  gauge('ems_calls_waiting', 'Calls that EMS has not heard yet.', response.callsWaiting);
  if (response.shared !== undefined)
    gauge('shared_state_connected', 'Is the Redis of the other daemons there?', response.shared ? 1 : 0);
  gauges('ems', 'EMS by state.', 'state', response.ems);
  counters('ems_calls', 'Calls to EMS by how they ended.', 'how', response.calls);
  counters('automation', 'Stitches triggered, and actions by how they ended.', 'what', response.automation);
  return registry;
}
