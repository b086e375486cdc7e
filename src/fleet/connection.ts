/** Connections to Redis: the address is the user's, and its password never comes back in a message. */
import { Redis } from 'ioredis';
import { ConfigError, SourceError } from '../core/errors.js';

/** `redis://127.0.0.1:6379`, without user and password. */
export function shownUrl(url: string): string {
  const parsed = new URL(url);
  return `${parsed.protocol}//${parsed.host}${parsed.pathname === '/' ? '' : parsed.pathname}`;
}

/** Connected, and tries again for ever when it is lost. Rejects with ConfigError (no such address) or SourceError (nobody answers). */
export async function connectRedis(url: string): Promise<Redis> {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol))
    throw new ConfigError('--redis: give redis://HOST:PORT or rediss://USER:PASSWORD@HOST:PORT/DATABASE');
  let connected = false;
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: null,
    // The first failure is told at once; later ones mend themselves.
    retryStrategy: (times) => (connected ? Math.min(5_000, times * 200) : null),
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    await redis.ping();
    connected = true;
  } catch (cause) {
    redis.disconnect();
    throw new SourceError(`${shownUrl(url)}: Redis does not answer: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    });
  }
  return redis;
}
