/**
 * Cipher suites by their IANA numbers and names (RFC 5246 §A.5, 5288, 5289, 5932, 6209, 6367, 6655, 7251, 7905, 8446 §B.4). What a suite does is read off its name, as
 * the registry forms them.
 */

export interface CipherSuite {
  /** As IANA names it. */
  readonly name: string;
  /** Undefined: nothing is encrypted. */
  readonly cipher: BulkCipher | undefined;
  /** Of the record's MAC; undefined for ciphers that authenticate. */
  readonly mac: 'md5' | 'sha1' | 'sha256' | 'sha384' | undefined;
  /** Of the key schedule. */
  readonly hash: 'sha256' | 'sha384';
}

export interface BulkCipher {
  readonly mode: 'gcm' | 'ccm' | 'chacha20-poly1305' | 'cbc';
  /** As OpenSSL names it. */
  readonly name: string;
  /** Bytes. */
  readonly keyLength: number;
  /** Of an authentication tag; 0 for CBC. */
  readonly tagLength: number;
  /** Of a block; 0 for ciphers that have none. */
  readonly block: number;
}

/** The suite of a number; undefined when it is unknown, or one that nobody should use any more and that is not read here (RC4, export). */
export function cipherSuite(id: number): CipherSuite | undefined {
  const name = NAMES.get(id);
  return name === undefined ? undefined : suiteOf(name);
}

/** Its name, or its number as logs write it: `0x1302`. */
export function suiteName(id: number): string {
  return NAMES.get(id) ?? `0x${id.toString(16).padStart(4, '0')}`;
}

function suiteOf(name: string): CipherSuite | undefined {
  const parts =
    /^TLS_(?:[A-Za-z0-9_]+_WITH_)?(NULL|3DES_EDE|AES_128|AES_256|CHACHA20|CAMELLIA_128|CAMELLIA_256|ARIA_128|ARIA_256)(?:_(CBC|GCM|CCM_8|CCM|POLY1305))?(?:_(MD5|SHA|SHA256|SHA384))?$/.exec(
      name,
    );
  if (parts === null) return undefined;
  const [, algorithm = '', mode = '', digest = ''] = parts;
  const hash = digest === 'SHA384' ? 'sha384' : 'sha256';
  const keyLength = algorithm.endsWith('128') ? 16 : algorithm === '3DES_EDE' ? 24 : 32;
  const family = algorithm.split('_', 1)[0]?.toLowerCase() ?? '';
  const bits = keyLength * 8;
  switch (mode) {
    case 'GCM':
      return {
        name,
        cipher: { mode: 'gcm', name: `${family}-${bits}-gcm`, keyLength, tagLength: 16, block: 0 },
        mac: undefined,
        hash,
      };
    case 'CCM':
    case 'CCM_8':
      return {
        name,
        cipher: { mode: 'ccm', name: `${family}-${bits}-ccm`, keyLength, tagLength: mode === 'CCM' ? 16 : 8, block: 0 },
        mac: undefined,
        hash,
      };
    case 'POLY1305':
      return {
        name,
        cipher: { mode: 'chacha20-poly1305', name: 'chacha20-poly1305', keyLength, tagLength: 16, block: 0 },
        mac: undefined,
        hash,
      };
    case 'CBC': {
      const triple = algorithm === '3DES_EDE';
      const cipher = triple
        ? 'des-ede3-cbc'
        : `${family}${family === 'aes' || family === 'aria' || family === 'camellia' ? '-' : ''}${bits}-cbc`;
      return {
        name,
        cipher: { mode: 'cbc', name: cipher, keyLength, tagLength: 0, block: triple ? 8 : 16 },
        mac: macOf(digest),
        hash,
      };
    }
    case '':
      return algorithm === 'NULL' ? { name, cipher: undefined, mac: macOf(digest), hash } : undefined;
    default:
      return undefined;
  }
}

