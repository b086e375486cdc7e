/** A place in a configuration. Lines count from 1, columns in characters from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}
