import { invariant } from '../../core/invariant.ts'
import { closeDescriptor, duplicate } from '../../platform/c-library.ts'
import type { Address } from '../../platform/taken-port.ts'
import { socketsOf } from './own-sockets.ts'

/** A listening socket that nobody accepts from here; it is open for as long as any process has it. */
export interface ListeningSocket {
  readonly descriptor: number
  readonly port: number
  /** This process has it no more. */
  readonly close: () => void
}

/**
 * Opens one of several sockets that listen on one port (SO_REUSEPORT): the kernel spreads connections over them.
 * @throws what Bun throws where it cannot listen
 */
export function openListeningSocket(address: Address): ListeningSocket {
  const before = address.port === 0 ? [] : socketsOf(address.port, 'listening')
  // Bun finds the address and listens; what it made goes on listening after it has closed its own descriptor.
  // Nobody is answered here: it is stopped before anything is accepted.
  const listener = Bun.serve({ ...address, reusePort: true, fetch: () => new Response(null, { status: 503 }) })
  const port = listener.port ?? 0
  const own = socketsOf(port, 'listening').find((descriptor) => !before.includes(descriptor))
  invariant(own !== undefined, 'a socket that listens is among those of this process')
  const descriptor = duplicate(own)
  void listener.stop(true)
  return { descriptor, port, close: () => closeDescriptor(descriptor) }
}
