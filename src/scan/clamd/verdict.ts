/**
 * What clamd's answer to INSTREAM says of a file. `stream: OK` is the only one that says clean; names of its own heuristics say that it did not
 * look at all of the file, and everything that is not known is no verdict.
 */
import { SourceError } from '../../core/errors.js';
import type { Finding } from '../../core/file.js';

export const CLAMD = 'clamd';

/** Names in logs and messages are plain, as those of signatures are. */
const NAME = /^stream: ([\x21-\x7e]{1,128}) FOUND$/;

/** What was found; nothing when it is clean. Throws SourceError when it is no verdict. */
export function findingsOf(answer: string): readonly Finding[] {
  if (answer === 'stream: OK') return [];
  const virus = NAME.exec(answer)?.[1];
  if (virus === undefined || virus.includes('"'))
    throw new SourceError(`clamd gave no verdict: ${JSON.stringify(answer.slice(0, 100))}`);
  // What it found has no name: it is not known what it is.
  if (virus === '(null)') return [{ kind: 'unscannable', reason: 'limit', detail: `${CLAMD}: ${virus}` }];
  if (virus.startsWith('Heuristics.Limits.Exceeded'))
    return [{ kind: 'unscannable', reason: 'limit', detail: `${CLAMD}: ${virus}` }];
  if (virus.startsWith('Heuristics.Encrypted'))
    return [{ kind: 'unscannable', reason: 'encrypted', detail: `${CLAMD}: ${virus}` }];
  if (virus.startsWith('Heuristics.Broken'))
    return [{ kind: 'unscannable', reason: 'corrupted', detail: `${CLAMD}: ${virus}` }];
  return [{ kind: 'infected', virus, virusId: 0, dtype: 'av-engine', by: CLAMD }];
}
