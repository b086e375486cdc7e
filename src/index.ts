/** The library's face. */
export * from './core/errors.js';
export type * from './core/file.js';
export type * from './core/flow.js';
export { CLIENT, opposite, SERVER } from './core/flow.js';
export { DEFAULT_LIMITS, type Limits } from './core/limits.js';
export type * from './core/session.js';
