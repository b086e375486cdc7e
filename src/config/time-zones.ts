/** Time zones: IANA names, and the numbers that stood for them in FortiOS up to 7.2 (`set timezone 04`). */

/** Every zone that this Node knows. */
export const TIME_ZONES: readonly string[] = [...Intl.supportedValuesOf('timeZone'), 'UTC', 'Etc/UTC'];

/** The IANA zone of a FortiOS number, with or without its leading zero. */
export function zoneOfCode(code: string): string | undefined {
  return /^\d{1,2}$/.test(code) ? ZONES_BY_CODE[code.padStart(2, '0')] : undefined;
}

/**
 * FortiOS describes each number by places (04: Pacific Time); where it names several, the zone is that of the first. Numbers whose
 * meaning changed over its versions are left out.
 */
const ZONES_BY_CODE: Readonly<Record<string, string>> = {
  '01': 'Pacific/Pago_Pago',
  '02': 'Pacific/Honolulu',
  '03': 'America/Anchorage',
  '04': 'America/Los_Angeles',
  '05': 'America/Phoenix',
  '06': 'America/Denver',
  '07': 'America/Guatemala',
  '08': 'America/Chicago',
  '09': 'America/Mexico_City',
  '10': 'America/Regina',
  '11': 'America/Bogota',
  '12': 'America/New_York',
  '13': 'America/Indiana/Indianapolis',
  '14': 'America/Halifax',
  '15': 'America/La_Paz',
  '16': 'America/Santiago',
  '17': 'America/St_Johns',
  '18': 'America/Sao_Paulo',
  '19': 'America/Argentina/Buenos_Aires',
  '20': 'America/Nuuk',
  '21': 'Atlantic/South_Georgia',
  '22': 'Atlantic/Azores',
  '23': 'Atlantic/Cape_Verde',
  '24': 'Africa/Monrovia',
  '25': 'Europe/London',
  '26': 'Europe/Amsterdam',
  '27': 'Europe/Belgrade',
  '28': 'Europe/Brussels',
  '29': 'Europe/Sarajevo',
  '30': 'Africa/Lagos',
  '31': 'Europe/Athens',
  '32': 'Europe/Bucharest',
  '33': 'Africa/Cairo',
  '34': 'Africa/Harare',
  '35': 'Europe/Helsinki',
  '36': 'Asia/Jerusalem',
  '37': 'Asia/Baghdad',
  '38': 'Asia/Kuwait',
  '39': 'Europe/Moscow',
  '40': 'Africa/Nairobi',
  '41': 'Asia/Tehran',
  '42': 'Asia/Dubai',
  '43': 'Asia/Baku',
  '44': 'Asia/Kabul',
  '45': 'Asia/Yekaterinburg',
  '46': 'Asia/Karachi',
  '47': 'Asia/Kolkata',
  '48': 'Asia/Kathmandu',
  '50': 'Asia/Dhaka',
  '51': 'Asia/Colombo',
  '52': 'Asia/Yangon',
  '53': 'Asia/Bangkok',
  '54': 'Asia/Krasnoyarsk',
  '55': 'Asia/Shanghai',
  '56': 'Asia/Ulaanbaatar',
  '57': 'Asia/Kuala_Lumpur',
  '58': 'Australia/Perth',
  '59': 'Asia/Taipei',
  '60': 'Asia/Tokyo',
  '61': 'Asia/Seoul',
  '62': 'Australia/Adelaide',
  '63': 'Australia/Darwin',
  '65': 'Australia/Brisbane',
  '66': 'Australia/Sydney',
  '68': 'Australia/Hobart',
  '72': 'Pacific/Auckland',
  '74': 'America/Caracas',
  '80': 'Etc/GMT',
};
