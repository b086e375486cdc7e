/** What the engine and the capture driver note as odd, whatever the protocol, by code, with the line that explains it to a person. */
export const FLOW_EVENTS = {
  'plaintext-before-tls':
    'clear text of a peer stands where TLS was to begin: behind STARTTLS or its go-ahead. Live the connection ends',
  'untaken-limit':
    'a peer sent more than its protocol may leave undecided; live the connection ends, a recording is read no further',
  'held-limit': 'more bytes than the limit `heldPerFlow` wait for verdicts; the connection ends',
  'held-limit-of-all':
    'more bytes than the limit `heldInAll` wait for verdicts in all connections together; this one ends',
  'unit-limit': 'more messages and replies than the limit `unitsPerFlow` are under way; the connection ends',
  'inflate-damaged': 'a compressed stream is damaged: the connection is read no further',
  'inflate-gap': 'bytes of a compressed stream are missing from the recording: that side is read no further',
  'inflate-ratio': 'a compressed stream grows out of all proportion (`unpackRatio`): the connection is read no further',
  'expectation-limit':
    'more connections were announced than the limit `expectations`: this one is not connected with its announcer',
  'expected-elsewhere':
    'a connection was announced for a host that is neither end of the announcing one; it is looked for there and at the end that announced it',
  'expected-from-elsewhere': 'an announced connection came from a host that is no end of the announcing one',
  'tcp-gap': 'the recording lacks bytes of this connection',
  'tcp-overlap': 'segments carry different bytes for the same place: nobody can say which ones were read',
} as const;

export type FlowEvent = keyof typeof FLOW_EVENTS;
