import type { DecoderContext } from '../core/flow.js';
import type { Secret } from '../core/secret.js';
import { createCrypto } from '../crypto/crypto.js';

/** What decoders are given in a test: real ciphers, and these credentials. */
export function decoderContext(secrets: readonly Secret[] = []): DecoderContext {
  return { crypto: createCrypto(), secrets };
}
