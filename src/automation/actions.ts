/** What actions do: tell EMS, ban, call a webhook, send mail, write a record. Each has its time, and none is told more than the incident. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createTransport } from 'nodemailer';
import { SourceError } from '../core/errors.js';
import type { EndpointControl } from '../ems/endpoint-control.js';
import type { EndpointRegistry } from '../ztna/endpoint-registry.js';
import type { BanList } from './ban-list.js';
import type { Incident } from './incident.js';
import type { Action, Mail, Stitch, Webhook } from './stitches.js';
import { filledIn } from './variables.js';

export interface ActionEnvironment {
  readonly bans: BanList;
  readonly control: EndpointControl;
  readonly registry: EndpointRegistry;
  /** A record of action `log`. */
  log(message: string, action: Action, stitch: Stitch): void;
}

/** Milliseconds that a webhook or a mail server has. */
const TIME = 20_000;

/** Rejects with why it could not be done. */
export async function perform(
  action: Action,
  incident: Incident,
  stitch: Stitch,
  { bans, control, registry, log }: ActionEnvironment,
): Promise<void> {
  switch (action.kind) {
    case 'quarantine-forticlient': {
      const address = addressOf(incident, registry);
      const one = registry.byUid(incident.fields['fctuid'] ?? '');
      const known = one === undefined ? registry.byAddress(address) : [one];
      // EMS has been told already, and a record of that must not have it told again.
      if (known.length > 0 && known.every(({ quarantined }) => quarantined)) return;
      await control.queue('quarantine', address, one?.uid);
      return;
    }
    case 'ban-ip':
      if (!bans.add(addressOf(incident, registry), action.seconds, 'ioc'))
        throw new SourceError('the list of bans is full');
      return;
    case 'log':
      log(filledIn(action.message, incident, 'text'), action, stitch);
      return;
    case 'webhook':
      await called(action.webhook, incident);
      return;
    case 'email':
      await mailed(action.mail, filledIn(action.message, incident, 'text'), incident);
      return;
  }
}

/** Of the endpoint that is compromised: whoever the incident names, else where it came from. */
export function addressOf({ fields }: Incident, registry: EndpointRegistry): string {
  const endpoint = registry.byUid(fields['fctuid'] ?? '');
  const address = fields['srcip'] ?? fields['ip'] ?? endpoint?.addresses[0];
  if (address === undefined) throw new SourceError('the incident names no address');
  // Behind address translation the endpoint is where EMS last saw it.
  return endpoint === undefined || endpoint.addresses.includes(address) ? address : (endpoint.addresses[0] ?? address);
}

function called(webhook: Webhook, incident: Incident): Promise<void> {
  const url = filledIn(webhook.url, incident, 'url');
  const place = /^\s*[[{]/.test(webhook.body ?? '') ? 'json' : 'text';
  const body = webhook.body === undefined ? undefined : filledIn(webhook.body, incident, place);
  const headers = Object.fromEntries(
    webhook.headers.map(([name, value]) => [name, filledIn(value, incident, 'header')]),
  );
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: webhook.method,
        agent: false,
        rejectUnauthorized: webhook.verify,
        signal: AbortSignal.timeout(TIME),
        headers: {
          ...(body === undefined ? {} : { 'content-type': place === 'json' ? 'application/json' : 'text/plain' }),
          ...headers,
        },
      },
      (response) => {
        const { statusCode = 0 } = response;
        // Whatever it says does not matter.
        response.destroy();
        if (statusCode >= 200 && statusCode < 300) resolve();
        else reject(new SourceError(`it answered with status ${statusCode}`));
      },
    );
    sent.on('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new SourceError(
          cause.name === 'AbortError' ? `no answer within ${TIME / 1000} s` : (cause.code ?? cause.message),
          { cause },
        ),
      ),
    );
    sent.end(body);
  });
}

async function mailed({ server, to, from, replyTo, subject }: Mail, text: string, incident: Incident): Promise<void> {
  const transport = createTransport({
    host: server.host,
    port: server.port,
    secure: server.security === 'smtps',
    requireTLS: server.security === 'starttls',
    ignoreTLS: server.security === 'none',
    ...(server.account === undefined ? {} : { auth: server.account }),
    tls: { rejectUnauthorized: server.verify },
    connectionTimeout: TIME,
    greetingTimeout: TIME,
    socketTimeout: TIME,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from,
      to: [...to],
      ...(replyTo === undefined ? {} : { replyTo }),
      subject: filledIn(subject, incident, 'header'),
      text,
    });
  } catch (cause) {
    const { code, responseCode } = cause as { code?: string; responseCode?: number };
    // Its own words may repeat what we sent.
    throw new SourceError(
      `mail was not taken: ${[code, responseCode].filter((each) => each !== undefined).join(' ')}`,
      { cause },
    );
  } finally {
    transport.close();
  }
}
