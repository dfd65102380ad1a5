import { isLoopback } from '../core/loopback.ts'
import type { Environment } from './load.ts'
import type { Settings } from './settings.ts'

/** `development` makes its own secret and has a sign-in without password, only on this machine; `production` does neither. */
export type Mode = 'development' | 'production'

/**
 * Production where `NODE_ENV` says so, and wherever others can reach the server. A unix socket is one of these: behind it stands a
 * proxy, whose requests say `Host: localhost` for every client.
 */
export function modeOf({ host, unix }: Pick<Settings, 'host'> & Partial<Pick<Settings, 'unix'>>, environment: Environment): Mode {
  return environment.NODE_ENV === 'production' || unix !== undefined || !isLoopback(host) ? 'production' : 'development'
}
