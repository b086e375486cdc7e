/**
 * SASL in mail protocols (RFC 4422): who signs in, and which mechanisms are followed.
 *
 * Mechanisms of AUTH (RFC 4954, RFC 5034) that end with their exchange. GSSAPI, DIGEST-MD5 and their like may seal all that follows
 * in a layer of their own: they are not followed.
 */
import { Buffer } from 'node:buffer';

const MECHANISM = /^(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|EXTERNAL|ANONYMOUS|NTLM|SCRAM-[A-Z0-9-]+)$/i;

/** `name` in any letter case. */
export function mechanismKnown(name: string): boolean {
  return MECHANISM.test(name);
}

/** The login name in a client's first response, or undefined: the response is not that mechanism's, or holds none. */
export function saslLogin(mechanism: string, response: string): string | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(response)) return undefined;
  const text = Buffer.from(response, 'base64').toString('utf8');
  switch (mechanism) {
    case 'PLAIN':
      return text.split('\0', 2)[1];
    case 'LOGIN':
      return text;
    case 'CRAM-MD5':
      return text.includes(' ') ? text.slice(0, text.lastIndexOf(' ')) : undefined;
    case 'XOAUTH2':
      return /^user=([^\x01]*)/.exec(text)?.[1];
    case 'OAUTHBEARER':
      return /^[^,]*,a=([^,\x01]*)/.exec(text)?.[1];
    default:
      return mechanism.startsWith('SCRAM-') ? /^[^,]*,[^,]*,n=([^,]*)/.exec(text)?.[1] : undefined;
  }
}
