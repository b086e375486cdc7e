/** YARA rules in a number that real sets have, none of which matches noise: strings, byte patterns with wildcards, counted conditions. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../src/testing/random.js';

/** The file with `count` rules in `folder`, made when it is not there. */
export function rulesFile(folder: string, count: number): string {
  const path = join(folder, `rules-${count}.yar`);
  if (!existsSync(path)) writeFileSync(path, rulesText(count));
  return path;
}

function rulesText(count: number): string {
  const random = new SeededRandom(1);
  const hex = (bytes: number): string =>
    Array.from({ length: bytes }, () => random.below(256).toString(16).padStart(2, '0')).join(' ');
  const word = (letters: number): string =>
    Array.from({ length: letters }, () => String.fromCharCode(97 + random.below(26))).join('');
  const rules: string[] = [];
  for (let at = 0; at < count; at++) {
    rules.push(`rule bench_${at} {
  strings:
    $text = "${word(12)} ${word(9)}" ascii wide
    $folded = "${word(14)}" nocase
    $bytes = { ${hex(6)} ?? ${hex(4)} [2-6] ${hex(5)} }
  condition:
    2 of them or ($text and filesize < 10MB)
}
`);
  }
  return rules.join('');
}
