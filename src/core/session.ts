/** What is known of a connection beside its bytes. The driver supplies it; policy and log read it, decoders never do. */

/** An IP address in its usual text form (IPv6 compressed, lower case) and a TCP port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `10.0.0.1:25`, `[fd00::1]:25`. */
export function endpointText(at: Endpoint): string {
  return at.address.includes(':') ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
}

export interface TlsFacts {
  /** `TLS 1.3` */
  readonly version: string | undefined;
  readonly cipher: string | undefined;
  readonly sni: string | undefined;
  readonly decrypted: boolean;
}

/** An interface as FortiOS logs it; `name` is `unknown-0` when it is not known. */
export interface InterfaceFacts {
  readonly name: string;
  readonly role: string;
}

/** The firewall or proxy policy that admitted the session. `id` 0 without uuid: none was configured. */
export interface PolicyFacts {
  readonly id: number;
  readonly uuid?: string;
  readonly type: 'policy' | 'proxy-policy';
  readonly name?: string;
}

/** The endpoint and user behind the client, where ZTNA or a sign-in gave them. */
export interface UserFacts {
  /** FortiClient's UID, 32 upper-case hex digits. */
  readonly fctuid?: string;
  readonly unauthuser?: string;
  readonly unauthusersource?: string;
  readonly srcdomain?: string;
  readonly user?: string;
  readonly group?: string;
}

export interface SessionInfo {
  /** The number that logs call sessionid. */
  readonly id: number;
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** The service without TLS (`SMTP`); undefined while the protocol is not known. */
  readonly service: string | undefined;
  /** Set as soon as TLS was used on the connection, implicit or upgraded. */
  readonly tls: TlsFacts | undefined;
  readonly vdom: string;
  readonly policy: PolicyFacts;
  readonly srcIntf: InterfaceFacts;
  readonly dstIntf: InterfaceFacts;
  /** `Reserved` for private addresses; undefined when not known. */
  readonly srcCountry: string | undefined;
  readonly dstCountry: string | undefined;
  readonly srcUuid?: string;
  readonly dstUuid?: string;
  readonly user: UserFacts;
}

/** The service as logged: with its S when TLS was used. SMB has no S-name. */
export function serviceName(session: Pick<SessionInfo, 'service' | 'tls'>): string | undefined {
  if (session.service === undefined || session.tls === undefined || session.service === 'SMB') return session.service;
  return `${session.service}S`;
}
