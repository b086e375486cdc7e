/** Whether a rule's schedule holds at a moment: `always`, `none`, recurring and one-time ones, groups of them. One that nobody wrote never does. */
import type { Config } from '../config/config.js';
import { WEEKDAYS } from '../config/sections/firewall-schedule.js';
import { localTime, type TimeZone } from '../log/time-zone.js';

/** `now`: milliseconds since 1970. */
export function scheduleHolds(config: Config, name: string | undefined, zone: TimeZone, now: number): boolean {
  if (name === undefined || name === 'always') return true;
  if (name === 'none') return false;
  const group = config.sections['firewall schedule group'].get(name);
  if (group !== undefined) return group.member.some((member) => oneHolds(config, member, zone, now));
  return oneHolds(config, name, zone, now);
}

function oneHolds({ sections }: Config, name: string, zone: TimeZone, now: number): boolean {
  const { date, time } = localTime(BigInt(now) * 1_000_000n, zone);
  const onetime = sections['firewall schedule onetime'].get(name);
  if (onetime !== undefined) {
    const at = `${date.replaceAll('-', '/')} ${time.slice(0, 5)}`;
    return (onetime.start ?? '9999') <= at && at <= (onetime.end ?? '');
  }
  const recurring = sections['firewall schedule recurring'].get(name);
  if (recurring === undefined) return false;
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  const at = hours * 60 + minutes;
  const start = recurring.start ?? 0;
  const end = recurring.end ?? 0;
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  const today = recurring.day.has(WEEKDAYS[weekday] ?? 'none');
  const yesterday = recurring.day.has(WEEKDAYS[(weekday + 6) % 7] ?? 'none');
  // One that ends before it begins ends on the next day; the same time means the whole day.
  if (start < end) return today && start <= at && at < end;
  return (today && at >= start) || (yesterday && at < end);
}
