import { invariant } from '../../core/invariant.ts'
import { closeDescriptor, duplicateAt, watchNoMore, watchReadable } from '../../platform/c-library.ts'
import { socketsOf, watcherOf } from './own-sockets.ts'

/** A server of Bun that accepts from sockets that another process opened. */
export interface AdoptedListener {
  /** Accepts from a socket, in the place of whatever it accepted from. */
  readonly adopt: (descriptor: number) => void
  /** Takes no connection from now on; those that are there go on, and so does the socket, with whoever else has it. */
  readonly stopAccepting: () => void
  readonly isAccepting: boolean
}

/**
 * Prepares to put listening sockets in the place of the one that a server of Bun listens on. Bun cannot be given one, but it knows its own by
 * a descriptor alone: another open file takes that descriptor over, and is watched under the same word.
 */
export function createAdoptedListener(server: { readonly port: number }): AdoptedListener {
  const [own] = socketsOf(server.port, 'listening')
  invariant(own !== undefined, 'a server that listens has a socket')
  const watcher = watcherOf(own)
  invariant(watcher !== undefined, 'a socket that is accepted from is watched')
  const { epoll, word } = watcher
  let isAccepting = true
  const stopAccepting = () => {
    // What is watched is the open file: while another process has it, closing it here would not end that.
    if (isAccepting) watchNoMore(epoll, own)
    isAccepting = false
  }
  return {
    stopAccepting,
    get isAccepting() {
      return isAccepting
    },
    adopt(descriptor) {
      stopAccepting()
      duplicateAt(descriptor, own)
      closeDescriptor(descriptor)
      watchReadable(epoll, own, word)
      isAccepting = true
    },
  }
}
