/** FTP sessions made to order as captures: control connections line by line, and data connections in between. */
import { CLIENT, SERVER, type Side } from '../core/flow.js';
import { type CapturedFrame, Conversation } from './packets.js';

export const CLIENT_HOST = '10.1.0.5';
export const SERVER_HOST = '172.16.0.9';

let port = 50_000;

/** Packets in the order in which they are taken from conversations. */
export class FtpRecording {
  readonly frames: CapturedFrame[] = [];
  #time = 1_700_000_000_000_000_000n;

  /** What a conversation said since it was last taken. */
  take(from: Conversation): this {
    for (const { bytes } of from.packets.splice(0)) {
      this.#time += 1_000_000n;
      this.frames.push({ time: this.#time, bytes });
    }
    return this;
  }

  /** Lets `seconds` go by. */
  wait(seconds: number): void {
    this.#time += BigInt(seconds) * 1_000_000_000n;
  }
}

export type Say = (side: Side, line: string) => void;

/** A control connection that has signed in. */
export function control(capture: FtpRecording): { say: Say; talk: Conversation } {
  const talk = new Conversation({
    client: { address: CLIENT_HOST, port: port++ },
    server: { address: SERVER_HOST, port: 21 },
  }).open();
  const say = (side: Side, line: string) => {
    talk.send(side, `${line}\r\n`);
    capture.take(talk);
  };
  say(SERVER, '220 FTP');
  say(CLIENT, 'USER a');
  say(SERVER, '331 go on');
  say(CLIENT, 'PASS b');
  say(SERVER, '230 in');
  return { say, talk };
}

/** A data connection from one host to another. */
export function data(client: string, server: string, to: number, from = port++): Conversation {
  return new Conversation({ client: { address: client, port: from }, server: { address: server, port: to } }).open();
}

export function passive(say: Say, to: number, host = SERVER_HOST): void {
  say(CLIENT, 'PASV');
  say(SERVER, `227 ok (${host.replaceAll('.', ',')},${to >> 8},${to & 255})`);
}
