/**
 * One generated capture on disk: NAME.pcap; NAME.bodies, the same files as they lie on the wire (attachments as base64 text) one after another
 * without anything around them, which is what the limit program works on; NAME.json, which says what both hold.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaptureShape } from './cases.js';

/** Raised when the generator changes what it writes: data of another version is not reused. */
export const DATASET_VERSION = 4;

export interface DatasetFile {
  readonly name: string;
  /** It is base64 text in NAME.bodies; else itself. */
  readonly base64: boolean;
  /** Bytes of it in NAME.bodies. */
  readonly encoded: number;
  readonly size: number;
  readonly sha256: string;
}

export interface DatasetIndex {
  /** Size of NAME.pcap. */
  readonly captureBytes: number;
  readonly packets: number;
  /** In the order of NAME.bodies. */
  readonly files: readonly DatasetFile[];
}

export interface Dataset {
  readonly capture: string;
  readonly bodies: string;
  readonly index: string;
}

/** Where the data of a shape is. `megabytes`: at least so much capture. */
export function datasetPaths(folder: string, shape: CaptureShape, megabytes: number, seed: number): Dataset {
  const order = shape.reorderedOneIn === 0 ? 'ordered' : `reordered${shape.reorderedOneIn}`;
  const files = shape.fileSize === undefined ? '' : `-files${shape.fileSize}`;
  const name = `${shape.protocols.join('+')}-${megabytes}mb-${shape.segment}-${order}${files}-seed${seed}-v${DATASET_VERSION}`;
  const base = join(folder, name);
  return { capture: `${base}.pcap`, bodies: `${base}.bodies`, index: `${base}.json` };
}

export function readIndex(dataset: Dataset): DatasetIndex {
  return JSON.parse(readFileSync(dataset.index, 'utf8')) as DatasetIndex;
}
