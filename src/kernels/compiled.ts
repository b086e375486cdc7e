/** Loads the WebAssembly kernels that scripts/build-kernels.mjs made out of assembly/. Compiling one takes about a millisecond: it is done when there is work for it, not at start. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Arena } from '../core/arena.js';

/** The two names of WebAssembly that are used here; its types are the DOM's. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** What `name` of assembly/ exports, working on the arena; undefined: this runtime has no WebAssembly SIMD, or this build no kernels. */
export function loadKernel<Exports>(name: string, arena: Arena): Exports | undefined {
  const file = arena.shared ? `${name}-shared` : name;
  try {
    // Optimised at once: by default V8 begins with quick code, which is several times slower for vectors, for the first tens of megabytes.
    setFlagsFromString('--no-liftoff');
    const module = new WebAssembly.Module(readFileSync(new URL(`./${file}.wasm`, import.meta.url)));
    return new WebAssembly.Instance(module, { env: { memory: arena.memory } }).exports as Exports;
  } catch {
    return undefined;
  } finally {
    setFlagsFromString('--liftoff');
  }
}
