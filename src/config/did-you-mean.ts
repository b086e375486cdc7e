/** Words in messages: lists, quotes, and the known word that a mistyped one is close to. */

/** ` (did you mean "block"?)`, or nothing when no known word is near. */
export function didYouMean(found: string, known: Iterable<string>): string {
  // A third of the word may differ, at most three letters; very long values are nobody's typing error.
  if (found.length > 64) return '';
  let nearest: string | undefined;
  let least = Math.min(3, Math.max(1, Math.floor(found.length / 3))) + 1;
  for (const word of known) {
    if (Math.abs(word.length - found.length) >= least) continue;
    const distance = editDistance(found.toLowerCase(), word.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = word;
    }
  }
  return nearest === undefined ? '' : ` (did you mean "${nearest}"?)`;
}

/** At most 60 characters of a value, on one line, in quotes. */
export function shown(value: string): string {
  const line = value.replace(/[\u0000-\u001f\u007f]+/g, ' ');
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}

/** `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** Insertions, deletions, exchanges and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
