/**
 * Loaded into a measured process before its program (`node --import`): when the process ends it writes its highest resident memory to the
 * file that INSPECTD_BENCH_MEASURE names.
 */
import { writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { peakRssMb } from './peak.js';

export interface Measured {
  readonly peakRssMb: number;
}

const path = process.env['INSPECTD_BENCH_MEASURE'];
// Worker threads load this too, and children inherit the environment: only the first process speaks.
delete process.env['INSPECTD_BENCH_MEASURE'];
if (isMainThread && path !== undefined) {
  process.on('exit', () => {
    const measured: Measured = { peakRssMb: peakRssMb() };
    writeFileSync(path, JSON.stringify(measured));
  });
}
