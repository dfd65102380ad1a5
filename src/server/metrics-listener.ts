import { SettingsError } from '../config/load.ts'
import { isLoopback } from '../core/loopback.ts'
import { EXPOSITION_TYPE, exposition } from '../telemetry/metrics/exposition.ts'
import type { FamilySnapshot } from '../telemetry/metrics/family.ts'

/**
 * Serves the metrics on a port of their own, only on this machine and without a token. A web page whose host name is
 * rebound to this address gets a 404.
 * @throws SettingsError where the port is in use
 */
export function listenForMetrics(read: () => readonly FamilySnapshot[] | Promise<readonly FamilySnapshot[]>, port: number) {
  try {
    return Bun.serve({
      hostname: '127.0.0.1',
      port,
      reusePort: false,
      fetch: async ({ method, url }) => {
        const isOurs = URL.canParse(url) && isLoopback(new URL(url).hostname) && new URL(url).pathname === '/metrics'
        if (!isOurs) return new Response('Not Found\n', { status: 404 })
        if (method !== 'GET' && method !== 'HEAD')
          return new Response('Method Not Allowed\n', { status: 405, headers: { allow: 'GET, HEAD' } })
        return new Response(exposition(await read()), { headers: { 'content-type': EXPOSITION_TYPE } })
      },
    })
  } catch {
    throw new SettingsError([`port ${port} on 127.0.0.1 is in use; choose another with --metrics-port`])
  }
}
