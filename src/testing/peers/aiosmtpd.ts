/** aiosmtpd: an SMTP server that says little of itself (no PIPELINING, no CHUNKING) and forgets what it is told, or delivers it. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { ended, listening, run } from './peers.js';

/** The system's own: aiosmtpd is installed beside it. */
export const PYTHON = '/usr/bin/python3';

/** `maildir`: mail is delivered into it; see `delivered`. */
export async function startAiosmtpd(context: TestContext, port: number, maildir?: string): Promise<void> {
  const handler = maildir === undefined ? ['aiosmtpd.handlers.Sink'] : ['aiosmtpd.handlers.Mailbox', maildir];
  // Without a limit of its own on a message's size.
  const options = ['-n', '-s', '0', '-l', `127.0.0.1:${port}`, '-c', ...handler];
  const server = spawn(PYTHON, ['-m', 'aiosmtpd', ...options], { stdio: 'ignore' });
  context.after(() => ended(server));
  await listening(port);
}

export interface DeliveredPart {
  readonly type: string;
  readonly name: string | null;
  readonly sha256: string;
  /** What is text, as its reader sees it. */
  readonly text: string | null;
}

/** The mails in a maildir, as Python's email package reads them: the parts of each that hold no others. */
export function delivered(maildir: string): DeliveredPart[][] {
  const source = `import email, email.policy, hashlib, json, pathlib, sys
mails = []
for path in sorted(pathlib.Path(sys.argv[1]).glob('new/*')):
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    mails.append([{
        'type': part.get_content_type(), 'name': part.get_filename(),
        'sha256': hashlib.sha256(part.get_payload(decode=True) or b'').hexdigest(),
        'text': part.get_content() if part.get_content_maintype() == 'text' else None,
    } for part in mail.walk() if not part.is_multipart()])
print(json.dumps(mails))`;
  return JSON.parse(run(PYTHON, ['-c', source, maildir])) as DeliveredPart[][];
}
