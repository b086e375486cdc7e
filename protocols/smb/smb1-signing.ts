/**
 * Signatures of SMB 1 ([MS-CIFS] 3.1.4.1, 3.1.5.1) on a connection whose credentials are known: MD5 over the key and the message, with the number
 * of the message where the signature goes. The first session with a name gives the key; its last SESSION_SETUP_ANDX is message 0, the answer to
 * that is 1, and so on. A recording that lacks bytes lacks numbers: from there on nothing is checked.
 */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../src/core/crypto.js';
import { CLIENT, type Side } from '../../src/core/flow.js';
import type { Secret } from '../../src/core/secret.js';
import { keyExchangeKey } from './ntlm.js';
import { authenticateIn, challengeIn, sessionKey } from './ntlmssp.js';
import {
  NEGOTIATE,
  NT_TRANSACT_SECONDARY,
  SESSION_SETUP_ANDX,
  TRANSACTION_SECONDARY,
  TRANSACTION2_SECONDARY,
} from './smb1-commands.js';
import { type Block, type Header, type Message, MORE_PROCESSING_REQUIRED } from './smb1-message.js';
import { readText } from './smb1-strings.js';

const SIGNATURE = 14;
const SIGNATURE_END = 22;
const MAC = 8;

/** [MS-CIFS] 2.2.4.52.2, [MS-SMB] 2.2.4.5.2: words of NT LM 0.12. */
const NEGOTIATED_WORDS = 17;
const MUST_SIGN = 0x08;
const EXTENDED_SECURITY = 0x8000_0000;
/** [MS-CIFS] 2.2.4.53, [MS-SMB] 2.2.4.6: words of a request without, and with extended security. */
const BARE_WORDS = 13;
const EXTENDED_WORDS = 12;
/** Action: the server took the client as a guest, who has no key. */
const GUEST = 1;

const SECONDARY: ReadonlySet<number> = new Set([TRANSACTION_SECONDARY, TRANSACTION2_SECONDARY, NT_TRANSACT_SECONDARY]);

export class Smb1Signing {
  readonly #crypto: Crypto;
  readonly #secrets: readonly Secret[];
  readonly #mostRequests: number;
  #challenge: Buffer | undefined;
  #required = false;
  /** What signs if the server agrees to the setup under way. */
  #offered: Buffer | undefined;
  /** What signs; once there is one, there is no other. */
  #key: Buffer | undefined;
  #over: boolean;
  /** The number of the client's last message. */
  #last = 0;
  /** Of requests by their MID and PID: the number of the first message, and of the last where there were more. */
  readonly #numbers = new Map<number, readonly number[]>();

  constructor(crypto: Crypto, secrets: readonly Secret[], mostRequests: number) {
    this.#crypto = crypto;
    this.#secrets = secrets;
    this.#mostRequests = mostRequests;
    this.#over = secrets.length === 0;
  }

  /** Is a message of this command wanted whole? */
  wants(command: number): boolean {
    return !this.#over && (this.#key !== undefined || command === SESSION_SETUP_ANDX || command === NEGOTIATE);
  }

  /** The answer to NEGOTIATE. */
  negotiated(message: Message, { words, wordCount, data }: Block): void {
    if (this.#over || wordCount !== NEGOTIATED_WORDS) return;
    this.#required = (message.u8(words + 2) & MUST_SIGN) !== 0;
    if ((message.u32(words + 19) & EXTENDED_SECURITY) === 0) this.#challenge = message.copy(data, data + 8);
  }

  /** SESSION_SETUP_ANDX. */
  setup(message: Message, { words, wordCount, data, end }: Block, unicode: boolean): void {
    this.#offered = undefined;
    const challenge = this.#challenge;
    if (this.#over || this.#key !== undefined || challenge === undefined) return;
    if (wordCount === EXTENDED_WORDS) {
      const authenticate = authenticateIn(message.copy(data, data + message.u16(words + 14)));
      if (authenticate !== undefined) this.#offered = sessionKey(this.#crypto, this.#secrets, challenge, authenticate);
    } else if (wordCount === BARE_WORDS) {
      const middle = data + message.u16(words + 14);
      const names = middle + message.u16(words + 16);
      const lmResponse = message.copy(data, middle);
      const ntResponse = message.copy(middle, names);
      const user = readText(message, names, end, unicode);
      const domain = readText(message, user.next, end, unicode);
      const answer = { user: user.text, domain: domain.text, lmResponse, ntResponse };
      const key = keyExchangeKey(this.#crypto, this.#secrets, challenge, answer);
      if (key !== undefined) this.#offered = Buffer.concat([key, ntResponse]);
    }
  }

  /** The answer to it, all of which is there. False: it should be signed, and its signature does not fit. */
  setUp(message: Message, { words, wordCount, data }: Block, header: Header): boolean {
    if (this.#over) return true;
    if (header.status === MORE_PROCESSING_REQUIRED) {
      if (wordCount >= 4) this.#challenge = challengeIn(message.copy(data, data + message.u16(words + 6)));
      return true;
    }
    const guest = (message.u16(words + 4) & GUEST) !== 0;
    if (guest || this.#offered === undefined || !(header.signed || this.#required)) return true;
    this.#key = this.#offered;
    this.#offered = undefined;
    return this.#signed(message, [1]) !== undefined;
  }

  /** A message, whole where it is wanted so. False: its signature does not fit; that is said once. */
  fits(side: Side, header: Header, message: Message): boolean {
    if (this.#over || this.#key === undefined) return true;
    if (side === CLIENT) return this.#asks(header, message);
    const numbers = this.#numbers.get(header.exchange);
    // What a server asks by itself (an oplock break) is not signed.
    if (!header.reply || numbers === undefined) return true;
    const answers = numbers.map((number) => number + 1);
    return this.#signed(message, answers) !== undefined;
  }

  /** Something is missing. */
  lost(): void {
    this.#over = true;
  }

  #asks({ command, exchange }: Header, message: Message): boolean {
    const next = this.#last + 2;
    // What has no answer of its own counts one; whether what goes on with a request counts, clients do not agree.
    const secondary = SECONDARY.has(command);
    const number = this.#signed(message, secondary ? [next, next - 1, next - 2] : [next, next - 1]);
    if (number === undefined) return false;
    this.#last = number;
    const [first = number] = (secondary ? this.#numbers.get(exchange) : undefined) ?? [];
    this.#numbers.delete(exchange);
    this.#numbers.set(exchange, first === number ? [number] : [first, number]);
    if (this.#numbers.size > this.#mostRequests) {
      const [oldest] = this.#numbers.keys();
      if (oldest !== undefined) this.#numbers.delete(oldest);
    }
    return true;
  }

  /** Which of the numbers the message was signed with. */
  #signed(message: Message, numbers: readonly number[]): number | undefined {
    const bytes = message.copy(0, message.length);
    const signature = Buffer.from(bytes.subarray(SIGNATURE, SIGNATURE_END));
    bytes.fill(0, SIGNATURE, SIGNATURE_END);
    for (const number of numbers) {
      bytes.writeUInt32LE(number, SIGNATURE);
      const made = this.#crypto.digest('md5', [this.#key ?? Buffer.alloc(0), bytes]);
      if (made.subarray(0, MAC).equals(signature)) return number;
    }
    this.#over = true;
    return undefined;
  }
}
