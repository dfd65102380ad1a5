import { invariant } from '../../core/invariant.ts'
import { openNameless } from '../../inference/instance/exchange.ts'
import type { Link } from '../../inference/remote/link.ts'
import { closeDescriptor, openSocketPair, receiveDescriptor } from '../../platform/c-library.ts'

/** Both ends of a link, to be handed to two processes and closed here. */
export interface LinkEnds {
  readonly http: Link
  readonly engine: Link
  readonly close: () => void
}

/** Makes what joins an HTTP process and the engine process. Where the system gives no files in memory, it has none. */
export function openLink(): LinkEnds {
  // Both or none: the number of descriptors says which are there.
  const files = openFiles()
  const [requests, answers] = files
  const [http, engine] = openSocketPair()
  return {
    http: { socket: http, requests, answers },
    engine: { socket: engine, requests, answers },
    close() {
      for (const descriptor of [http, engine, ...files]) closeDescriptor(descriptor)
    },
  }
}

function openFiles(): readonly number[] {
  const files: number[] = []
  try {
    for (let count = 0; count < 2; count += 1) files.push(openNameless())
    return files
  } catch {
    // No folder takes a file: large tensors go through the socket.
    for (const descriptor of files) closeDescriptor(descriptor)
    return []
  }
}

/** Takes one end of a link that the supervisor has sent through a local socket. */
export function receiveLink(from: number, files: number): Link {
  const [socket, requests, answers] = Array.from({ length: 1 + files }, () => receiveDescriptor(from))
  invariant(socket !== undefined, 'a link has a socket')
  return { socket, requests, answers }
}

/** Closes an end that is not used. */
export function closeLink({ socket, requests, answers }: Link): void {
  for (const descriptor of [socket, requests, answers]) if (descriptor !== undefined) closeDescriptor(descriptor)
}
