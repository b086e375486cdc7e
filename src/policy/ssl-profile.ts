/**
 * How TLS is treated, as an administrator decides it (`config firewall ssl-ssh-profile`). Names and defaults are FortiOS's.
 */

/** The protocols that a profile speaks of; `ssl` is what none of the others is. */
export const SSL_KEYS = ['ssl', 'https', 'ftps', 'imaps', 'pop3s', 'smtps'] as const;
export type SslKey = (typeof SSL_KEYS)[number];

/** `allow`: signed again, by the untrusted authority where trust is what is missing. `ignore`: as if it were good. `block`: refused. */
export const CERTIFICATE_ACTIONS = ['allow', 'block', 'ignore'] as const;
export type CertificateAction = (typeof CERTIFICATE_ACTIONS)[number];

/** Oldest first. */
export const SSL_VERSIONS = ['ssl-3.0', 'tls-1.0', 'tls-1.1', 'tls-1.2', 'tls-1.3'] as const;
export type SslVersion = (typeof SSL_VERSIONS)[number];

export interface SslProtocol {
  /** Terminate TLS and look inside. Otherwise it passes unread. */
  readonly deepInspection: boolean;
  /** Where it begins with a handshake. */
  readonly ports: readonly number[];
  /** The server asks the client for a certificate, which nobody can show in the client's place. */
  readonly clientCertificate: 'bypass' | 'inspect' | 'block';
  readonly expired: CertificateAction;
  readonly revoked: CertificateAction;
  readonly untrusted: CertificateAction;
  /** Wrong in itself or not for this name. */
  readonly invalid: CertificateAction;
  /** Its state could not be learnt. */
  readonly unknown: CertificateAction;
  /** Whether the name that the client asked for must be the server's. */
  readonly nameCheck: 'enable' | 'strict' | 'disable';
  readonly minVersion: SslVersion;
}

/** Servers whose TLS passes unread. */
export type SslExemption =
  | { readonly kind: 'name'; readonly matches: (serverName: string) => boolean }
  | { readonly kind: 'address'; readonly object: string };

export interface SslProfile {
  readonly name: string;
  readonly protocols: Readonly<Record<SslKey, SslProtocol>>;
  /** Names in `config vpn certificate local`; undefined: the authorities that were made on first start. */
  readonly caname: string | undefined;
  readonly untrustedCaname: string | undefined;
  /** `server-cert-mode replace`: the server's own certificate, which we were given. */
  readonly serverCert: string | undefined;
  readonly exemptions: readonly SslExemption[];
  readonly logs: {
    readonly anomalies: boolean;
    readonly negotiation: boolean;
    readonly exemptions: boolean;
    readonly serverCertificates: boolean;
    readonly handshakes: boolean;
  };
}

const DEFAULT_PORTS: Readonly<Record<SslKey, readonly number[]>> = {
  ssl: [],
  https: [443],
  ftps: [990],
  imaps: [993],
  pop3s: [995],
  smtps: [465],
};

/** The mail and file protocols whose ports begin with a handshake, by port. */
export function implicitKey(profile: SslProfile | undefined, port: number): SslKey | undefined {
  return SSL_KEYS.find((key) => (profile?.protocols[key].ports ?? DEFAULT_PORTS[key]).includes(port));
}

/** Those that FortiOS brings: `deep-inspection` and `custom-deep-inspection` look inside, `certificate-inspection` and `no-inspection` do not. */
export function predefinedSslProfile(name: string): SslProfile {
  const deepInspection = name.endsWith('deep-inspection');
  return {
    name,
    protocols: Object.fromEntries(
      SSL_KEYS.map((key): [SslKey, SslProtocol] => [
        key,
        {
          deepInspection: deepInspection && key !== 'ssl',
          ports: DEFAULT_PORTS[key],
          clientCertificate: key === 'ssl' || key === 'https' ? 'bypass' : 'inspect',
          expired: 'block',
          revoked: 'block',
          untrusted: 'allow',
          invalid: 'block',
          unknown: 'allow',
          nameCheck: 'enable',
          minVersion: 'tls-1.2',
        },
      ]),
    ) as Record<SslKey, SslProtocol>,
    caname: undefined,
    untrustedCaname: undefined,
    serverCert: undefined,
    exemptions: [],
    logs: { anomalies: true, negotiation: true, exemptions: false, serverCertificates: false, handshakes: false },
  };
}
