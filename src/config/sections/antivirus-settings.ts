/** `config antivirus settings`. */
import { accepted, choice, integer, toggle, withoutEffect } from '../options.js';
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
});
