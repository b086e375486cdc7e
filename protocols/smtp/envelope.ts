/** The envelope of the message that is being sent: who it is from and for, and what the server said to that. */
import type { MailFacts } from '../../src/core/file.js';

/** Undefined: the server's answer is not known (yet). */
type Accepted = boolean | undefined;

export interface Recipient {
  readonly address: string;
  accepted: Accepted;
}

export class Envelope {
  /** A reverse path without angle brackets; '' is the null path of a bounce. */
  sender: string | undefined;
  accepted: Accepted = undefined;
  recipients: Recipient[] = [];
  /** The server refused a chunk of its message: it discards the rest (RFC 3030 section 4.2). */
  failed = false;

  constructor(sender: string | undefined) {
    this.sender = sender;
  }

  /** One more recipient; undefined when there are `limit` already. */
  add(address: string, limit: number): Recipient | undefined {
    if (this.recipients.length >= limit) return undefined;
    const recipient: Recipient = { address, accepted: undefined };
    this.recipients.push(recipient);
    return recipient;
  }

  /** The server refused this MAIL because `open` was begun before: what follows belongs to that. */
  continues(open: Envelope): void {
    this.sender = open.sender;
    this.accepted = open.accepted;
    this.failed = open.failed;
    this.recipients = [...open.recipients, ...this.recipients];
  }

  /** How many recipients the server has accepted. */
  get deliverable(): number {
    return this.recipients.reduce((count, recipient) => count + (recipient.accepted === true ? 1 : 0), 0);
  }

  /** For the file: without the recipients that are known to be refused. */
  facts(): MailFacts {
    const recipients = this.recipients.filter(({ accepted }) => accepted !== false).map(({ address }) => address);
    return this.sender === undefined ? { recipients } : { sender: this.sender, recipients };
  }
}
