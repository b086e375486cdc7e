/** The layers that connections of a capture speak through: which can be read, and with what. */
import type { Limits } from '../core/limits.js';
import type { TlsFacts } from '../core/session.js';
import { InflateLayer } from './inflate-layer.js';
import type { LayerFactory } from './layer-factory.js';
import type { KeyLog } from './tls/key-log.js';
import { SessionCache, TlsLayer } from './tls/tls-layer.js';
import { TlsOrClear } from './tls-or-clear.js';

/** What is known of TLS that somebody took off before it was recorded. */
const DECRYPTED_IN_PLACE: TlsFacts = { version: undefined, cipher: undefined, sni: undefined, decrypted: true };

export function createLayers(keys: KeyLog, limits: Limits): LayerFactory {
  const sessions = new SessionCache(limits.tlsSessions);
  return {
    open(kind, inner, certain, events) {
      if (kind !== 'tls') return new InflateLayer(kind, inner, events, limits);
      return new TlsOrClear({
        patience: limits.probe,
        inner,
        openTls: () => new TlsLayer({ keys, sessions, limits, inner, events }),
        injected: (side) => events.anomaly('plaintext-before-tls', side),
        clear: () => {
          if (!certain) return;
          events.tls(DECRYPTED_IN_PLACE);
          events.anomaly('tls-decrypted-in-place', 0);
        },
      });
    },
  };
}
