/**
 * TNEF ([MS-OXTNEF]), Outlook's `winmail.dat`: attachments under their names, whether their data lie in an attribute or among their MAPI
 * properties, as messages and objects do that are embedded (attach methods 5 and 6); an embedded message is TNEF again. Of the message
 * itself the text and the page. Compressed RTF is not unpacked.
 */
import { Buffer } from 'node:buffer';
import type { Content, Unpacker } from '../../core/file.js';
import { decodeName } from './names.js';
import { type Property, propertiesOf } from './tnef-properties.js';
import { type ArchiveLimits, type Member, Unpacking } from './unpacking.js';

const SIGNATURE = 0x223e9f78;
const PIECE = 256 * 1024;
const NAME = 4096;

/** Attributes (§2.1.3): of an attachment. */
const RENDER_DATA = 0x00069002;
const TITLE = 0x00018010;
const DATA = 0x0006800f;
const ATTACHMENT = 0x00069005;
/** Of the message. */
const MESSAGE_PROPERTIES = 0x00069003;
const BODY = 0x0002800c;

/** Properties ([MS-OXPROPS]). */
const PR_BODY = 0x1000;
const PR_RTF_COMPRESSED = 0x1009;
const PR_HTML = 0x1013;
const PR_DISPLAY_NAME = 0x3001;
const PR_ATTACH_DATA = 0x3701;
const PR_ATTACH_FILENAME = 0x3704;
const PR_ATTACH_LONG_FILENAME = 0x3707;
const PT_OBJECT = 0x000d;
const PT_UNICODE = 0x001f;
/** An object's value begins with the id of its interface. */
const INTERFACE = 16;

export function tnefUnpacker(limits: ArchiveLimits): Unpacker {
  return {
    name: 'tnef',
    accepts: (_types, content) => content.length >= 6 && content.read(0, 4).readUInt32LE(0) === SIGNATURE,
    unpack(content, container) {
      const unpacking = new Unpacking(container, content.length, limits);
      if (unpacking.mayBegin()) readAttributes(content, unpacking);
    },
  };
}

interface Found {
  readonly at: number;
  readonly length: number;
}

/** Each attribute: level, id, length, data, checksum of two bytes. */
function readAttributes(content: Content, unpacking: Unpacking): void {
  let attachment = new Attachment(content, unpacking);
  for (let at = 6; at < content.length && unpacking.mayGoOn(); ) {
    const head = content.read(at, 9);
    if (head.length < 9 || (head[0] !== 1 && head[0] !== 2)) {
      unpacking.unscannable('corrupted', 'TNEF attribute is cut or damaged');
      break;
    }
    const id = head.readUInt32LE(1);
    const found = { at: at + 9, length: head.readUInt32LE(5) };
    if (found.at + found.length > content.length) unpacking.unscannable('corrupted', 'TNEF attribute is cut');
    if (id === RENDER_DATA) {
      attachment.settle();
      attachment = new Attachment(content, unpacking);
    } else if (id === TITLE) attachment.name(text(content, found, false));
    else if (id === DATA) attachment.data(found);
    else if (id === ATTACHMENT) attachment.properties(found);
    else if (id === MESSAGE_PROPERTIES) takeMessage(content, found, unpacking);
    else if (id === BODY) copy(content, found, unpacking.open({ name: undefined }));
    at = found.at + found.length + 2;
  }
  attachment.settle();
}

/** What is known of one attachment: its title may come before its data or behind. */
class Attachment {
  readonly #content: Content;
  readonly #unpacking: Unpacking;
  readonly #names: string[] = [];
  readonly #data: Found[] = [];

  constructor(content: Content, unpacking: Unpacking) {
    this.#content = content;
    this.#unpacking = unpacking;
  }

  /** Outlook shows the long name, others the title: the first counts, and each is looked at. */
  name(name: string): void {
    if (name !== '' && !this.#names.includes(name)) this.#names.push(name);
  }

  data(found: Found): void {
    this.#data.push(found);
  }

  properties(found: Found): void {
    for (const property of propertiesIn(this.#content, found, this.#unpacking)) {
      if (property.id === PR_ATTACH_DATA) this.data(withoutInterface(property));
      else if (NAMES.includes(property.id)) this.name(text(this.#content, property, property.type === PT_UNICODE));
    }
  }

  settle(): void {
    const [name, ...otherNames] = this.#names;
    for (const found of this.#data) {
      if (this.#unpacking.stopped) return;
      copy(this.#content, found, this.#unpacking.open({ name, ...(otherNames.length > 0 && { otherNames }) }));
    }
  }
}

const NAMES = [PR_ATTACH_LONG_FILENAME, PR_ATTACH_FILENAME, PR_DISPLAY_NAME];

function takeMessage(content: Content, found: Found, unpacking: Unpacking): void {
  for (const property of propertiesIn(content, found, unpacking)) {
    if (property.id === PR_BODY || property.id === PR_HTML || property.id === PR_RTF_COMPRESSED)
      copy(
        content,
        property,
        unpacking.open({
          name: undefined,
          ...(property.id === PR_HTML && { declaredType: 'text/html' }),
          ...(property.type === PT_UNICODE && { charset: 'utf-16le' }),
        }),
      );
  }
}

/** What cannot be read as properties is given out as it is. */
function propertiesIn(content: Content, found: Found, unpacking: Unpacking): readonly Property[] {
  const { properties, whole } = propertiesOf(content, found.at, Math.min(content.length, found.at + found.length));
  if (!whole) {
    unpacking.unscannable('corrupted', 'TNEF properties are cut or damaged');
    copy(content, found, unpacking.open({ name: undefined }));
  }
  return properties;
}

function withoutInterface(property: Property): Found {
  if (property.type !== PT_OBJECT || property.length < INTERFACE) return property;
  return { at: property.at + INTERFACE, length: property.length - INTERFACE };
}

/** Up to its NUL. */
function text(content: Content, found: Found, unicode: boolean): string {
  const bytes = Buffer.from(content.read(found.at, Math.min(found.length, NAME)));
  const whole = unicode ? bytes.toString('utf16le') : decodeName(bytes);
  return whole.split('\0', 1)[0] ?? '';
}

function copy(content: Content, found: Found, member: Member | undefined): void {
  if (member === undefined) return;
  const end = Math.min(content.length, found.at + found.length);
  for (let at = found.at; at < end; ) {
    const piece = content.read(at, Math.min(PIECE, end - at));
    if (piece.length === 0 || !member.write(piece, 0, piece.length)) break;
    at += piece.length;
  }
  if (end < found.at + found.length) member.cut();
  else member.end();
}
