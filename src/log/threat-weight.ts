/** What a record adds to a client's threat score: FortiOS's `config log threat-weight` with its defaults. */
import type { Outcome } from '../policy/outcome.js';

export const THREAT_LEVELS = ['disable', 'low', 'medium', 'high', 'critical'] as const;
export type ThreatLevel = (typeof THREAT_LEVELS)[number];

export interface ThreatWeight {
  /** Scores of the levels. */
  readonly score: Readonly<Record<Exclude<ThreatLevel, 'disable'>, number>>;
  /** Level of each kind of outcome; `disable` leaves crscore, craction and crlevel out. */
  readonly level: Readonly<Record<Exclude<Outcome['kind'], 'file-filter'>, ThreatLevel>>;
}

export const DEFAULT_THREAT_WEIGHT: ThreatWeight = {
  score: { low: 5, medium: 10, high: 30, critical: 50 },
  level: {
    infected: 'critical',
    scanerror: 'high',
    'filetype-executable': 'medium',
    filename: 'low',
    oversize: 'disable',
    mimefragmented: 'disable',
  },
};

/** The bit of `craction` that stands for malware; every virus sample has it alone. */
export const CRACTION_MALWARE = 2;
