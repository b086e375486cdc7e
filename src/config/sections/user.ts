/** `config user local`, `config user group`, `config authentication setting`: who may sign in to the access proxy, and whose certificates it takes. */
import { choice, names, text } from '../options.js';
import { nameKey, openSection, tableSection } from '../section.js';

export const userLocal = tableSection(
  {
    status: choice(['enable', 'disable'], 'enable'),
    type: choice(['password', 'radius', 'tacacs+', 'ldap', 'saml'], 'password'),
    passwd: text(128),
  },
  { key: nameKey(64), open: true },
);

export const userGroup = tableSection({ member: names() }, { key: nameKey(35), open: true });

/** `user-cert-ca`: the authorities that issue certificates of endpoints. */
export const authenticationSetting = openSection({ 'user-cert-ca': names() });
