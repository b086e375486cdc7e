/** Whether a configuration's doors could be opened, as far as that is seen without opening them: `inspectd check`. */
import type { Config } from '../config/config.js';
import { EndpointRegistry } from '../ztna/endpoint-registry.js';
import { membersOf } from '../ztna/rules.js';
import { AccessProxies } from './access/access-proxies.js';
import { limitsOf } from './limits-of.js';
import { routesOf } from './routes.js';

/** Throws ConfigError. */
export function checkDoors(config: Config): void {
  const registry = new EndpointRegistry();
  const { doors } = routesOf(config, membersOf(config, registry));
  new AccessProxies(config, doors, { limits: limitsOf(config), registry, denied: () => {} });
}
