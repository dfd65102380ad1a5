import { isLoopback } from '../core/loopback.ts'
import type { Environment } from './load.ts'

/** `development` makes its own secret and signs anybody in, on this machine alone; `production` does neither. */
export type Mode = 'development' | 'production'

/** Production where `NODE_ENV` says so, and wherever others can reach the server. */
export function modeOf(host: string, environment: Environment): Mode {
  return environment.NODE_ENV === 'production' || !isLoopback(host) ? 'production' : 'development'
}
