/** The most memory that this process ever had resident. */
import { readFileSync } from 'node:fs';

/**
 * Megabytes. The system's own `ru_maxrss` is no measure of a process that another has started: it begins with what that one had. Worker threads are in it,
 * children are not.
 */
export function peakRssMb(): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    if (kib !== undefined) return (Number(kib) * 1024) / 1e6;
  } catch {
    // A system without /proc.
  }
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}
