/**
 * Replies of an EMS, from bytes to typed records, once. Everything is checked: an EMS that was taken over, or something in its place, must not
 * get further than this file. What is wrong is `EmsReplyError`, which never repeats what was received.
 */
import { isIP } from 'node:net';
import type { Endpoint } from '../ztna/endpoint.js';

/** What came is no answer. */
export class EmsReplyError extends Error {
  override readonly name: string = 'EmsReplyError';
}

/** Bounds of one endpoint as EMS describes it. */
const TEXT = 255;
const MOST_TAGS = 256;
const MOST_ADDRESSES = 64;

export interface Envelope {
  readonly retval: number;
  /** Of EMS's, for people; cut. */
  readonly message: string;
  readonly data: unknown;
}

export function parseEnvelope(body: string): Envelope {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new EmsReplyError('the reply is not JSON');
  }
  const result = isRecord(value) ? value['result'] : undefined;
  if (!isRecord(value) || !isRecord(result) || typeof result['retval'] !== 'number')
    throw new EmsReplyError('the reply has no "result" with a number "retval"');
  const { message } = result;
  return {
    retval: result['retval'],
    message: typeof message === 'string' ? plain(message.slice(0, TEXT)) : '',
    data: value['data'],
  };
}

/** Where the endpoints of an EMS stand: revisions count within one life of it. */
export interface Revision {
  readonly boot: string;
  readonly revision: number;
}

/** All endpoints behind a UID, or what changed. */
export interface TagReport extends Revision {
  /** Not a change but a page of all: another may follow. */
  readonly full: boolean;
  /** More endpoints follow the last of these. */
  readonly more: boolean;
  readonly endpoints: readonly Endpoint[];
  readonly removed: readonly string[];
}

/** `emsSerial`: of the EMS that was asked; it does not say so itself. `most`: endpoints and removed UIDs in one report. */
export function parseTagReport(data: unknown, emsSerial: string, most: number): TagReport {
  if (!isRecord(data)) throw new EmsReplyError('the tag report is no object');
  const { boot, revision, full, more, endpoints, removed } = data;
  if (typeof boot !== 'string' || !/^[0-9a-zA-Z-]{1,64}$/.test(boot))
    throw new EmsReplyError('"boot" is no identifier');
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 0)
    throw new EmsReplyError('"revision" is no number');
  if (typeof full !== 'boolean' || typeof more !== 'boolean')
    throw new EmsReplyError('"full" and "more" must be true or false');
  if (!Array.isArray(endpoints) || !Array.isArray(removed))
    throw new EmsReplyError('"endpoints" and "removed" must be lists');
  if (endpoints.length > most || removed.length > most) throw new EmsReplyError(`more than ${most} endpoints at once`);
  return {
    boot,
    revision,
    full,
    more,
    endpoints: endpoints.map((each: unknown) => parseEndpoint(each, emsSerial)),
    removed: removed.map((each: unknown) => uidOf(each)),
  };
}

export function parseEndpoint(value: unknown, emsSerial: string): Endpoint {
  if (!isRecord(value)) throw new EmsReplyError('an endpoint is no object');
  const uid = uidOf(value['uid']);
  const bool = (name: string): boolean => {
    const given = value[name];
    if (typeof given !== 'boolean') throw new EmsReplyError(`endpoint ${uid}: "${name}" must be true or false`);
    return given;
  };
  const optional = (name: string): string | undefined => {
    const given = value[name];
    if (given === undefined || given === null || given === '') return undefined;
    if (typeof given !== 'string' || given.length > TEXT)
      throw new EmsReplyError(`endpoint ${uid}: "${name}" is no text`);
    return plain(given);
  };
  const list = (name: string, most: number, fits: (text: string) => boolean): string[] => {
    const given = value[name];
    if (!Array.isArray(given) || given.length > most)
      throw new EmsReplyError(`endpoint ${uid}: "${name}" is no list of at most ${most}`);
    return given.map((each: unknown) => {
      if (typeof each !== 'string' || each.length > TEXT || !fits(each))
        throw new EmsReplyError(`endpoint ${uid}: "${name}" has a wrong entry`);
      return each;
    });
  };
  const certificateSerial = optional('certificate_sn')?.toUpperCase();
  if (certificateSerial !== undefined && !/^[0-9A-F]{1,40}$/.test(certificateSerial))
    throw new EmsReplyError(`endpoint ${uid}: "certificate_sn" is no serial number`);
  return {
    uid,
    emsSerial,
    certificateSerial,
    revoked: bool('revoked'),
    online: bool('online'),
    domain: optional('domain'),
    user: optional('user'),
    owner: optional('owner'),
    addresses: list('ip', MOST_ADDRESSES, (each) => isIP(each) !== 0).map((each) => each.toLowerCase()),
    macs: list('mac', MOST_ADDRESSES, (each) => /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(each)).map((each) =>
      each.toLowerCase(),
    ),
    // Names of tags stand in logs, and in address objects.
    tags: list('tags', MOST_TAGS, (each) => each !== '' && plain(each) === each && !each.includes('/')),
    quarantined: bool('quarantined'),
  };
}

/** `FCTEMS0000109188` */
export function parseSerial(data: unknown): string {
  const serial = isRecord(data) ? data['serial_number'] : data;
  if (typeof serial !== 'string' || !EMS_SERIAL.test(serial)) throw new EmsReplyError('the serial number is none');
  return serial;
}

export const EMS_SERIAL = /^[A-Z0-9]{4,32}$/;

function uidOf(value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9A-F]{32}$/.test(value))
    throw new EmsReplyError('a UID must be 32 upper-case hex digits');
  return value;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Without control characters: it is printed. */
function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');
}
