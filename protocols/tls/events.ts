/** What the reader of TLS notes as odd, by code, with the line that explains it to a person. */
export const TLS_EVENTS = {
  'tls-bad-record':
    'a record that does not open with the keys of its session: it is not read, and neither is what follows it',
  'tls-desync': 'bytes that are no record of TLS: the connection is read no further',
  'tls-gap': 'bytes are missing from the recording within TLS: records are lost',
  'tls-early-data':
    'the client sent data before the handshake (0-RTT) whose keys are not in the key log: it is not read',
  'tls-handshake-too-long': 'a handshake message is longer than the limit `tlsHandshake`',
  'tls-truncated': 'an end closed the connection without saying so in TLS: what it sent last may be missing',
  'tls-decrypted-in-place':
    'TLS was agreed upon, and the recording goes on in clear text: something decrypted it before it was recorded',
} as const;

export type TlsEvent = keyof typeof TLS_EVENTS;
