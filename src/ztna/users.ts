/** Users that may sign in to an access proxy with a password of the configuration (`config user local`). Other servers of users are not asked. */
import { Buffer } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config/config.js';

/** The user whom `Authorization: Basic …` names, when the password is theirs. */
export function signedIn(config: Config, authorization: string | undefined): string | undefined {
  const encoded = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [, name = '', password = ''] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? [];
  const user = config.sections['user local'].get(name);
  const known = user !== undefined && user.status === 'enable' && user.type === 'password' && isPlain(user.passwd);
  // A name that nobody has takes as long.
  const fits = timingSafeEqual(digest(password), digest(known ? (user.passwd ?? '') : ''));
  return known && fits ? name : undefined;
}

/** The groups that a user is in. */
export function groupsOf(config: Config, user: string): string[] {
  return [...config.sections['user group'].values()].flatMap(({ key, member }) => (member.includes(user) ? [key] : []));
}

/** FortiOS exports passwords in a cipher of its own, which nobody else can read. */
function isPlain(passwd: string | undefined): boolean {
  return passwd !== undefined && passwd !== '' && !passwd.startsWith('ENC ');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
