import { testCases } from '../../src/testing/case-runner.js';
import { smtp } from './smtp.js';

testCases(new URL('../../../samples/smtp/', import.meta.url), [smtp]);
