/** A clock that only moves when told to: flow time in milliseconds for tests. */

interface Alarm {
  readonly at: number;
  readonly ring: (now: number) => void;
}

export class FakeClock {
  now: number;
  #alarms: Alarm[] = [];

  constructor(now = 0) {
    this.now = now;
  }

  /** Calls `ring` when the clock reaches `at`; the answer takes the alarm back. */
  at(at: number, ring: (now: number) => void): () => void {
    const alarm: Alarm = { at, ring };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  }

  /** Moves on by `ms`, ringing what falls due on the way, in order of time. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      let next: Alarm | undefined;
      for (const alarm of this.#alarms)
        if (alarm.at <= until && (next === undefined || alarm.at < next.at)) next = alarm;
      if (next === undefined) break;
      const due = next;
      this.#alarms = this.#alarms.filter((other) => other !== due);
      this.now = Math.max(this.now, due.at);
      due.ring(this.now);
    }
    this.now = until;
  }
}
