import { type AdoptedListener, createAdoptedListener } from './adopted-listener.ts'
import { socketsOf } from './own-sockets.ts'

/** Opens a server of the same app on this machine alone, whose socket another takes the place of. */
export type OpenInside = () => { readonly port: number }

/** What a process accepts from: the socket of its own place, and those of places whose process is gone. */
export interface MemberListeners {
  readonly take: (place: number, descriptor: number) => void
  /** Another process accepts for that place now. */
  readonly release: (place: number) => void
  readonly stopAccepting: () => void
  /** Connections of this process to the port that all share. */
  readonly connections: () => number
}

/** Prepares accepting on a port that several processes share. */
export function createMemberListeners(open: OpenInside, port: number): MemberListeners {
  const listeners: AdoptedListener[] = []
  const byPlace = new Map<number, AdoptedListener>()
  const idle = () => listeners.find(({ isAccepting }) => !isAccepting)
  const another = () => {
    const listener = createAdoptedListener(open())
    listeners.push(listener)
    return listener
  }
  return {
    take(place, descriptor) {
      const listener = idle() ?? another()
      listener.adopt(descriptor)
      byPlace.set(place, listener)
    },
    release(place) {
      byPlace.get(place)?.stopAccepting()
      byPlace.delete(place)
    },
    stopAccepting() {
      for (const { stopAccepting } of listeners) stopAccepting()
    },
    connections: () => socketsOf(port, 'connected').length,
  }
}
