/** The simulator as a person and a client see it: its page, its certificates, its calls. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { test } from 'node:test';
import { EMS_SERIAL, startSimulator, UID } from '../../testing/ems.js';
import { SimulatedEndpoints } from './endpoints.js';
import type { EmsSimulator } from './simulator.js';

interface Got {
  readonly status: number;
  readonly body: string;
  readonly cookies: readonly string[];
}

function ask(
  simulator: EmsSimulator,
  method: string,
  path: string,
  body = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const ca = simulator.authority.certificate;
    const sent = request(
      { host: '127.0.0.1', port: simulator.port, method, path, ca, headers, agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: text, cookies: response.headers['set-cookie'] ?? [] }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

test('a person switches the antivirus off on its page; nobody does without its token', async (context) => {
  const simulator = await startSimulator(context);
  const { body } = await ask(simulator, 'GET', '/');
  assert.match(body, /This is a simulator/);
  assert.match(body, /antivirus on/);
  const token = /name="token" value="([0-9a-f]+)"/.exec(body)?.[1] ?? assert.fail(body);
  const press = (form: string): Promise<Got> => ask(simulator, 'POST', `/endpoints/${UID}`, form);
  assert.equal((await press('set=antivirus&to=off')).status, 403);
  assert.equal((await press(`token=${token}&set=uid&to=off`)).status, 400);
  assert.equal((await ask(simulator, 'POST', '/endpoints/nobody', `token=${token}&set=online&to=off`)).status, 404);
  assert.equal(simulator.endpoints.get(UID)?.antivirus, true);
  assert.equal((await press(`token=${token}&set=antivirus&to=off`)).status, 303);
  assert.equal(simulator.endpoints.get(UID)?.antivirus, false);
  assert.match((await ask(simulator, 'GET', '/')).body, /antivirus OFF/);
});

test('what an endpoint is called cannot become a part of the page', async (context) => {
  const simulator = await startSimulator(context);
  simulator.endpoints.change(UID, { user: '<script>alert(1)</script>' });
  assert.ok(!(await ask(simulator, 'GET', '/')).body.includes('<script>alert'));
});

test('calls need a session, and those that change something the CSRF token', async (context) => {
  const simulator = await startSimulator(context);
  assert.equal((await ask(simulator, 'GET', '/api/v1/system/serial_number')).status, 401);
  const signIn = (password: string): Promise<Got> =>
    ask(simulator, 'POST', '/api/v1/auth/signin', JSON.stringify({ name: 'admin', password }));
  assert.equal((await signIn('wrong')).status, 401);
  const { cookies } = await signIn('sehr-geheim-7');
  const cookie = cookies.map((each) => each.split(';')[0]).join('; ');
  const csrf = /csrftoken=([^;]+)/.exec(cookie)?.[1] ?? '';
  const serial = await ask(simulator, 'GET', '/api/v1/system/serial_number', '', { cookie });
  assert.deepEqual(JSON.parse(serial.body), {
    result: { retval: 1, message: '' },
    data: { serial_number: EMS_SERIAL },
  });
  const quarantine = (headers: Readonly<Record<string, string>>): Promise<Got> =>
    ask(simulator, 'POST', '/api/v1/endpoints/quarantine', JSON.stringify({ ip: '10.10.10.25' }), {
      cookie,
      ...headers,
    });
  assert.equal((await quarantine({})).status, 403);
  assert.equal((await quarantine({ 'x-csrftoken': csrf })).status, 403);
  assert.equal((await quarantine({ 'x-csrftoken': csrf, referer: 'https://127.0.0.1' })).status, 200);
  assert.equal(simulator.endpoints.get(UID)?.quarantined, true);
  await ask(simulator, 'GET', '/api/v1/auth/signout', '', { cookie });
  assert.equal((await ask(simulator, 'GET', '/api/v1/system/serial_number', '', { cookie })).status, 401);
});

test('the certificate of an endpoint names its UID, its issuer the EMS, and its number is the one that EMS tells', async (context) => {
  const simulator = await startSimulator(context);
  const text = readFileSync(simulator.authority.pathOf(UID), 'utf8');
  const certificate = new X509Certificate(text);
  const authority = new X509Certificate(simulator.authority.certificate);
  assert.equal(certificate.subject, `CN=${UID}`);
  assert.match(certificate.issuer, new RegExp(`CN=${EMS_SERIAL}$`));
  assert.ok(certificate.verify(authority.publicKey) && certificate.checkIssued(authority));
  assert.equal(certificate.serialNumber, simulator.endpoints.get(UID)?.certificateSerial);
  assert.match(text, /PRIVATE KEY/);
});

test('changes are told since a revision; one that is too old, or of another life, is told all', () => {
  const endpoints = new SimulatedEndpoints();
  const template = {
    ...({ hostname: 'h', user: 'u', os: 'windows', addresses: [], macs: [], certificateSerial: 'A' } as const),
    ...{ antivirus: true, lowRisk: true, online: true, revoked: false, quarantined: false },
  };
  endpoints.put({ ...template, uid: 'A' });
  const { revision } = endpoints;
  assert.deepEqual(endpoints.since(revision), { changed: [], removed: [] });
  endpoints.put({ ...template, uid: 'B' });
  endpoints.remove('A');
  assert.deepEqual(
    endpoints.since(revision)?.changed.map(({ uid }) => uid),
    ['B'],
  );
  assert.deepEqual(endpoints.since(revision)?.removed, ['A']);
  assert.equal(endpoints.since(endpoints.revision + 1), undefined);
  for (let at = 0; at < 1_001; at++) {
    endpoints.put({ ...template, uid: 'C' });
    endpoints.remove('C');
  }
  assert.equal(endpoints.since(revision), undefined);
});
