/** `inspectd explain`: what is inside a message or file, as a tree, and why it is judged as it is. */
import type { FileSeen, ScanEvent, TreeInspected } from '../capture/events.js';
import { Scan } from '../capture/scan.js';
import type { InputReport } from '../capture/scan-thread.js';
import { SourceError } from '../core/errors.js';
import type { FileId } from '../core/file.js';
import { DEFAULT_LIMITS } from '../core/limits.js';
import { endpointText, serviceName } from '../core/session.js';
import type { ClamdAddress } from '../scan/clamd/address.js';
import { findInputs, said } from './inputs.js';
import { chosenClamd, loadConfig, signaturePaths } from './settings.js';
import { inWords } from './words.js';

export interface ExplainOptions {
  readonly config?: string;
  readonly signatures: readonly string[];
  readonly clamd?: ClamdAddress;
  readonly readings?: boolean;
}

/** Prints to standard output. The exit status, as of `scan`. */
export async function explain(names: readonly string[], options: ExplainOptions): Promise<number> {
  const { config, warnings } = await loadConfig(options.config);
  const say = (line: string): void => void process.stderr.write(`inspectd: ${line}\n`);
  for (const warning of warnings) say(warning);
  const { inputs, problems } = findInputs(names);
  for (const problem of problems) say(problem);
  let failed = problems.length > 0;
  let refused = false;
  const running = new Scan({
    config,
    signatures: signaturePaths(options.signatures),
    limits: DEFAULT_LIMITS,
    hashMessages: true,
    detailed: true,
    keyLogs: [],
    secrets: [],
    clamd: chosenClamd(options.clamd, config),
    extract: undefined,
  });
  try {
    for (const input of inputs) {
      const deliver = (event: ScanEvent): void => {
        if (event.kind !== 'tree') return;
        refused ||= event.refused;
        process.stdout.write(`${treeInWords(input.name, event, options.readings === true)}\n`);
      };
      try {
        const advance = (): void => {};
        const report: InputReport =
          input.kind === 'capture'
            ? await running.capture({ name: input.name, size: input.size, deliver, advance })
            : await running.file({ name: input.name, message: input.kind === 'message', deliver, advance });
        for (const line of [report.damage, ...report.failures])
          if (line !== undefined) {
            failed = true;
            say(`${input.name}: ${line}`);
          }
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        failed = true;
        say(`${input.name}: ${said(error)}`);
      }
    }
  } finally {
    await running.close();
  }
  if (failed) return 2;
  return refused ? 1 : 0;
}

/** `everyReading`: also those in which nothing was found. */
function treeInWords(input: string, tree: TreeInspected, everyReading: boolean): string {
  const [root] = tree.files;
  if (root === undefined) return '';
  const lines: string[] = [];
  const service = serviceName(tree.session);
  const way = root.transfer === 'upload' ? 'to' : 'from';
  lines.push(service === undefined ? input : `${input}: ${service} ${way} ${endpointText(tree.session.server)}`);
  const { mail } = tree;
  if (mail !== undefined)
    for (const [field, value] of [
      ['From', mail.from],
      ['To', mail.to],
      ['Subject', mail.subject],
    ] as const)
      if (value !== undefined && value !== '') lines.push(`  ${field}: ${visible(value)}`);
  const explanation = new Explanation(tree.files, everyReading, lines);
  explanation.describe(root, '  ', false);
  lines.push(`  Policy ${tree.refused ? 'blocks or strips it' : 'lets it pass'}.`, '');
  return lines.join('\n');
}

/** One tree of files, as lines. */
class Explanation {
  readonly #children = new Map<FileId, FileSeen[]>();
  readonly #everyReading: boolean;
  readonly #lines: string[];

  constructor(files: readonly FileSeen[], everyReading: boolean, lines: string[]) {
    this.#everyReading = everyReading;
    this.#lines = lines;
    for (const file of files) {
      if (file.parent === undefined) continue;
      const siblings = this.#children.get(file.parent);
      if (siblings === undefined) this.#children.set(file.parent, [file]);
      else siblings.push(file);
    }
  }

  /** `within`: it came out of a reading, which was named. */
  describe(file: FileSeen, indent: string, within: boolean): void {
    const { detail, verdict } = file;
    const reading = detail?.reading;
    const lines = this.#lines;
    const how = reading === undefined || within ? '' : `[${reading}] `;
    lines.push(`${indent}${how}${nameOf(file)}, ${kindOf(file)}, ${bytesOf(file.size)}: ${verdictOf(file)}`);
    const more = `${indent}  `;
    if (detail !== undefined && detail.otherNames.length > 0 && reading === undefined)
      lines.push(`${more}may also be called ${detail.otherNames.map(quoted).join(', ')}`);
    for (const finding of detail?.findings ?? []) lines.push(`${more}- ${inWords(finding)}`);
    const children = this.#children.get(file.id) ?? [];
    const readings = reading === undefined ? children.filter((one) => one.detail?.reading !== undefined) : [];
    for (const child of children)
      if (reading !== undefined || child.detail?.reading === undefined)
        this.describe(child, more, reading !== undefined);
    if (readings.length > 0) this.#describeReadings(readings, more);
    // What a container's verdict rests on may lie deeper; the members say it themselves.
    if (verdict.virus.length > 0 && children.length > 0)
      lines.push(`${more}viruses in it: ${verdict.virus.join(', ')}`);
  }

  #describeReadings(readings: readonly FileSeen[], indent: string): void {
    const bad = readings.filter((one) => one.verdict.verdict !== 'clean');
    const found = bad.length === 0 ? 'nothing bad in any' : `something bad in ${bad.length}`;
    const ways = readings.length === 1 ? 'one other way' : `${readings.length} other ways`;
    this.#lines.push(`${indent}It was looked at in ${ways} as well: ${found}.`);
    for (const child of this.#everyReading ? readings : bad) this.describe(child, `${indent}  `, false);
  }
}

function nameOf(file: FileSeen): string {
  return file.name === undefined ? 'without a name' : quoted(file.name);
}

function kindOf(file: FileSeen): string {
  if (file.type === 'mime') return 'a message';
  const types = file.detail?.types ?? [file.type];
  return types[0] === 'unknown' ? 'of no known type' : types.join(' and ');
}

function bytesOf(size: number): string {
  return size === 1 ? '1 byte' : `${size} bytes`;
}

function verdictOf({ verdict, state }: FileSeen): string {
  const cut = state === 'complete' ? '' : ` (${state})`;
  if (verdict.verdict === 'clean') return `clean${cut}${verdict.reason === null ? '' : ', but odd'}`;
  if (verdict.verdict === 'blocked') return `blocked by the rule ${quoted(verdict.reason ?? '')}`;
  return `${verdict.verdict}${cut}`;
}

function quoted(text: string): string {
  return `"${visible(text)}"`;
}

/** Names come from the wire: nothing in them may steer a terminal or turn the text around. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}
