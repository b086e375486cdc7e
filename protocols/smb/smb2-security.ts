/**
 * What protects SMB 2 and 3 on one connection ([MS-SMB2] 3.1.4, 3.2.5.2, 3.2.5.3): what NEGOTIATE settled, the keys that SESSION_SETUP gives, the
 * signatures made with them, and what both ends say afterwards of what they had said.
 */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../src/core/crypto.js';
import { CLIENT, type Flow, SERVER, type Side } from '../../src/core/flow.js';
import type { Secret } from '../../src/core/secret.js';
import type { SmbEvent } from './events.js';
import { authenticateIn, challengeIn, sessionKey } from './ntlmssp.js';
import { type Agreement, deriveKeys, type SessionKeys, signatureFits } from './smb2-keys.js';
import { COMMAND, HEADER, type Header, STATUS } from './smb2-message.js';
import { parseNegotiated, securityBlob, toValidate } from './smb2-requests.js';
import type { Session, Sessions } from './smb2-session.js';

/** Commands that come without a signature: before there is a session, from the server by itself, or by custom. */
const UNSIGNED: ReadonlySet<number> = new Set([
  COMMAND.negotiate,
  COMMAND.sessionSetup,
  COMMAND.oplockBreak,
  COMMAND.cancel,
]);

/**
 * NETWORK_NAME_DELETED, FILE_CLOSED, INVALID_PARAMETER: what a server says before it looks at signatures. It gives that of the request back, or none
 * (Samba's client expects as much).
 */
const EARLY: ReadonlySet<number> = new Set([0xc000_00c9, 0xc000_0128, 0xc000_000d]);

/** Flags of SESSION_SETUP. */
const BINDING = 1;
/** SecurityMode: signing required. */
const MUST_SIGN = 2;
/** SessionFlags: a guest, or nobody. */
const NOBODY = 3;

/** An authentication under way. */
export interface Setup {
  preauth: Buffer;
  challenge: Buffer | undefined;
  key: Buffer | undefined;
  /** A channel that is bound to a session has keys of its own; who logs in again goes on with those that there are. */
  readonly of: 'session' | 'channel' | 'again';
  /** The client lets nothing through that is not signed. */
  readonly mustSign: boolean;
}

/** How messages of a session are signed on this connection. */
export interface Signing {
  /** Undefined: no credentials. */
  readonly keys: SessionKeys | undefined;
  /** One of the two ends lets nothing through that is not signed. */
  readonly required: boolean;
}

export class Smb2Security {
  readonly #flow: Flow;
  readonly #crypto: Crypto;
  readonly #secrets: readonly Secret[];
  #agreement: Agreement = { dialect: 0x0202, cipher: 1, signing: 0 };
  #serverMustSign = false;
  /** Digests of what NEGOTIATE said: of the request, and of its answer. */
  readonly #negotiated: [Buffer | undefined, Buffer | undefined] = [undefined, undefined];
  /** The hash of the messages up to the answer to NEGOTIATE (3.1.1). */
  #preauth: Buffer = Buffer.alloc(64);
  readonly #setups = new Map<Session, Setup>();
  /** Of sessions that were set up on this connection. */
  readonly #signing = new Map<Session, Signing>();
  #badSignature = false;
  #unsigned = false;

  constructor(flow: Flow, { crypto, secrets }: Pick<Sessions, 'crypto' | 'secrets'>) {
    this.#flow = flow;
    this.#crypto = crypto;
    this.#secrets = secrets;
  }

  negotiate(chunk: Buffer, at: number, end: number): void {
    this.#preauth = this.#hashed(Buffer.alloc(64), chunk, at, end);
    this.#negotiated[CLIENT] = this.#digested(toValidate(chunk, at, end, false));
  }

  /** The answer to NEGOTIATE. False: it is cut. */
  negotiated(chunk: Buffer, at: number, end: number): boolean {
    const agreement = parseNegotiated(chunk, at, end);
    if (agreement === undefined) return false;
    this.#agreement = agreement;
    this.#serverMustSign = agreement.mustSign;
    this.#negotiated[SERVER] = this.#digested(toValidate(chunk, at, end, true));
    this.#preauth = this.#hashed(this.#preauth, chunk, at, end);
    return true;
  }

