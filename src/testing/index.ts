/** inspectd/testing: what a user needs to test a decoder, a policy or a driver of their own the way this project tests its own. */
export { type CaseFile, PASS, parseCaseFile } from './case-file.js';
export { testCases } from './case-runner.js';
export { FakeClock } from './clock.js';
export { decoderContext } from './context.js';
export { type CapturedFrame, Conversation, type ConversationOptions, pcapFile, pcapngFile } from './packets.js';
export { SeededRandom } from './random.js';
export { type RecordedCapture, type RecordedConnection, recordCapture } from './recorded-capture.js';
export { parseScript, type Step, unescapeBytes } from './script.js';
export { type Mail, mimeMessage, play, pop3Session, smtpSession, type Turn } from './sessions.js';
export {
  everySplit,
  type Mode,
  type Outcome,
  type Plan,
  plansFor,
  runSession,
  type SeenFile,
  type SessionCase,
} from './split.js';
