/** `config system global`, `config system settings`. Both are full of what only a firewall has: that is passed over in silence. */
import { didYouMean, shown } from '../did-you-mean.js';
import { choice, integer, type OptionKind, text, toggle } from '../options.js';
import { nameKey, openSection, tableSection } from '../section.js';
import { TIME_ZONES, zoneOfCode } from '../time-zones.js';

/** An IANA name, or one of the numbers that FortiOS wrote up to 7.2; the value is the IANA name. */
const timezone: OptionKind<string | undefined> = {
  unset: undefined,
  allowed: 'a time zone such as "Europe/Berlin", or a FortiOS number such as 04',
  many: false,
  read: ([word], reader) => {
    if (word === undefined) return undefined;
    const byCode = zoneOfCode(word.text);
    if (byCode !== undefined) return byCode;
    if (/^\d{1,2}$/.test(word.text)) {
      reader.warning(
        word,
        `timezone ${word.text}: this number is not known for sure; write the zone's name, such as "Europe/Berlin"`,
      );
      return undefined;
    }
    const known = TIME_ZONES.find((zone) => zone.toLowerCase() === word.text.toLowerCase());
    if (known !== undefined) return known;
    if (isZone(word.text)) return word.text;
    const near = didYouMean(word.text, TIME_ZONES);
    reader.error(word, `found ${shown(word.text)}; allowed: ${timezone.allowed}${near}`);
    return undefined;
  },
};

function isZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{2,40}$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    // RangeError is how Intl says no.
    return false;
  }
}

export const systemGlobal = openSection({
  hostname: text(35),
  timezone,
  /** Seconds that a session stays in the table after policy blocked it. */
  'block-session-timer': integer(1, 300, 30),
});

/** What logs say of an interface. */
export const systemInterface = tableSection(
  { role: choice(['lan', 'wan', 'dmz', 'undefined'], 'undefined') },
  { key: nameKey(15), open: true },
);

export const systemSettings = openSection({
  /** Look at live sessions again when a dynamic address changes. */
  'dyn-addr-session-check': toggle(false),
});
