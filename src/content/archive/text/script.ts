/** Is a text a script, or a page or picture that may hold one? Data of the same look (JSON, CSV) is not searched for what a script would do with it. */
import type { Text } from './text.js';

const TYPES = new Set(['html', 'hta', 'javascript', 'genscript', 'shellscript', 'python', 'bat', 'jnlp']);
/** By what a text of no known type would need in order to run. */
const MARKS =
  /<script\b|<svg\b|javascript:|\batob\b|\bUint8Array\b|\bfromCharCode\b|\bFromBase64String\b|\bb64decode\b/i;
/** Of a mark that lies across two pieces. */
const OVERLAP = 32;

const known = new WeakMap<Text, boolean>();

/** Asked only once something stands in the text that would be taken out. */
export function isScript(text: Text): boolean {
  const answered = known.get(text);
  if (answered !== undefined) return answered;
  let script = text.types.some((type) => TYPES.has(type));
  let tail = '';
  if (!script)
    text.pieces(0, text.length, (piece) => {
      const here = tail + piece.toString('latin1');
      script = MARKS.test(here);
      tail = here.slice(-OVERLAP);
      return !script;
    });
  known.set(text, script);
  return script;
}
