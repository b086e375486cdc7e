/** `config antivirus settings`. `clamd` is our own: where a clamd is asked as well, `HOST:PORT` or the path of its socket; and so is `fail-open`. */
import { type ClamdAddress, parseClamdAddress } from '../../scan/clamd/address.js';
import { accepted, choice, integer, type OptionKind, parsed, toggle, withoutEffect } from '../options.js';
import { singleSection } from '../section.js';

export const antivirusSettings = singleSection({
  'machine-learning-detection': withoutEffect(choice(['enable', 'monitor', 'disable'], 'enable'), 'machine learning'),
  'use-extreme-db': withoutEffect(toggle(false), 'extreme database'),
  grayware: withoutEffect(toggle(false), 'grayware list'),
  'default-db': accepted,
  /** Milliseconds a scan may take; 0: the engine's own limit. */
  'override-timeout': integer(0, 3600, 0, 1000),
  'cache-infected-result': toggle(true),
  'cache-clean-result': accepted,
  clamd: clamdAddress(),
  /** Our own, named as in `config ips global`: what a scanner that failed could not judge passes, on record. */
  'fail-open': toggle(false),
});

function clamdAddress(): OptionKind<ClamdAddress | undefined> {
  return parsed('HOST:PORT, [IPV6]:PORT or the path of a socket', parseClamdAddress);
}
