/** What there is of Bun's server here: the time that a request's connection may be silent, 0 for any. */
export interface Connections {
  timeout(request: Request, seconds: number): void
}

export interface LongRequestsOptions {
  /** The server that listens; undefined in memory. */
  readonly server: () => Connections | null | undefined
  /** How long a connection may be silent, which holds again once its request is answered. */
  readonly idleSeconds: number
  /** Milliseconds between two looks at what is at hand; default 1000. */
  readonly everyMs?: number
}

/** Requests that are being worked on. */
export interface LongRequests {
  readonly begin: (request: Request) => void
  readonly end: (request: Request) => void
}

const EVERY_MS = 1000

/**
 * Keeps Bun from closing the connection of a request that takes long: to Bun it is silent, and its limit would cut it off without an
 * answer. What a request may take is limited where it is worked on. Most are answered before the first look and cost an entry in a set.
 */
export function createLongRequests({ server, idleSeconds, everyMs = EVERY_MS }: LongRequestsOptions): LongRequests {
  const atHand = new Set<Request>()
  const held = new WeakSet<Request>()
  let timer: ReturnType<typeof setInterval> | undefined
  const look = () => {
    if (atHand.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
    for (const request of atHand) {
      if (held.has(request)) continue
      held.add(request)
      server()?.timeout(request, 0)
    }
  }
  return {
    begin: (request) => {
      atHand.add(request)
      if (timer !== undefined) return
      timer = setInterval(look, everyMs)
      timer.unref()
    },
    end: (request) => {
      atHand.delete(request)
      if (held.delete(request)) server()?.timeout(request, idleSeconds)
    },
  }
}
