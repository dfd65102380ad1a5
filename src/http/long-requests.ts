import { type IndexedItem, IndexedSet } from '../core/indexed-set.ts'

/** What there is of Bun's server here: the time that a request's connection may be silent, 0 for any. */
export interface Connections {
  timeout(request: Request, seconds: number): void
}

/** A request that is worked on. */
export interface AtHand extends IndexedItem {
  readonly request: Request
  /** Set once its connection may be silent for as long as it takes. */
  isLong: boolean
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
  readonly begin: (one: AtHand) => void
  readonly end: (one: AtHand) => void
}

const EVERY_MS = 1000

/**
 * Keeps Bun from closing the connection of a request that takes long: to Bun it is silent, and its limit would cut it off without an
 * answer. What a request may take is limited where it is worked on. Most are answered before the first look.
 */
export function createLongRequests({ server, idleSeconds, everyMs = EVERY_MS }: LongRequestsOptions): LongRequests {
  const atHand = new IndexedSet<AtHand>()
  let timer: ReturnType<typeof setInterval> | undefined
  const look = () => {
    if (atHand.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
    for (const one of atHand.all()) {
      if (one.isLong) continue
      one.isLong = true
      server()?.timeout(one.request, 0)
    }
  }
  return {
    begin: (one) => {
      atHand.add(one)
      if (timer !== undefined) return
      timer = setInterval(look, everyMs)
      timer.unref()
    },
    end: (one) => {
      atHand.remove(one)
      if (one.isLong) server()?.timeout(one.request, idleSeconds)
    },
  }
}
