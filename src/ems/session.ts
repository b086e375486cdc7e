/**
 * Signed in to an EMS: the session cookie and the CSRF token that every later call must bring; signing in again where the session has run out.
 * The password is sent and never shown.
 */
import { EMS_API, RETVAL } from './api.js';
import { EmsReplyError, type Envelope, parseEnvelope } from './reply.js';
import { type EmsAddress, type EmsReply, type EmsRequest, emsRequest } from './request.js';

export interface EmsAccount {
  readonly username: string;
  readonly password: string;
}

/** A call; the rest of a request is the session's matter. */
export type EmsCall = Pick<EmsRequest, 'method' | 'path' | 'time' | 'most' | 'signal'> & { readonly body?: unknown };

/** EMS does not let us in: trying again soon would only lock the account. */
export class EmsSignInError extends Error {
  override readonly name: string = 'EmsSignInError';
}

const SIGN_IN_REPLY = 65_536;
const COOKIE = 4_096;

export class EmsSession {
  readonly #ems: EmsAddress;
  readonly #account: EmsAccount;
  #cookies: ReadonlyMap<string, string> | undefined;
  #signingIn: Promise<ReadonlyMap<string, string>> | undefined;

  constructor(ems: EmsAddress, account: EmsAccount) {
    this.#ems = ems;
    this.#account = account;
  }

  /** Rejects with SourceError, EmsReplyError or EmsSignInError. */
  async call(call: EmsCall): Promise<Envelope> {
    const cookies = this.#cookies ?? (await this.#signIn(call));
    let reply = await this.#send(call, cookies);
    if (reply.status === 401) {
      // Whoever noticed first has signed in again.
      if (this.#cookies === cookies) this.#cookies = undefined;
      reply = await this.#send(call, this.#cookies ?? (await this.#signIn(call)));
    }
    if (reply.status === 401) throw new EmsSignInError('it forgets at once who has signed in');
    if (reply.status !== 200) throw new EmsReplyError(`it answered with status ${reply.status}`);
    return parseEnvelope(reply.body);
  }

  /** Best effort, when it is not needed any more. */
  async signOut(time: number): Promise<void> {
    const cookies = this.#cookies;
    if (cookies === undefined) return;
    const signal = AbortSignal.timeout(time);
    await this.#send({ method: 'GET', path: EMS_API.signOut, time, most: SIGN_IN_REPLY, signal }, cookies).catch(
      () => {},
    );
  }

  #send({ method, path, time, most, signal, body }: EmsCall, cookies: ReadonlyMap<string, string>): Promise<EmsReply> {
    return emsRequest(this.#ems, {
      method,
      path,
      time,
      most,
      signal,
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        referer: `https://${this.#ems.host}`,
        'x-csrftoken': cookies.get('csrftoken') ?? '',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  #signIn(call: EmsCall): Promise<ReadonlyMap<string, string>> {
    this.#signingIn ??= this.#signedIn(call).finally(() => {
      this.#signingIn = undefined;
    });
    return this.#signingIn;
  }

  async #signedIn({ time, signal }: EmsCall): Promise<ReadonlyMap<string, string>> {
    const { username, password } = this.#account;
    const reply = await emsRequest(this.#ems, {
      ...{ method: 'POST', path: EMS_API.signIn, headers: {}, time, signal, most: SIGN_IN_REPLY },
      body: JSON.stringify({ name: username, password }),
    });
    if (reply.status === 401 || reply.status === 403)
      throw new EmsSignInError(`it does not let "${username}" sign in (status ${reply.status})`);
    if (reply.status !== 200) throw new EmsReplyError(`signing in: it answered with status ${reply.status}`);
    const { retval } = parseEnvelope(reply.body);
    if (retval !== RETVAL.done) throw new EmsSignInError(`it does not let "${username}" sign in (retval ${retval})`);
    const cookies = cookiesOf(reply.cookies);
    if (!cookies.has('csrftoken') || cookies.size < 2)
      throw new EmsReplyError('signing in: it set no csrftoken and session cookie');
    this.#cookies = cookies;
    return cookies;
  }
}

/** Names and values alone; what could be more than one header is refused. */
function cookiesOf(lines: readonly string[]): Map<string, string> {
  const cookies = new Map<string, string>();
  let length = 0;
  for (const line of lines) {
    const found = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)(?:;|$)/.exec(line);
    if (found === null) throw new EmsReplyError('a cookie is none');
    length += found[0].length;
    if (length > COOKIE) throw new EmsReplyError('its cookies are too long');
    cookies.set(found[1] ?? '', found[2] ?? '');
  }
  return cookies;
}
