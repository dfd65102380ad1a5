import type { Engine } from '../engine/engine.ts'
import { isOff } from '../engine/repository/describe.ts'

/** Where the server stands: `serving`, replaced by another process, or on its way out. */
export type Phase = 'serving' | 'draining' | 'stopping'

/** Whether the server takes requests, and why it does not. */
export interface Readiness {
  readonly phase: Phase
  isReady(): boolean
  /** What is not as it should be, in words that are safe to show to those who may see it. */
  reasons(): readonly string[]
  /** Another process serves in its place: it stays ready, and asks for each connection to be closed. */
  drain(): void
  /** Ready is off from now on, while requests are still answered: load balancers are to look elsewhere first. */
  stop(): void
}

export interface ReadinessOptions {
  /** Whether a model that is not ready makes the server unready, unless somebody took it off; default false. */
  readonly isStrict?: boolean
}

/** Follows the engine until the server is told to stop. */
export function createReadiness(engine: Engine, { isStrict = false }: ReadinessOptions = {}): Readiness {
  let phase: Phase = 'serving'
  const hasAll = () => engine.models().every(({ versions }) => versions.every((each) => each.state === 'ready' || isOff(each)))
  return {
    get phase() {
      return phase
    },
    isReady: () => phase !== 'stopping' && engine.isReady() && (!isStrict || hasAll()),
    reasons: () => [
      ...(phase === 'stopping' ? ['the server is stopping'] : []),
      ...(engine.isReady() ? [] : ['the engine takes no work']),
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
    },
    stop: () => {
      phase = 'stopping'
    },
  }
}