function macOf(digest: string): 'md5' | 'sha1' | 'sha256' | 'sha384' {
  return digest === 'MD5' ? 'md5' : digest === 'SHA256' ? 'sha256' : digest === 'SHA384' ? 'sha384' : 'sha1';
}

const NAMES = new Map<number, string>();

/** Numbers that follow each other, of suites named alike. */
function names(first: number, list: string): void {
  list.split(' ').forEach((name, index) => {
    if (name !== '-') NAMES.set(first + index, `TLS_${name}`);
  });
}

names(0x0001, 'RSA_WITH_NULL_MD5 RSA_WITH_NULL_SHA');
names(0x000a, 'RSA_WITH_3DES_EDE_CBC_SHA');
names(0x0013, 'DHE_DSS_WITH_3DES_EDE_CBC_SHA');
names(0x0016, 'DHE_RSA_WITH_3DES_EDE_CBC_SHA');
names(0x001b, 'DH_anon_WITH_3DES_EDE_CBC_SHA');
names(
  0x002f,
  'RSA_WITH_AES_128_CBC_SHA DH_DSS_WITH_AES_128_CBC_SHA DH_RSA_WITH_AES_128_CBC_SHA DHE_DSS_WITH_AES_128_CBC_SHA DHE_RSA_WITH_AES_128_CBC_SHA ' +
    'DH_anon_WITH_AES_128_CBC_SHA RSA_WITH_AES_256_CBC_SHA DH_DSS_WITH_AES_256_CBC_SHA DH_RSA_WITH_AES_256_CBC_SHA ' +
    'DHE_DSS_WITH_AES_256_CBC_SHA DHE_RSA_WITH_AES_256_CBC_SHA DH_anon_WITH_AES_256_CBC_SHA RSA_WITH_NULL_SHA256 ' +
    'RSA_WITH_AES_128_CBC_SHA256 RSA_WITH_AES_256_CBC_SHA256 DH_DSS_WITH_AES_128_CBC_SHA256 DH_RSA_WITH_AES_128_CBC_SHA256 ' +
    'DHE_DSS_WITH_AES_128_CBC_SHA256 RSA_WITH_CAMELLIA_128_CBC_SHA DH_DSS_WITH_CAMELLIA_128_CBC_SHA DH_RSA_WITH_CAMELLIA_128_CBC_SHA ' +
    'DHE_DSS_WITH_CAMELLIA_128_CBC_SHA DHE_RSA_WITH_CAMELLIA_128_CBC_SHA DH_anon_WITH_CAMELLIA_128_CBC_SHA',
);
names(
  0x0067,
  'DHE_RSA_WITH_AES_128_CBC_SHA256 DH_DSS_WITH_AES_256_CBC_SHA256 DH_RSA_WITH_AES_256_CBC_SHA256 DHE_DSS_WITH_AES_256_CBC_SHA256 ' +
    'DHE_RSA_WITH_AES_256_CBC_SHA256 DH_anon_WITH_AES_128_CBC_SHA256 DH_anon_WITH_AES_256_CBC_SHA256',
);
names(
  0x0084,
  'RSA_WITH_CAMELLIA_256_CBC_SHA DH_DSS_WITH_CAMELLIA_256_CBC_SHA DH_RSA_WITH_CAMELLIA_256_CBC_SHA DHE_DSS_WITH_CAMELLIA_256_CBC_SHA ' +
    'DHE_RSA_WITH_CAMELLIA_256_CBC_SHA DH_anon_WITH_CAMELLIA_256_CBC_SHA',
);
names(
  0x009c,
  'RSA_WITH_AES_128_GCM_SHA256 RSA_WITH_AES_256_GCM_SHA384 DHE_RSA_WITH_AES_128_GCM_SHA256 DHE_RSA_WITH_AES_256_GCM_SHA384 ' +
    'DH_RSA_WITH_AES_128_GCM_SHA256 DH_RSA_WITH_AES_256_GCM_SHA384 DHE_DSS_WITH_AES_128_GCM_SHA256 DHE_DSS_WITH_AES_256_GCM_SHA384 ' +
    'DH_DSS_WITH_AES_128_GCM_SHA256 DH_DSS_WITH_AES_256_GCM_SHA384 DH_anon_WITH_AES_128_GCM_SHA256 DH_anon_WITH_AES_256_GCM_SHA384',
);
for (const [first, cipher] of [
  [0x00ba, 'CAMELLIA_128_CBC_SHA256'],
  [0x00c0, 'CAMELLIA_256_CBC_SHA256'],
] as const)
  names(
    first,
    ['RSA', 'DH_DSS', 'DH_RSA', 'DHE_DSS', 'DHE_RSA', 'DH_anon'].map((each) => `${each}_WITH_${cipher}`).join(' '),
  );
