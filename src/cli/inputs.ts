/** What the user named, as a list of things to scan: directories walked, captures told from messages and other files. */
import { closeSync, opendirSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SourceError } from '../core/errors.js';

export interface ScanInput {
  /** As the user named it, or below what the user named; `-` is standard input. */
  readonly name: string;
  readonly kind: 'capture' | 'message' | 'file';
  /** Bytes; undefined for standard input. */
  readonly size: number | undefined;
}

export interface FoundInputs {
  readonly inputs: readonly ScanInput[];
  /** What could not be looked at, a line each. */
  readonly problems: readonly string[];
}

/** Magic numbers of pcap (both orders, µs and ns) and pcapng. */
const CAPTURE_MAGIC = new Set(['a1b2c3d4', 'd4c3b2a1', 'a1b23c4d', '4d3cb2a1', '0a0d0d0a']);
const CAPTURE_NAME = /\.(p?cap(ng)?|dmp)(\.gz)?$/i;

export function findInputs(names: readonly string[]): FoundInputs {
  const inputs: ScanInput[] = [];
  const problems: string[] = [];
  for (const name of names) {
    if (name === '-') inputs.push({ name, kind: 'capture', size: undefined });
    else visit(name, inputs, problems, true);
  }
  return { inputs, problems };
}

function visit(name: string, inputs: ScanInput[], problems: string[], named: boolean): void {
  try {
    const facts = statSync(name);
    if (facts.isDirectory()) {
      // Sorted, so that the same directory gives the same output; links to directories are not followed, they may lead in circles.
      for (const entry of entries(name)) {
        if (!entry.directoryLink) visit(join(name, entry.name), inputs, problems, false);
      }
    } else if (facts.isFile() || named) {
      // A pipe or device that the user names is read once, as a capture: it cannot be looked at first.
      inputs.push(
        facts.isFile() ? { name, kind: kindOf(name), size: facts.size } : { name, kind: 'capture', size: undefined },
      );
    }
  } catch (error) {
    problems.push(`${name}: ${said(error)}`);
  }
}

function entries(directory: string): { name: string; directoryLink: boolean }[] {
  const found: { name: string; directoryLink: boolean }[] = [];
  const dir = opendirSync(directory);
  try {
    for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
      const directoryLink = entry.isSymbolicLink() && isDirectory(join(directory, entry.name));
      found.push({ name: entry.name, directoryLink });
    }
  } finally {
    dir.closeSync();
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isDirectory(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    // A dangling link: visiting it says so.
    return false;
  }
}

/** By content where it can be told, else by name: a file called .pcap that is none is a damaged capture, not a file to scan. */
function kindOf(name: string): ScanInput['kind'] {
  const head = Buffer.alloc(512);
  const fd = openSync(name, 'r');
  let length: number;
  try {
    length = readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  if (CAPTURE_NAME.test(name) || CAPTURE_MAGIC.has(magicOf(head.subarray(0, length)))) return 'capture';
  return /\.(eml|mbox|msg822)$/i.test(name) || looksLikeMail(head.toString('latin1', 0, length)) ? 'message' : 'file';
}

function magicOf(head: Buffer): string {
  if (head[0] !== 0x1f || head[1] !== 0x8b) return head.toString('hex', 0, 4);
  try {
    // The head of a gzip file is cut: what could be inflated is enough.
    return gunzipSync(head, { finishFlush: 2, maxOutputLength: 1 << 20 }).toString('hex', 0, 4);
  } catch {
    return '';
  }
}

/** A header block that begins as stored mail does. */
function looksLikeMail(head: string): boolean {
  return (
    /^(Return-Path|Received|Delivered-To|X-Original-To|DKIM-Signature|ARC-Seal|Message-I[Dd]|MIME-Version|From|Date|Subject): /.test(
      head,
    ) && /^(From|Received|Date|Subject): /im.test(head)
  );
}

/** What the system said, in words. */
export function said(error: unknown): string {
  if (error instanceof SourceError) return error.message;
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
      return 'no such file or directory';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ELOOP':
      return 'its links lead in a circle';
    case 'ENOTDIR':
      return 'a part of the path is not a directory';
    case 'EISDIR':
      return 'it is a directory';
    case 'EEXIST':
      return 'there is a file of this name';
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENOSPC':
      return 'no space left on the device';
    case 'ENAMETOOLONG':
      return 'the name is too long';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
