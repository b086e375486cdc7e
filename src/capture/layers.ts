/** The layers that connections of a capture speak through: which can be read, and with what. */
import type { BypassReason, LayerKind, Side } from '../core/flow.js';
import type { Limits } from '../core/limits.js';
import type { TlsFacts } from '../core/session.js';
import type { LayerInner, PassiveLayer } from '../flow/engine.js';
import { InflateLayer } from './inflate-layer.js';

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
  /** Undefined when a layer of this kind cannot be read here. */
  open(kind: Exclude<LayerKind, 'clear'>, inner: LayerInner, events: LayerEvents): PassiveLayer | undefined;
}

export function createLayers(limits: Limits): LayerFactory {
  return {
    open: (kind, inner, events) => (kind === 'tls' ? undefined : new InflateLayer(kind, inner, events, limits)),
  };
}
