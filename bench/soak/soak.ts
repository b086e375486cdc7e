/** What a long test is told and what it says. */
export interface SoakOptions {
  readonly count: number | undefined;
  readonly seconds: number | undefined;
}

export interface SoakResult {
  readonly ok: boolean;
  readonly figures: Readonly<Record<string, unknown>>;
}
