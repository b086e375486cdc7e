/**
 * What an EMS is asked, over HTTPS. The vendor publishes no description of it. Sign-in, cookies, CSRF, the envelope of replies and the first
 * names are as public clients of EMS show them; the bodies of `tags`, and every name marked OURS, are our own: the simulator speaks
 * them, and a real EMS may not.
 */
export const EMS_API = {
  /** POST {name, password}; sets the cookies `csrftoken` and `sessionid`. */
  signIn: '/api/v1/auth/signin',
  signOut: '/api/v1/auth/signout',
  serialNumber: '/api/v1/system/serial_number',
  /**
   * GET; the name is FortiOS's, its body OURS. `?after=UID&count=N`: all endpoints, a page at a time. `?since=REVISION&boot=BOOT&wait=SECONDS`:
   * what changed since, as soon as something does; nothing, when the time is over.
   */
  tags: '/api/v1/report/fct/uid_tags',
  /** OURS. POST {ip, uid}. */
  quarantine: '/api/v1/endpoints/quarantine',
  unquarantine: '/api/v1/endpoints/unquarantine',
} as const;

/** `retval` of an envelope. */
export const RETVAL = {
  done: 1,
  failed: -1,
  /** With status 401: sign in again. */
  sessionExpired: -4,
  /** OURS: FortiClient (Linux) cannot be quarantined. */
  notSupported: -20,
  /** OURS: no endpoint of that address or UID. */
  noEndpoint: -21,
} as const;

/** Endpoints of one page. */
export const PAGE = 500;
