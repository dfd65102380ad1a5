import type { Engine } from '../inference/engine.ts'
import { isOff } from '../inference/repository/describe.ts'

/** Where the server stands: `serving`, replaced by another process, or on its way out. */
export type Phase = 'serving' | 'draining' | 'stopping'

/** Connections that stay open: sockets until one side closes them, streams until their body ends. */
export type LongLived = 'socket' | 'stream'

/** Whether the server takes requests, and why it does not. */
export interface Readiness {
  readonly phase: Phase
  isReady(): boolean
  /** What is not as it should be, in words that are safe to show to those who may see it. */
  reasons(): readonly string[]
  /** Another process serves in its place: it stays ready, asks for each connection to be closed, and ends sockets. */
  drain(): void
  /** Ready is off from now on, while requests are still answered: load balancers are to look elsewhere first. */
  stop(): void
  /** Requests are taken no more: sockets and streams end. */
  leave(): void
  /** Calls back when sockets or streams are to end, at once where they are already. Gives what takes that back. */
  whenEnding(what: LongLived, listener: () => void): () => void
}

export interface ReadinessOptions {
  /** Whether a model that is not ready, unless it was unloaded, or one of `faults` makes the server unready; default false. */
  readonly isStrict?: boolean
  /** Why something beside the models cannot be used, such as a database; it makes the server unready where that is strict. */
  readonly faults?: () => readonly string[]
}

/** Follows the engine until the server stops. */
export function createReadiness(engine: Engine, { isStrict = false, faults = () => [] }: ReadinessOptions = {}): Readiness {
  let phase: Phase = 'serving'
  const hasAll = () => engine.models().every(({ versions }) => versions.every((each) => each.state === 'ready' || isOff(each)))
  const endings = { socket: createEnding(), stream: createEnding() }
  return {
    get phase() {
      return phase
    },
    isReady: () => phase !== 'stopping' && engine.isReady() && (!isStrict || (hasAll() && faults().length === 0)),
    reasons: () => [
      ...(phase === 'stopping' ? ['the server is stopping'] : []),
      ...(engine.isReady() ? [] : ['the engine takes no work']),
      ...faults(),
      ...engine.troubles(),
      ...engine
        .models()
        .flatMap(({ name, versions }) =>
          versions
            .filter((version) => version.state !== 'ready' && !isOff(version))
            .map(
              ({ version, state, reason }) =>
                `${name} version ${version} is ${state}${reason === undefined ? '' : `: ${reason}`}`,
            ),
        ),
    ],
    drain: () => {
      if (phase === 'serving') phase = 'draining'
      endings.socket.begin()
    },
    stop: () => {
      phase = 'stopping'
    },
    leave: () => {
      endings.socket.begin()
      endings.stream.begin()
    },
    whenEnding: (what, listener) => endings[what].listen(listener),
  }
}

/** An event that happens once, and its listeners. */
function createEnding() {
  const listeners = new Set<() => void>()
  let hasBegun = false
  return {
    begin() {
      hasBegun = true
      for (const listener of [...listeners]) listener()
      listeners.clear()
    },
    listen(listener: () => void) {
      if (hasBegun) listener()
      else listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
