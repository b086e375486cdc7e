/**
 * FTP (RFC 959) with its extensions for IPv6 (2428, 1639), restarts and sizes (3659), names (2640) and TLS (4217): what is stored and retrieved
 * becomes files, under the names that the control connection gives them. README.md says what is held when, and what is deliberately not done.
 */
import type { Protocol } from '../../src/core/flow.js';
import { FtpControl } from './control.js';
import { probe } from './probe.js';

export const ftp: Protocol = {
  name: 'ftp',
  service: 'FTP',
  ports: [21, 2121],
  tlsPorts: [990],
  announces: true,
  // One line; data connections leave nothing.
  maxUntaken: ({ line, probe }) => line + probe,
  probe,
  decoders: () => (flow) => new FtpControl(flow),
};
