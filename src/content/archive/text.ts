/** What is looked at as text: no NUL in its beginning. */
import type { Content } from '../../core/file.js';

const HEAD = 4096;

export function isText(content: Content): boolean {
  return content.length > 0 && !content.read(0, HEAD).includes(0);
}
