/** `config vpn certificate ca` and `config vpn certificate local`: PEM texts in quotes, as FortiOS writes them. */
import { text } from '../options.js';
import { nameKey, tableSection } from '../section.js';
import { elsewhere } from './firewall-policy.js';

const PEM = 65_536;

export const vpnCertificateCa = tableSection(
  { ca: text(PEM), ...elsewhere(['range', 'source', 'ssl-inspection-trusted', 'scep-url', 'last-updated'] as const) },
  { key: nameKey(79) },
);

export const vpnCertificateLocal = tableSection(
  {
    certificate: text(PEM),
    'private-key': text(PEM),
    password: text(128),
    comments: text(511),
    ...elsewhere(['range', 'source', 'last-updated', 'scep-url', 'enroll-protocol', 'csr', 'state'] as const),
  },
  { key: nameKey(35) },
);
