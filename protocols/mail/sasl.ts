/**
 * SASL mechanisms of AUTH (RFC 4954, RFC 5034) that end with their exchange. GSSAPI, DIGEST-MD5 and their like may seal all that follows
 * in a layer of their own: they are not followed.
 */
const MECHANISM = /^(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER|EXTERNAL|ANONYMOUS|NTLM|SCRAM-[A-Z0-9-]+)$/i;

/** `name` in any letter case. */
export function mechanismKnown(name: string): boolean {
  return MECHANISM.test(name);
}
