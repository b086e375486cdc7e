/** TLS-020: as many server names as one likes, each a handshake of its own; certificates are kept up to a bound, and memory follows it. */
import { Client } from './client.js';
import type { SoakOptions, SoakResult } from './soak.js';
import { memoryOf, scene } from './stage.js';

const WIDE = 16;

export async function handshakes({ count = 100_000, seconds = 120 }: SoakOptions): Promise<SoakResult> {
  const { port, seen, end } = await scene({ workers: 2, tls: true });
  const began = performance.now();
  const stop = Date.now() + seconds * 1000;
  let done = 0;
  let failed = 0;
  let next = 0;
  await Promise.all(
    Array.from({ length: WIDE }, async () => {
      while (next < count && Date.now() < stop) {
        const client = new Client(port, { servername: `host-${next++}.example.com` });
        if ((await client.reply()) === undefined) failed++;
        else done++;
        client.socket.destroy();
      }
    }),
  );
  const took = (performance.now() - began) / 1000;
  const rssMb = memoryOf(seen);
  await end();
  return {
    ok: failed === 0 && rssMb.end <= 1.5 * rssMb.middle,
    figures: { handshakes: done, failed, seconds: Math.round(took), perSecond: Math.round(done / took), rssMb },
  };
}
