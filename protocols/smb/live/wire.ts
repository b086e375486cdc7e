/**
 * How commands go out ([MS-SMB2] 2.1, 2.2.41, 3.1.4.1): with their length in front, signed or sealed with the keys of their session where these
 * are known. Nonces of what the proxy seals never meet those of the two ends, which count theirs from somewhere else.
 */
import { Buffer } from 'node:buffer';
import type { Crypto } from '../../../src/core/crypto.js';
import { CLIENT, type Flow, type Side } from '../../../src/core/flow.js';
import { isGcm, type SessionKeys, sealed, sign } from '../smb2-keys.js';
import { framed, SIGNED } from './message.js';

const FLAGS = 16;
const SIGNATURE = 48;
const HEADER = 64;

export class Wire {
  readonly #flow: Flow;
  readonly #crypto: Crypto;
  readonly #counts: [number, number] = [0, 0];

  constructor(flow: Flow, crypto: Crypto) {
    this.#flow = flow;
    this.#crypto = crypto;
  }

  /** As it came. */
  forward(toward: Side, wire: Buffer): void {
    this.#flow.send(toward, wire);
  }

  /** `bytes`: one command, the proxy's own from now on. With its flag it is signed, if `keys` are known; `seal`: it is sealed with them. */
  send(toward: Side, bytes: Buffer, keys: SessionKeys | undefined, seal: boolean): void {
    const key = toward === CLIENT ? keys?.serverSealing : keys?.clientSealing;
    if (seal && keys !== undefined && key !== undefined) {
      this.#unsign(bytes);
      this.#flow.send(toward, framed(this.#sealed(toward, bytes, keys, key)));
      return;
    }
    if ((bytes.readUInt32LE(FLAGS) & SIGNED) !== 0) {
      if (keys !== undefined) sign(this.#crypto, keys, bytes);
      else this.#unsign(bytes);
    }
    this.#flow.send(toward, framed(bytes));
  }

  #unsign(bytes: Buffer): void {
    bytes.writeUInt32LE((bytes.readUInt32LE(FLAGS) & ~SIGNED) >>> 0, FLAGS);
    bytes.fill(0, SIGNATURE, HEADER);
  }

  #sealed(toward: Side, bytes: Buffer, keys: SessionKeys, key: Buffer): Buffer {
    const length = isGcm(keys) ? 12 : 11;
    const nonce = Buffer.alloc(length);
    this.#crypto.hmac('sha256', key, [Buffer.from(`inspectd ${this.#flow.id} ${toward}`, 'latin1')]).copy(nonce, 0);
    nonce.writeUInt32LE(this.#counts[toward]++ >>> 0, length - 4);
    return sealed(this.#crypto, keys, key, nonce, bytes);
  }
}
