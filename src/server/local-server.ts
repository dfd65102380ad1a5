import { readFileSync } from 'node:fs'
import type { Settings } from '../config/settings.ts'
import { authorityOf } from '../core/authority.ts'

/** Milliseconds after which a server of this machine that says nothing counts as gone. */
const ASK_MS = 3000

/** Where a server listens, and under which name it answers. */
export type LocalServer = Pick<Settings, 'host' | 'port' | 'allowedHosts'> &
  Partial<Pick<Settings, 'unix' | 'tlsCert' | 'tlsKey' | 'tlsClientCa'>>

export interface AskLocalOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

/** Where the server that these settings start is asked on this machine. */
export function localAddress({ host, port, unix, tlsCert }: LocalServer): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${tlsCert === undefined ? 'http' : 'https'}://${unix === undefined ? authorityOf(name, port) : 'localhost'}`
}

/** Asks the server that these settings start, on this machine. @throws Error where no server answers */
export function askLocal(server: LocalServer, path: string, options: AskLocalOptions = {}): Promise<Response> {
  const { allowedHosts, unix } = server
  const [allowed] = allowedHosts
  return fetch(`${localAddress(server)}${path}`, {
    signal: AbortSignal.timeout(options.timeoutMs ?? ASK_MS),
    redirect: 'manual',
    headers: { ...options.headers, ...(allowed !== undefined && { host: allowed }) },
    ...(unix !== undefined && { unix }),
    ...(server.tlsCert !== undefined && { tls: tlsOf(server) }),
  })
}

/**
 * The certificate is for the names of clients, and this machine goes by another: nothing is told to the server that others may not hear, so it is not
 * checked. Where clients must show one, the server's own is shown.
 */
function tlsOf({ tlsCert, tlsKey, tlsClientCa }: LocalServer): TlsOptions {
  const isAsked = tlsClientCa !== undefined && tlsCert !== undefined && tlsKey !== undefined
  return {
    rejectUnauthorized: false,
    ...(isAsked && { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') }),
  }
}

interface TlsOptions {
  readonly rejectUnauthorized: boolean
  readonly cert?: string
  readonly key?: string
}