  /** SESSION_SETUP; undefined: it is cut. */
  setup(session: Session | undefined, chunk: Buffer, at: number, end: number): Setup | undefined {
    if (end - at < HEADER + 24) return undefined;
    const of = chunk[at + HEADER + 2] === BINDING ? 'channel' : session === undefined ? 'session' : 'again';
    const mustSign = ((chunk[at + HEADER + 3] ?? 0) & MUST_SIGN) !== 0;
    const setup: Setup = (session === undefined ? undefined : this.#setups.get(session)) ?? {
      preauth: this.#preauth,
      challenge: undefined,
      key: undefined,
      of,
      mustSign,
    };
    if (session !== undefined) this.#goesOn(session, setup);
    setup.preauth = this.#hashed(setup.preauth, chunk, at, end);
    const blob = securityBlob(chunk, at, end, false);
    const authenticate = blob === undefined ? undefined : authenticateIn(blob);
    if (authenticate !== undefined && setup.challenge !== undefined)
      setup.key = sessionKey(this.#crypto, this.#secrets, setup.challenge, authenticate);
    return setup;
  }

  /** The answer to it. */
  setUp(
    header: Header,
    session: Session | undefined,
    setup: Setup | undefined,
    chunk: Buffer,
    at: number,
    end: number,
  ): void {
    if (session === undefined || setup === undefined) return;
    if (header.status === STATUS.moreProcessing) {
      setup.preauth = this.#hashed(setup.preauth, chunk, at, end);
      const blob = securityBlob(chunk, at, end, true);
      if (blob !== undefined) setup.challenge = challengeIn(blob) ?? setup.challenge;
      this.#goesOn(session, setup);
      return;
    }
    this.#setups.delete(session);
    if (header.status !== STATUS.success || end - at < HEADER + 8 || setup.of === 'again') return;
    // The key of a session that the user gave is that of its first connection.
    const key = setup.key ?? (setup.of === 'session' ? this.#givenKey(chunk.subarray(at + 40, at + 48)) : undefined);
    const keys = key === undefined ? undefined : deriveKeys(this.#crypto, this.#agreement, key, setup.preauth);
    if (setup.of === 'session') session.keys = keys;
    // Nobody has keys as a guest, or without a name.
    const signs = (chunk.readUInt16LE(at + HEADER + 2) & NOBODY) === 0;
    const required = signs && (setup.mustSign || this.#serverMustSign);
    if (this.#signing.size < this.#flow.limits.smbSessions) this.#signing.set(session, { keys, required });
    // It is the first that is signed, with keys that depend on every message before it (3.1.1): one that was changed shows here.
    if (header.signed) this.check(SERVER, header, session, chunk.subarray(at, end));
  }

  #goesOn(session: Session, setup: Setup): void {
    if (this.#setups.size < this.#flow.limits.smbSessions) this.#setups.set(session, setup);
  }

  /** A session key that the user gave, by the session's id. */
  #givenKey(id: Buffer): Buffer | undefined {
    for (const secret of this.#secrets)
      if (secret.kind === 'session' && id.equals(secret.id)) return Buffer.from(secret.key);
    return undefined;
  }

  /** How messages of a session are signed that was set up here; undefined: nobody signs (a guest, or it is not set up). */
  signing(session: Session): Signing | undefined {
    return this.#signing.get(session);
  }

  /** What NEGOTIATE settled. */
  get agreement(): Agreement {
    return this.#agreement;
  }

  /** Are there keys to check what this session signs? */
  knows(session: Session | undefined): boolean {
    return session !== undefined && this.#signing.get(session)?.keys !== undefined;
  }

  /** A message with a signature, all of it, with its padding in a compound. */
  check(side: Side, { status }: Header, session: Session | undefined, message: Buffer): void {
    const keys = session === undefined ? undefined : this.#signing.get(session)?.keys;
    if (keys === undefined || this.#badSignature || status === STATUS.pending) return;
    if ((side === SERVER && EARLY.has(status)) || signatureFits(this.#crypto, keys, message)) return;
    this.#badSignature = true;
    this.#odd('smb2-bad-signature', side);
  }

  /** A message without one: both ends refuse it where one of them takes none, unless it is one that is never signed. */
  unsigned(side: Side, { command, status }: Header, session: Session | undefined): void {
    if (session === undefined || this.#unsigned || UNSIGNED.has(command)) return;
    if (this.#signing.get(session)?.required !== true || (side === SERVER && status !== STATUS.success)) return;
    this.#unsigned = true;
    this.#odd('smb2-unsigned', side);
  }

  /** What one end says it sent, or would answer, in NEGOTIATE: before 3.1.1 this is how they find out that somebody changed it. */
  validate(side: Side, said: Buffer | undefined): void {
    const seen = this.#negotiated[side];
    if (seen === undefined || this.#digested(said)?.equals(seen) === true) return;
    this.#odd('smb2-negotiate-changed', side);
  }

  #digested(said: Buffer | undefined): Buffer | undefined {
    return said === undefined ? undefined : this.#crypto.digest('md5', [said]);
  }

  #hashed(before: Buffer, chunk: Buffer, at: number, end: number): Buffer {
    return this.#secrets.length === 0 ? before : this.#crypto.digest('sha512', [before, chunk.subarray(at, end)]);
  }

  #odd(event: SmbEvent, side: Side): void {
    this.#flow.anomaly(event, side);
  }
}
