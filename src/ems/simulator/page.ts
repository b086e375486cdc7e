/** The simulator's web page: a row for each endpoint, with the switches that a person would find on the endpoint itself. */
import { type SimulatedEndpoint, tagsOf } from './endpoints.js';

/** The switches, by the names that the forms use. */
export const SWITCHES = ['antivirus', 'lowRisk', 'online', 'revoked', 'quarantined'] as const;
export type Switch = (typeof SWITCHES)[number];

const LABELS: Readonly<Record<Switch, readonly [on: string, off: string]>> = {
  antivirus: ['antivirus on', 'antivirus OFF'],
  lowRisk: ['low risk', 'NOT low risk'],
  online: ['online', 'OFFLINE'],
  revoked: ['certificate REVOKED', 'certificate valid'],
  quarantined: ['QUARANTINED', 'not quarantined'],
};

/** `token`: what a form must bring, so that no other page can press these buttons. */
export function page(serial: string, endpoints: readonly SimulatedEndpoint[], token: string): string {
  const rows = endpoints.map((endpoint) => row(endpoint, token)).join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>EMS simulator ${escaped(serial)}</title>
<meta http-equiv="refresh" content="5">
<style>
body { font: 15px sans-serif; margin: 2em; } .note { background: #fe9; padding: .6em; }
table { border-collapse: collapse; } td, th { border: 1px solid #bbb; padding: .4em .6em; text-align: left; vertical-align: top; }
form { display: inline; } button { margin: .1em; } code { font-size: 13px; }
</style></head><body>
<p class="note"><b>This is a simulator</b>, not FortiClient EMS: for trying out and for tests. Serial number <code>${escaped(serial)}</code>.</p>
<table><tr><th>Endpoint</th><th>Addresses</th><th>Tags</th><th>Press to change</th></tr>
${rows}</table></body></html>
`;
}

function row(endpoint: SimulatedEndpoint, token: string): string {
  const { uid, hostname, user, os, addresses } = endpoint;
  const buttons = SWITCHES.map((name) => {
    const [on, off] = LABELS[name];
    return `<form method="post" action="/endpoints/${escaped(uid)}"><input type="hidden" name="token" value="${escaped(token)}"><input type="hidden" name="set" value="${name}"><input type="hidden" name="to" value="${endpoint[name] ? 'off' : 'on'}"><button>${endpoint[name] ? on : off}</button></form>`;
  }).join('\n');
  return `<tr><td><b>${escaped(hostname)}</b> (${os}), ${escaped(user)}<br><code>${escaped(uid)}</code></td>
<td>${addresses.map(escaped).join('<br>')}</td><td>${tagsOf(endpoint).map(escaped).join('<br>')}</td><td>${buttons}</td></tr>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}
