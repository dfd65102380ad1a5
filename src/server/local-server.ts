import { readFileSync } from 'node:fs'
import type { Settings } from '../config/settings.ts'
import { authorityOf } from '../core/authority.ts'

/** Milliseconds without a response after which a local server counts as stopped. */
const ASK_MS = 3000

/** Where a server listens, and under which name it answers. */
export type LocalServer = Pick<Settings, 'host' | 'port' | 'allowedHosts'> &
  Partial<Pick<Settings, 'unix' | 'tlsCert' | 'tlsKey' | 'tlsClientCa'>>

export interface AskLocalOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

/** The address at which this machine reaches the server that these settings start. */
export function localAddress({ host, port, unix, tlsCert }: LocalServer): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${tlsCert === undefined ? 'http' : 'https'}://${unix === undefined ? authorityOf(name, port) : 'localhost'}`
}

/** Sends a request to the server that these settings start, on this machine. @throws Error where none responds */
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
 * The certificate is for public names and not for loopback, so it is not checked: the request holds no secret. Where clients must present a
 * certificate, the server's own is presented.
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
