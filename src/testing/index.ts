/** inspectd/testing: what a user needs to test a decoder, a policy or a driver of their own the way this project tests its own. */
export { type CaseFile, PASS, parseCaseFile } from './case-file.js';
export { testCases } from './case-runner.js';
export { FakeClock } from './clock.js';
export { SeededRandom } from './random.js';
export { parseScript, type Step, unescapeBytes } from './script.js';
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
