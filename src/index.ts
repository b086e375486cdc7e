/** The library's face. */
export { type Config, readConfig } from './config/config.js';
export * from './core/errors.js';
export type * from './core/file.js';
export type * from './core/flow.js';
export { CLIENT, opposite, SERVER } from './core/flow.js';
export { DEFAULT_LIMITS, LIVE_LIMITS, type Limits } from './core/limits.js';
export type * from './core/session.js';
export { FileSink } from './log/file-sink.js';
export { MemorySink } from './log/memory-sink.js';
export type { LogRecord } from './log/record.js';
export type { LogSink } from './log/sink.js';
export { StreamSink } from './log/stream-sink.js';
export type { Outcome } from './policy/outcome.js';
export type { ConnectionFacts, StagedConnection } from './stage/connection.js';
export type { ConnectionOutput, StageEvent } from './stage/output.js';
export { InspectionStage, type StageOptions } from './stage/stage.js';
export { type Ended, JoinedStreams, type StreamHooks, type TlsEnds } from './stage/streams.js';
