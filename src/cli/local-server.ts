import type { Settings } from '../config/settings.ts'

/** Milliseconds after which a server of this machine that says nothing counts as gone. */
const ASK_MS = 3000

/** Asks the server that these settings start, on this machine. @throws Error where nobody answers */
export function askLocal(
  { host, port, allowedHosts }: Pick<Settings, 'host' | 'port' | 'allowedHosts'>,
  path: string,
): Promise<Response> {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const base = `http://${name.includes(':') ? `[${name}]` : name}:${port}`
  const [allowed] = allowedHosts
  const headers = allowed === undefined ? {} : { host: allowed }
  return fetch(base + path, { signal: AbortSignal.timeout(ASK_MS), redirect: 'manual', headers })
}
