/**
 * Names of archive members as a person would write them. Archives seldom say in what alphabet a name is: UTF-8 where the bytes are
 * valid UTF-8, code page 437 for zip and Latin-1 elsewhere.
 */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const CP437_HIGH =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';

/** UTF-8, or undefined. */
export function asUtf8(bytes: Buffer): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    // Not UTF-8 is an answer here, not a failure.
    return undefined;
  }
}

export function decodeName(bytes: Buffer): string {
  return asUtf8(bytes) ?? bytes.toString('latin1');
}

/** Code page 437 (APPNOTE appendix D). */
export function asCp437(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : CP437_HIGH[byte - 0x80];
  return text;
}
