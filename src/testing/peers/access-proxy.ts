/** A daemon with an access proxy: authorities and certificates of the test's own, endpoints told by command, a server behind it. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Endpoint, endpointText } from '../../core/session.js';
import { type ForwardingOptions, openForwarding } from '../../live/access/forwarding-client.js';
import { MAIN } from '../program.js';
import { type RunningDaemon, runDaemon } from './daemon.js';
import { ended, freePort, run, scratch } from './peers.js';

export const EMS = 'FCTEMS0000109188';
export const UID = 'F4F3263AEBE54777A6509A8FCCDF9284';

/** PEM texts. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
  /** Upper-case hex. */
  readonly serial: string;
}

/** An authority that issues certificates of endpoints. */
export class EndpointAuthority {
  readonly #directory: string;
  readonly #name: string;

  constructor(directory: string, name = 'ems') {
    this.#directory = directory;
    this.#name = name;
    run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name} ZTNA root`, '-keyout', this.#path('key'), '-out', this.#path('crt')],
    ]);
  }

  get certificate(): string {
    return readFileSync(this.#path('crt'), 'latin1');
  }

  /** `days` negative: it has expired. */
  issue(commonName: string, { days = 1, purpose = 'clientAuth', names = '' } = {}): Identity {
    const base = join(this.#directory, `${this.#name}-${commonName}-${days}-${purpose}`);
    writeFileSync(
      `${base}.ext`,
      `extendedKeyUsage=${purpose}\nbasicConstraints=CA:FALSE\n${names === '' ? '' : `subjectAltName=${names}\n`}`,
    );
    run('openssl', [
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${commonName}`],
      ...['-keyout', `${base}.key`, '-out', `${base}.csr`],
    ]);
    run('openssl', [
      ...[
        'x509',
        '-req',
        '-in',
        `${base}.csr`,
        '-CA',
        this.#path('crt'),
        '-CAkey',
        this.#path('key'),
        '-CAcreateserial',
      ],
      ...['-days', String(days), '-extfile', `${base}.ext`, '-out', `${base}.crt`],
    ]);
    const serial = run('openssl', ['x509', '-noout', '-serial', '-in', `${base}.crt`])
      .trim()
      .replace('serial=', '');
    return {
      certificate: readFileSync(`${base}.crt`, 'latin1'),
      key: readFileSync(`${base}.key`, 'latin1'),
      serial: serial.toUpperCase(),
    };
  }

  #path(kind: 'key' | 'crt'): string {
    return join(this.#directory, `${this.#name}.${kind}`);
  }
}

export interface AccessSetup {
  /** FortiOS text behind the access proxy's own: the rules. `WIN2K16-P1-RDP` is the access proxy. */
  readonly rules: string;
  /** The port of the real server, and its address unless 127.0.0.1. */
  readonly server: number;
  readonly address?: string;
  /** Lines of the access proxy, and of `config inspectd settings`. */
  readonly proxy?: readonly string[];
  readonly settings?: readonly string[];
  readonly sections?: string;
  readonly mappedport?: readonly number[];
}

export interface RunningAccess {
  readonly daemon: RunningDaemon;
  readonly authority: EndpointAuthority;
  /** Of UID. */
  readonly identity: Identity;
  /** Where the access proxy is, and the real server. */
  readonly port: number;
  readonly server: number;
  readonly directory: string;
  /** `tags`, `online`: as `diagnose endpoint record update` has them. */
  endpoint(uid: string, changes: Readonly<Record<string, string>>): Promise<void>;
  connect(options?: Partial<ForwardingOptions>): ReturnType<typeof openForwarding>;
  /** Writes it over the old one and has it read. */
  reload(setup: AccessSetup): Promise<void>;
}

export async function startAccess(context: TestContext, setup: AccessSetup): Promise<RunningAccess> {
  const directory = scratch(context, 'access');
  const authority = new EndpointAuthority(directory);
  const identity = authority.issue(UID);
  const own = authority.issue('vip', { purpose: 'serverAuth', names: 'IP:127.0.0.1,DNS:vip.test' });
  const port = await freePort();
  const textOf = (each: AccessSetup): string => accessConfig(each, { directory, port, authority, own });
  const daemon = await runDaemon(context, directory, textOf(setup), [port]);
  return {
    daemon,
    authority,
    identity,
    port,
    server: setup.server,
    directory,
    async endpoint(uid, changes) {
      await daemon.ask('diagnose', 'endpoint', 'record', 'update', uid, ...Object.entries(changes).flat());
    },
    connect: (options) =>
      openForwarding({
        gateway: { address: '127.0.0.1', port },
        authorities: authority.certificate,
        certificate: identity.certificate,
        key: identity.key,
        to: { address: '127.0.0.1', port: setup.server },
        encrypted: false,
        patience: 20_000,
        ...options,
      }),
    async reload(each) {
      writeFileSync(daemon.configuration, textOf(each));
      await daemon.ask('execute', 'reload');
    },
  };
}

/** `inspectd ztna connect` as users run it: the port that leads to the server. */
export async function startConnect(
  context: TestContext,
  access: RunningAccess,
  to: Endpoint,
  more: readonly string[] = [],
): Promise<number> {
  const path = (name: string, text: string): string => {
    const file = join(access.directory, name);
    writeFileSync(file, text);
    return file;
  };
  const child = spawn(
    process.execPath,
    [
      ...[MAIN, 'ztna', 'connect', '--gateway', `127.0.0.1:${access.port}`, '--to', endpointText(to), '--listen', '0'],
      ...['--cert', path('pc.crt', access.identity.certificate), '--key', path('pc.key', access.identity.key)],
      ...['--ca', path('gateway-ca.crt', access.authority.certificate), ...more],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  context.after(() => ended(child));
  let said = '';
  return new Promise((resolve, reject) => {
    child.stderr.on('data', (text: Buffer) => {
      said += text.toString();
      const ready = /ready: \S+?:(\d+) leads/.exec(said);
      if (ready !== null) resolve(Number(ready[1]));
    });
    child.once('exit', () => reject(new Error(`it did not start: ${said}`)));
  });
}

/** A server that is given each connection, and ends with the test. */
export async function serverOf(context: TestContext, serve: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function accessConfig(
  { rules, server, address, proxy, settings, sections, mappedport }: AccessSetup,
  made: { directory: string; port: number; authority: EndpointAuthority; own: Identity },
): string {
  const { directory, port, authority, own } = made;
  const lines = (each: readonly string[] | undefined): string =>
    (each ?? []).map((line) => `        ${line}\n`).join('');
  return `config inspectd settings
    set state-directory "${join(directory, 'state')}"
    set log-file "${join(directory, 'utm.log')}"
    set workers 1
    set drain-timeout 1
${lines(settings)}end
config vpn certificate ca
    edit "EMS_CA"
        set ca "${authority.certificate}"
    next
end
config vpn certificate local
    edit "vip"
        set certificate "${own.certificate}"
        set private-key "${own.key}"
    next
end
config authentication setting
    set user-cert-ca "EMS_CA"
end
config system interface
    edit "port1"
        set role wan
    next
end
config firewall address
    edit "all"
        set uuid 5445be2e-5d7b-51ea-e2c3-ae6b7855c52f
    next
    edit "server"
        set subnet ${address ?? '127.0.0.1'} 255.255.255.255
    next
end
${sections ?? ''}
config firewall vip
    edit "WIN2K16-P1-RDP"
        set type access-proxy
        set extip 127.0.0.1
        set extintf "any"
        set server-type https
        set extport ${port}
        set ssl-certificate "vip"
    next
end
config firewall access-proxy
    edit "WIN2K16-P1-RDP"
        set vip "WIN2K16-P1-RDP"
        set client-cert enable
${lines(proxy)}        config api-gateway
            edit 1
                set service tcp-forwarding
                config realservers
                    edit 1
                        set address "server"
                        set mappedport ${(mappedport ?? [server]).join(' ')}
                    next
                end
            next
        end
    next
end
${rules}
`;
}
