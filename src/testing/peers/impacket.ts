/** Impacket's SMB server: Python, written apart from Samba. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PYTHON } from './aiosmtpd.js';
import { ended, listening, serverDirectory } from './peers.js';
import { PASSWORD, SHARE, USER } from './samba.js';

export async function startImpacket(context: TestContext, port: number, dialect: 'smb1' | 'smb2'): Promise<void> {
  let stop = async (): Promise<void> => {};
  const base = serverDirectory(context, 'impacket', () => stop());
  mkdirSync(join(base, SHARE));
  const source = `
import sys
from impacket.ntlm import compute_lmhash, compute_nthash
from impacket.smbserver import SimpleSMBServer
server = SimpleSMBServer('127.0.0.1', int(sys.argv[1]))
server.addShare('${SHARE.toUpperCase()}', sys.argv[2], '')
server.addCredential('${USER}', 0, compute_lmhash('${PASSWORD}'), compute_nthash('${PASSWORD}'))
server.setSMB2Support(${dialect === 'smb2' ? 'True' : 'False'})
server.start()`;
  const server = spawn(PYTHON, ['-c', source, String(port), join(base, SHARE)], { stdio: 'ignore' });
  stop = () => ended(server);
  await listening(port);
}
