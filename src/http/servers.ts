import type { LiveUpgrade } from './streaming/live.ts'

/** What there is of Bun's server here. */
interface Upgrading {
  upgrade(...given: Parameters<LiveUpgrade>): boolean
}

/** The servers that one app listens with: several where it accepts in the place of a process that is gone, or has another certificate. */
export interface Servers {
  readonly add: (server: Upgrading) => void
  readonly upgrade: LiveUpgrade
}

/** What Bun throws where the request came over another server. */
const FOREIGN = 'ERR_INVALID_ARG_TYPE'

/** Prepares finding the server that a request came over: Bun upgrades a connection there alone, and does not say where that is. */
export function createServers(): Servers {
  // One that has stopped is nobody's any more.
  let servers: readonly WeakRef<Upgrading>[] = []
  return {
    add: (server) => {
      servers = [new WeakRef(server), ...servers.filter((known) => known.deref() !== undefined)]
    },
    upgrade: (request, options) => servers.some((known) => isUpgraded(known.deref(), request, options)),
  }
}

function isUpgraded(server: Upgrading | undefined, ...given: Parameters<LiveUpgrade>): boolean {
  try {
    return server?.upgrade(...given) === true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === FOREIGN) return false
    throw error
  }
}
