/** `config firewall schedule recurring`, `onetime` and `group`: when a rule holds. `always` and `none` are known without being written. */
import { accepted, flags, names, type OptionKind, parsed } from '../options.js';
import { nameKey, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

export const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

const FOR_PEOPLE = ['color', 'fabric-object', 'expiration-days', 'uuid', 'start-utc', 'end-utc'] as const;

/** `08:30`: minutes of the day. */
const timeOfDay = parsed('a time such as 08:30', (text) => {
  const found = /^(\d{1,2}):(\d{2})$/.exec(text);
  const [hours, minutes] = [Number(found?.[1] ?? 99), Number(found?.[2] ?? 99)];
  return hours < 24 && minutes < 60 ? hours * 60 + minutes : undefined;
});

/** `08:30 2026/11/27`, in words: as it compares, `2026/11/27 08:30`. */
const moment: OptionKind<string | undefined> = {
  unset: undefined,
  allowed: 'a moment such as 08:30 2026/11/27',
  many: true,
  read: (words, reader) => {
    const found = /^(\d{2}:\d{2}) (\d{4}\/\d{2}\/\d{2})$/.exec(words.map((word) => word.text).join(' '));
    if (found !== null) return `${found[2]} ${found[1]}`;
    if (words[0] !== undefined) reader.error(words[0], `allowed: ${moment.allowed}`);
    return undefined;
  },
};

export const firewallScheduleRecurring = tableSection(
  {
    ...elsewhere(FOR_PEOPLE),
    start: timeOfDay,
    end: timeOfDay,
    day: flags([...WEEKDAYS, 'none']),
    'label-day': accepted,
  },
  { key: nameKey(31), open: true },
);
export const firewallScheduleOnetime = tableSection(
  { ...elsewhere(FOR_PEOPLE), start: moment, end: moment },
  { key: nameKey(31), open: true },
);
export const firewallScheduleGroup = tableSection(
  {
    ...elsewhere(['color', 'fabric-object', 'uuid'] as const),
    member: names('firewall schedule recurring', 'firewall schedule onetime'),
  },
  { key: nameKey(31), open: true },
);
