/** The layers that connections of a capture speak through: which can be read, and with what. */
import type { BypassReason, LayerKind, Side } from '../core/flow.js';
import type { TlsFacts } from '../core/session.js';
import type { LayerInner, PassiveLayer } from '../flow/engine.js';

/** What a layer tells of its connection. */
export interface LayerEvents {
  /** What is known of its TLS so far. */
  tls(facts: TlsFacts): void;
  anomaly(code: string, side: Side): void;
}

/** Opens the readers of layers for the connections of one capture. */
export interface LayerFactory {
  /** Undefined when a layer of this kind cannot be read here. */
  open(kind: Exclude<LayerKind, 'clear'>, inner: LayerInner, events: LayerEvents): PassiveLayer | undefined;
}

export type { BypassReason };
