/** What the connections of a capture are given of their layers, and what a layer tells of its connection. */
import type { BypassReason, LayerKind, Side } from '../core/flow.js';
import type { TlsFacts } from '../core/session.js';
import type { LayerInner, PassiveLayer } from '../flow/engine.js';

/** What a layer tells of its connection. */
export interface LayerEvents {
  /** What is known of its TLS so far. */
  tls(facts: TlsFacts): void;
  anomaly(code: string, side: Side): void;
  /** A side of it is not read, though the other is. */
  opaque(reason: BypassReason): void;
}

/** Opens the readers of layers for the connections of one capture. */
export interface LayerFactory {
  /** `certain`: the ends agreed upon it; else TLS may begin here, or not. */
  open(kind: Exclude<LayerKind, 'clear'>, inner: LayerInner, certain: boolean, events: LayerEvents): PassiveLayer;
}
