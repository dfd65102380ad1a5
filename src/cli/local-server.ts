import { readFileSync } from 'node:fs'
import type { Settings } from '../config/settings.ts'
import { authorityOf } from './authority.ts'

/** Milliseconds after which a server of this machine that says nothing counts as gone. */
const ASK_MS = 3000

/** Where a server listens, and under which name it answers. */
export type LocalServer = Pick<Settings, 'host' | 'port' | 'allowedHosts'> &
  Partial<Pick<Settings, 'unix' | 'tlsCert' | 'tlsKey' | 'tlsClientCa'>>

/** Asks the server that these settings start, on this machine. @throws Error where nobody answers */
export function askLocal(server: LocalServer, path: string): Promise<Response> {
  const { host, port, allowedHosts, unix } = server
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const scheme = server.tlsCert === undefined ? 'http' : 'https'
  const place = unix === undefined ? authorityOf(name, port) : 'localhost'
  const [allowed] = allowedHosts
  return fetch(`${scheme}://${place}${path}`, {
    signal: AbortSignal.timeout(ASK_MS),
    redirect: 'manual',
    headers: allowed === undefined ? {} : { host: allowed },
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
