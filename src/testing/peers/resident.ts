/** How much memory a program and the processes that it started have, as Linux counts it (proc_pid_status(5), proc_pid_children). */
import { readFileSync } from 'node:fs';

/** VmRSS of all of them, in bytes. */
export function resident(pid: number | undefined): number {
  let bytes = 0;
  for (const each of family(String(pid))) {
    const [, kib = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${each}/status`)) ?? [];
    bytes += Number(kib) * 1024;
  }
  return bytes;
}

function family(pid: string): string[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap(family))];
}

/** Empty where the process is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
