// Moves bytes in memory that threads share as fast as in any other: what is told to another thread is not touched until it has answered.
// Compiled by AssemblyScript. Nothing is allocated: no runtime, no data.

export function move(to: usize, from: usize, length: usize): void {
  memory.copy(to, from, length);
}

export function clear(at: usize, length: usize): void {
  memory.fill(at, 0, length);
}
