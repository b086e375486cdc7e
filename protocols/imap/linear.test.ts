/** What lines of IMAP cost: a quarter of a megabyte of brackets, quotes or lists is read once, not once for each of them. */
import { test } from 'node:test';
import { withAllowedCapabilities } from './capabilities.js';
import { mailboxName, parseCommand, refusalOf } from './commands.js';
import { fetchCommand } from './fetch-command.js';
import { literalAt } from './literals.js';
import { contentInQuotes, refers, saysCompressed, vanished } from './responses.js';
import { hasBody, sectionAround, slicesAsked } from './sections.js';
import { listsOpen, parseData, quoteOpen } from './syntax.js';

const LENGTH = 1 << 18;
const PIECES = ['BODY[', 'BODY[]<', '[', '(', '"', '\\"', '[CAPABILITY ', '{1', ' ', '\r\n ', '\r', 'CATENATE (', '1,'];
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  fetchCommand,
  slicesAsked,
  withAllowedCapabilities,
  contentInQuotes,
  refers,
  saysCompressed,
  vanished,
  refusalOf: (text) => refusalOf(parseCommand(text)),
  mailboxName,
  parseData,
  quoteOpen,
  listsOpen: (text) => listsOpen(text, 0),
  literalAt,
  hasBody,
  sectionAround: (text) => sectionAround(text.slice(-8192)),
};

// Once for each piece would be seconds each.
// Once for each piece would be minutes. The deadline is looked at between the pieces.
for (const [name, read] of Object.entries(READERS))
  test(`${name} reads a line once, whatever it is made of`, { timeout: 30_000 }, async () => {
    for (const piece of PIECES)
      for (const before of ['', 'a FETCH 1 (', '* 1 FETCH (', 'a APPEND INBOX '])
        for (const behind of ['', '"', '\\', 'x']) {
          read(before + piece.repeat(LENGTH / piece.length) + behind);
          await new Promise((resolve) => setImmediate(resolve));
        }
  });