names(0x1301, 'AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256 AES_128_CCM_SHA256 AES_128_CCM_8_SHA256');
for (const [first, exchange] of [
  [0xc001, 'ECDH_ECDSA'],
  [0xc006, 'ECDHE_ECDSA'],
  [0xc00b, 'ECDH_RSA'],
  [0xc010, 'ECDHE_RSA'],
  [0xc015, 'ECDH_anon'],
] as const)
  names(
    first,
    ['NULL_SHA', '-', '3DES_EDE_CBC_SHA', 'AES_128_CBC_SHA', 'AES_256_CBC_SHA']
      .map((cipher) => (cipher === '-' ? '-' : `${exchange}_WITH_${cipher}`))
      .join(' '),
  );
for (const [first, exchange] of [
  [0xc023, 'ECDHE_ECDSA'],
  [0xc025, 'ECDH_ECDSA'],
  [0xc027, 'ECDHE_RSA'],
  [0xc029, 'ECDH_RSA'],
] as const) {
  names(first, `${exchange}_WITH_AES_128_CBC_SHA256 ${exchange}_WITH_AES_256_CBC_SHA384`);
  names(first + 8, `${exchange}_WITH_AES_128_GCM_SHA256 ${exchange}_WITH_AES_256_GCM_SHA384`);
}
for (const [first, exchange] of [
  [0xc050, 'RSA'],
  [0xc052, 'DHE_RSA'],
  [0xc054, 'DH_RSA'],
  [0xc056, 'DHE_DSS'],
  [0xc058, 'DH_DSS'],
  [0xc05a, 'DH_anon'],
  [0xc05c, 'ECDHE_ECDSA'],
  [0xc05e, 'ECDH_ECDSA'],
  [0xc060, 'ECDHE_RSA'],
  [0xc062, 'ECDH_RSA'],
] as const)
  names(first, `${exchange}_WITH_ARIA_128_GCM_SHA256 ${exchange}_WITH_ARIA_256_GCM_SHA384`);
for (const [first, exchange] of [
  [0xc072, 'ECDHE_ECDSA'],
  [0xc074, 'ECDH_ECDSA'],
  [0xc076, 'ECDHE_RSA'],
  [0xc078, 'ECDH_RSA'],
] as const)
  names(first, `${exchange}_WITH_CAMELLIA_128_CBC_SHA256 ${exchange}_WITH_CAMELLIA_256_CBC_SHA384`);
names(
  0xc09c,
  'RSA_WITH_AES_128_CCM RSA_WITH_AES_256_CCM DHE_RSA_WITH_AES_128_CCM DHE_RSA_WITH_AES_256_CCM RSA_WITH_AES_128_CCM_8 ' +
    'RSA_WITH_AES_256_CCM_8 DHE_RSA_WITH_AES_128_CCM_8 DHE_RSA_WITH_AES_256_CCM_8',
);
names(
  0xc0ac,
  'ECDHE_ECDSA_WITH_AES_128_CCM ECDHE_ECDSA_WITH_AES_256_CCM ECDHE_ECDSA_WITH_AES_128_CCM_8 ECDHE_ECDSA_WITH_AES_256_CCM_8',
);
names(
  0xcca8,
  'ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 DHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
);
