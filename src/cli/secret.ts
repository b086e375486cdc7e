/** What `--smb-secret` says. Nothing of it is ever repeated in an error: it would stand in somebody's log. */
import { Buffer } from 'node:buffer';
import type { Secret } from '../core/secret.js';

/**
 * `USER%PASSWORD`, `DOMAIN\\USER%PASSWORD`, either with `%%` and the NT hash in 32 hex digits instead of the password, or `session:ID:KEY` with a
 * session's id and key in hex (as Samba logs and Wireshark takes them). Undefined when it is none of these.
 */
export function parseSecret(text: string): Secret | undefined {
  const session = /^session:([0-9a-f]{16}):((?:[0-9a-f]{2}){16,64})$/i.exec(text);
  if (session !== null)
    return { kind: 'session', id: Buffer.from(session[1] ?? '', 'hex'), key: Buffer.from(session[2] ?? '', 'hex') };
  const account = /^(?:([^\\%]*)\\)?([^\\%]+)%(%?)(.*)$/s.exec(text);
  if (account === null) return undefined;
  const [, domain, user = '', hashed, rest = ''] = account;
  if (hashed === '') return { kind: 'account', user, domain, password: rest };
  if (!/^[0-9a-f]{32}$/i.test(rest)) return undefined;
  return { kind: 'account', user, domain, password: { ntHash: Buffer.from(rest, 'hex') } };
}
