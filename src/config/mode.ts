import type { Environment } from './load.ts'

/** `development` makes its own secret and signs anybody in, on this machine alone; `production` does neither. */
export type Mode = 'development' | 'production'

/** True when only this machine can reach the address: 127.0.0.0/8, ::1 and `localhost` (RFC 6761 §6.3). */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name === '::1' || /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(name)
}

/** Production where `NODE_ENV` says so, and wherever others can reach the server. */
export function modeOf(host: string, environment: Environment): Mode {
  return environment.NODE_ENV === 'production' || !isLoopback(host) ? 'production' : 'development'
}
