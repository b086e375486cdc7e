/**
 * Whole sessions of file protocols made to order, as sessions.ts does for mail: FTP (RFC 959) with a data connection for each transfer, and
 * SMB 3.0.2 ([MS-SMB2]) with files read and written in pieces. Only well-formed sessions come out.
 */
import { Buffer } from 'node:buffer';
import { CLIENT, SERVER } from '../core/flow.js';
import type { CapturedFrame, Conversation } from './packets.js';
import { said, say, type Turn } from './sessions.js';
import * as smb from './smb2-messages.js';

/** A file that goes over the wire. */
export interface Moved {
  readonly name: string;
  readonly bytes: Buffer;
  /** By the client; else it is fetched. */
  readonly upload: boolean;
}

/** How a session is cut into packets. */
export interface Cut {
  /** Payload bytes of a full segment: what the conversations were made with. */
  readonly mss: number;
  readonly segmentsPerAck: number;
}

/**
 * A control connection that logs in and moves `files` in passive mode, with the data connections where they belong in time. `connect` makes
 * the conversation of a data connection to a port of the server.
 */
export function ftpFrames(
  files: readonly Moved[],
  control: Conversation,
  connect: (port: number) => Conversation,
  cut: Cut,
): CapturedFrame[] {
  const frames: CapturedFrame[] = [];
  const take = (conversation: Conversation): void => {
    for (const frame of conversation.packets.splice(0)) frames.push(frame);
  };
  const turns = (...all: Turn[]): void => {
    say(all, control, cut.mss, cut.segmentsPerAck);
    take(control);
  };
  control.open();
  turns(
    said(SERVER, '220 FTP ready'),
    said(CLIENT, 'USER alice'),
    said(SERVER, '331 Password?'),
    said(CLIENT, 'PASS secret'),
    said(SERVER, '230 Logged in'),
    said(CLIENT, 'TYPE I'),
    said(SERVER, '200 Binary'),
  );
  for (const [index, { name, bytes, upload }] of files.entries()) {
    const port = 50_000 + index;
    turns(
      said(CLIENT, 'EPSV'),
      said(SERVER, `229 Entering extended passive mode (|||${port}|)`),
      said(CLIENT, `${upload ? 'STOR' : 'RETR'} ${name}`),
    );
    const data = connect(port).open();
    take(data);
    turns(said(SERVER, '150 Opening data connection'));
    const side = upload ? CLIENT : SERVER;
    say([{ side, bytes }], data, cut.mss, cut.segmentsPerAck);
    data.finish(side).finish(upload ? SERVER : CLIENT);
    take(data);
    turns(said(SERVER, '226 Transfer complete'));
  }
  turns(said(CLIENT, 'QUIT'), said(SERVER, '221 Bye'));
  control.close();
  take(control);
  return frames;
}

const NO_TOKEN = Buffer.alloc(0);
/** What a client asks for at once: Windows and Samba use up to 8 MiB, smbclient 1 MiB less its headers; this is the commonest. */
const PIECE = 1024 * 1024;

/** Where a message has the id of its session, the length in front of it counted. */
const SESSION_ID = 44;

/** One connection that moves `files` one after another, each in requests of 1 MiB. `session`: its id, which no other of the server may have. */
export function smbSession(files: readonly Moved[], session: number): Turn[] {
  let id = 3;
  const turns: Turn[] = [];
  const asked = (request: Buffer, response: Buffer): void => {
    if (turns.length > 0) for (const message of [request, response]) message.writeUInt32LE(session, SESSION_ID);
    turns.push({ side: CLIENT, bytes: request }, { side: SERVER, bytes: response });
  };
  asked(smb.negotiate(0, [0x0202, 0x0210, 0x0300, 0x0302]), smb.negotiated(0, 0x0302));
  // Without a token, as a guest.
  asked(smb.sessionSetup(1, NO_TOKEN), smb.sessionSetUp(1, NO_TOKEN, {}, 1));
  asked(smb.treeConnect(2, '\\\\172.16.200.55\\share'), smb.treeConnected(2));
  for (const [index, { name, bytes, upload }] of files.entries()) {
    const file = index + 1;
    asked(smb.create(id, name, upload ? 2 : 1), smb.created(id, file, upload ? 0 : bytes.length, upload));
    id++;
    for (let at = 0; at < bytes.length; at += PIECE, id++) {
      const piece = bytes.subarray(at, at + PIECE);
      if (upload) asked(smb.write(id, file, at, piece), smb.done('write', id));
      else asked(smb.read(id, file, at, piece.length), smb.readAnswer(id, piece));
    }
    asked(smb.close(id, file), smb.done('close', id));
    id++;
  }
  return turns;
}
