/**
 * Kinds of text, judged on a file's head. Text has no magic, so a kind is only said where its own syntax stands there: prose that mentions
 * `function` or `<b>` is no script and no page. A name's ending that says the same kind lowers what is asked for, never raises a kind alone.
 */
import { typesByName } from './names.js';

/** Characters of the head that are looked at. */
const HEAD = 4096;

/** The types of `head`, or nothing when it is no text or no kind that is known. */
export function textTypes(head: Buffer, name: string | undefined): string[] {
  const text = decodeText(head);
  if (text === undefined) return [];
  const named = new Set(typesByName(name ?? ''));
  const types: string[] = [];
  for (const [type, judge] of KINDS) if (!types.includes(type) && judge(text, named.has(type))) types.push(type);
  return types;
}

/** The head as characters: UTF-16 by its mark, anything else as Latin-1; undefined when it has control bytes that text has not. */
function decodeText(head: Buffer): string | undefined {
  const bytes = head.subarray(0, HEAD);
  if (bytes.length >= 2 && bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le', 2);
  if (bytes.length >= 2 && bytes[0] === 0xfe && bytes[1] === 0xff)
    return Buffer.from(bytes.subarray(2, bytes.length - (bytes.length % 2)))
      .swap16()
      .toString('utf16le');
  let control = 0;
  for (const byte of bytes) {
    if (byte === 0) return undefined;
    if (byte < 9 || (byte > 13 && byte < 32 && byte !== 0x1b)) control++;
  }
  if (bytes.length === 0 || control * 50 > bytes.length) return undefined;
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return bytes.toString('latin1', start);
}

type Judge = (text: string, named: boolean) => boolean;

function count(text: string, tokens: readonly RegExp[]): number {
  let found = 0;
  for (const token of tokens) if (token.test(text)) found++;
  return found;
}

const PYTHON = [
  /^import [a-z_][\w.]*( as \w+)?(, ?[a-z_][\w.]*)*[ \t]*\r?$/m,
  /^from [\w.]+ import [\w*(]/m,
  /^[ \t]*(async )?def \w+\([^()\n]*\)( ?-> ?[^:\n]+)?:[ \t]*\r?$/m,
  /^class \w+(\([\w., ]*\))?:[ \t]*\r?$/m,
  /^if __name__ == ['"]__main__['"]:/m,
  /^[ \t]+(self\.\w+ = |return |elif .{1,200}:|except( \w+)?:)/m,
];
const JAVASCRIPT = [
  /\bnew ActiveXObject\(/,
  /\bWScript\.(CreateObject|Shell|Echo|Sleep|Arguments)\b/,
  /\b(document|window)\.(write|location|getElementById|addEventListener|createElement)\b/,
  /\bfunction\s{0,8}\w{0,64}\s{0,8}\([\w\s,$]{0,200}\)\s{0,8}\{/,
  /^[ \t]*(var|let|const) [\w$]+ ?= ?[^\n]{1,400};?[ \t]*\r?$/m,
  /\b(String\.fromCharCode|unescape|eval|parseInt|setTimeout)\(/,
  /^[ \t]*(import [^\n]{1,200} from ['"]|export (default|const|function|class) )/m,
  /\b(module\.exports|require\(['"][^'"\n]{1,100}['"]\))/,
  /=> ?[{(]/,
  /^['"]use strict['"];?/m,
];
const C = [
  /^[ \t]*#[ \t]*include[ \t]*[<"][\w./+-]{1,100}[>"]/m,
  /^[ \t]*#[ \t]*(define|ifndef|ifdef|pragma)[ \t]+\w/m,
  /\b(int|void) main\s?\(/,
  /^using namespace \w+;/m,
  /^(static |extern |const |unsigned |inline )*(int|void|char|long|float|double|bool) [*\w]+ ?\([^;{}]{0,200}\)\s{0,4}\{/m,
  /^(typedef )?struct \w* ?\{/m,
  /^(class|template ?<|namespace) ?\w*/m,
];
const BAT = [
  /^[ \t]*@?echo off\b/im,
  /^[ \t]*(rem |::)/im,
  /^[ \t]*@?(setlocal|goto \w|call |if (not )?(exist|errorlevel)|for %%\w in|pause\b|set \/[ap] |start \/|powershell |cmd \/c)/im,
  /%(~dp0|~?\d|[a-z_]{2,30})%?/i,
];
const HEADER_LINE = /^[!-9;-~]{1,77}:/;

/** In order of how much the kind says. A text may be more than one. */
const KINDS: readonly (readonly [string, Judge])[] = [
  ['hta', (text) => /<hta:application\b/i.test(text)],
  ['jnlp', (text) => /^\s{0,64}(<\?xml[^>]{0,200}>)?\s{0,64}(<!--[^>]{0,1000}-->\s{0,64})?<jnlp[\s>]/i.test(text)],
  ['html', isHtml],
  ['registry', (text) => /^\s{0,16}(Windows Registry Editor Version [\d.]+|REGEDIT4)[ \t]*(\r?\n|$)/.test(text)],
  [
    'jad',
    (text) => /^MIDlet-(Name|Version|Vendor|Jar-URL|1) ?:/m.test(text) && /^MIDlet-(Jar-URL|Jar-Size|1) ?:/m.test(text),
  ],
  ['binhex', (text) => /^\(This file must be converted( with BinHex|[^\r\n]{0,80}\)\s{1,8}:)/m.test(text)],
  [
    'uue',
    (text) =>
      /^begin(-base64)? [0-7]{3,4} \S.{0,255}\r?\n(M[ -`]{60}|[ -`]{1,61}\r?\n|h[-+0-9A-Za-z]{60}|[-+0-9A-Za-z]{1,61}\r?\n[-+0-9A-Za-z]*\r?\nend|[A-Za-z0-9+/]{4})/m.test(
        text,
      ),
  ],
  ['mime', isMessage],
  ['shellscript', (text) => /^#![ \t]*\S{0,80}(\/env([ \t]+-\S+)*[ \t]+|\/)(ba|da|a|z|k|mk|c|tc|fi)?sh\b/.test(text)],
  [
    'python',
    (text, named) => interpreter(text, /^(python|pypy)[\d.]*(-[\w-]+)?$/) || count(text, PYTHON) >= (named ? 1 : 3),
  ],
  [
    'javascript',
    (text, named) =>
      interpreter(text, /^(node|nodejs|deno|bun)$/) || (!isHtml(text) && count(text, JAVASCRIPT) >= (named ? 1 : 3)),
  ],
  ['bat', (text, named) => /^\s{0,16}@?echo off[ \t]*(\r?\n|$|&)/i.test(text) || (named && count(text, BAT) >= 1)],
  ['c/cpp', (text, named) => count(text, C) >= (named ? 1 : 3) || (C[0]!.test(text) && count(text, C) >= 2)],
  ['genscript', isOtherScript],
  ['base64', isBase64],
];

function isHtml(text: string, named = false): boolean {
  // What may stand before the first tag: a mark, space, an XML declaration, comments.
  const start = text.replace(/^\s+/, '').replace(/^<\?xml[^>]{0,300}>\s*/i, '');
  if (
    /^<!doctype\s+html\b/i.test(start) ||
    /^<(html|head|body|script|iframe|title|style|meta|table|div|frameset)[\s>/]/i.test(start)
  )
    return true;
  if (start.startsWith('<!--')) return /-->\s*<(!doctype\s+html|html|head|body)\b/i.test(start);
  // A page without its frame, such as a template: browsers show it all the same.
  if (named && /<(script|head|body|div|table|form|iframe|a|p|h[1-6])[\s>]/i.test(text)) return true;
  return /^[ \t]{0,64}<html[\s>]/im.test(text) && /<(head|body)[\s>]/i.test(text);
}

/** A header block with what only messages and MIME entities have. */
function isMessage(text: string): boolean {
  const start = text.replace(/^(From \S+ .{0,100}\r?\n)/, '');
  if (!HEADER_LINE.test(start)) return false;
  const blank = /\r?\n\r?\n/.exec(start);
  const header = start.slice(0, blank?.index ?? start.length);
  for (const line of header.split(/\r?\n/, 64).slice(0, -1))
    if (!/^[ \t]/.test(line) && !HEADER_LINE.test(line)) return false;
  if (
    /^(MIME-Version|Content-Transfer-Encoding):/im.test(header) ||
    /^Content-Type:[ \t]*(multipart|message)\//im.test(header)
  )
    return true;
  const marks = [
    /^Received:/im,
    /^Return-Path:/im,
    /^From:/im,
    /^To:/im,
    /^Subject:/im,
    /^Date:/im,
    /^Message-ID:/im,
    /^Content-Type:/im,
  ];
  return count(header, marks) >= 3;
}

function interpreter(text: string, names: RegExp): boolean {
  const line = /^#![ \t]*([^\r\n]{1,200})/.exec(text)?.[1];
  if (line === undefined) return false;
  const words = line.split(/[ \t]+/);
  const program = (words[0] ?? '').endsWith('/env') ? words.slice(1).find((word) => !word.startsWith('-')) : words[0];
  return names.test((program ?? '').split('/').pop() ?? '');
}

/** Scripts for which there is no type of their own: any other interpreter, VBScript, PowerShell, PHP. */
function isOtherScript(text: string): boolean {
  if (
    interpreter(
      text,
      /^(perl|ruby|php|lua|tclsh|wish|awk|gawk|osascript|pwsh|expect|Rscript|groovy|escript|guile)[\d.]*(-[\w-]+)?$/,
    )
  )
    return true;
  if (/^\s{0,64}<\?php\b/.test(text)) return true;
  const vbs = [
    /^[ \t]*(Option Explicit|On Error Resume Next)\b/im,
    /\bCreateObject\("[\w.]+"\)/i,
    /^[ \t]*(Sub|Function) \w+ ?\(/im,
    /^[ \t]*End (Sub|Function|If)\b/im,
    /^[ \t]*(Dim|Set) \w+/im,
  ];
  if (count(text, vbs) >= 3) return true;
  const powershell = [
    /^[ \t]*\$\w+ = /m,
    /\b(Invoke-Expression|Invoke-WebRequest|New-Object|Get-ChildItem|Set-ExecutionPolicy|Write-Host|Write-Output)\b/,
    /^[ \t]*(param|function) ?[\w-]* ?[({]/im,
    /\[(string|int|System\.[\w.]+)\]/i,
  ];
  return count(text, powershell) >= 3;
}

/** Nothing but lines of base64 of one length (the last may be shorter), enough of them that no prose looks so. */
function isBase64(text: string): boolean {
  const lines = text.split(/\r?\n/);
  const complete = text.length < HEAD - 8;
  if (!complete) lines.pop();
  while (lines.length > 0 && lines.at(-1) === '') lines.pop();
  const width = lines[0]?.length ?? 0;
  if (width < 40 || width % 4 !== 0 || lines.length < (width > 1000 ? 1 : 2)) return false;
  return (
    lines.every(
      (line, i) =>
        (i === lines.length - 1 ? line.length <= width : line.length === width) &&
        /^[A-Za-z0-9+/]*={0,2}$/.test(line) &&
        (i < lines.length - 1 ? !line.includes('=') : true),
    ) &&
    /[A-Z]/.test(text) &&
    /[a-z]/.test(text) &&
    /[0-9+/]/.test(text)
  );
}
