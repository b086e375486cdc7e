/** The body of one part, taken out of its transfer encoding. Its bytes come without the line end that belongs to the delimiter. */
import type { ChildStream } from '../../core/file.js';

export type Body = Pick<ChildStream, 'write' | 'gap' | 'end' | 'abort'>;
