/** What `inspectd check --defaults` prints: every limit of the engine, and every option of the owned sections with its default. */
import { DEFAULT_LIMITS } from '../core/limits.js';
import { SECTIONS } from './config.js';
import type { OptionKind } from './options.js';

interface Shape {
  readonly options: Readonly<Record<string, OptionKind<unknown>>>;
  readonly nested: Readonly<Record<string, Shape>>;
}

/** Lines of text: the limits by name, then each section. Options without effect are left out. */
export function describeDefaults(): string {
  const lines = ['# Limits of the engine (bytes, milliseconds, counts)'];
  for (const [name, value] of Object.entries(DEFAULT_LIMITS)) lines.push(`${name} ${value}`);
  for (const [path, shape] of Object.entries(SECTIONS)) {
    lines.push('', `config ${path}`);
    describe(shape as Shape, '    ', lines);
  }
  return `${lines.join('\n')}\n`;
}

function describe(shape: Shape, indent: string, lines: string[]): void {
  for (const [name, kind] of Object.entries(shape.options)) {
    if (kind.effect === false) continue;
    const value = kind.unsetText ?? written(kind.unset);
    lines.push(`${indent}set ${name} ${value ?? '(unset)'}    # ${kind.allowed}`);
  }
  for (const [name, nested] of Object.entries(shape.nested)) {
    lines.push(`${indent}config ${name}`);
    describe(nested, `${indent}    `, lines);
  }
}

function written(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'boolean') return value ? 'enable' : 'disable';
  if (typeof value === 'number' || typeof value === 'string') return String(value);
  if (value instanceof Set || Array.isArray(value)) {
    const words = [...(value as Iterable<unknown>)].map(String);
    return words.length === 0 ? '(none)' : words.join(' ');
  }
  if (typeof value === 'object' && value !== null && 'address' in value && 'prefix' in value)
    return `${String(value.address)}/${String(value.prefix)}`;
  return undefined;
}
