/** What the processes of the revocation bench say to each other. Times are nanoseconds of the machine's monotonic clock. */
export interface Work {
  readonly gateway: number;
  readonly server: number;
  readonly authorities: string;
  /** With how many sessions each. */
  readonly endpoints: readonly { readonly certificate: string; readonly key: string; readonly sessions: number }[];
}

export type ToClients =
  | { readonly kind: 'open'; readonly work: Work }
  | { readonly kind: 'report'; readonly endpoint: number };
export type FromClients =
  | { readonly kind: 'opened'; readonly failed: number }
  /** Of the sessions of an endpoint, when all are closed: the last byte, the last close; how many there were. */
  | { readonly kind: 'ended'; readonly lastByte: number; readonly lastClose: number; readonly sessions: number };
export type ToServer = { readonly kind: 'hot'; readonly endpoint: number };
export type FromServer = { readonly kind: 'listening'; readonly port: number };
