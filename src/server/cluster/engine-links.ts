import { invariant } from '../../core/invariant.ts'
import { AREA_BYTES } from '../../inference/remote/exchange-area.ts'
import type { Link } from '../../inference/remote/link.ts'
import { closeDescriptor, openSocketPair, receiveDescriptor } from '../../platform/c-library.ts'
import { openNameless } from '../../processes/nameless-file.ts'

/** Both ends of a link, which are sent to two processes and then closed here. */
export interface LinkEnds {
  readonly http: Link
  readonly engine: Link
  readonly close: () => void
}

/** Opens a link between an HTTP process and the engine process. It has no files where the system gives none in memory. */
export function openLink(): LinkEnds {
  // Both or none, so that the number of descriptors says which they are.
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
    for (let count = 0; count < 2; count += 1) files.push(openNameless(AREA_BYTES))
    return files
  } catch {
    // There is no folder for a file in memory: large tensors go through the socket.
    for (const descriptor of files) closeDescriptor(descriptor)
    return []
  }
}

/** Receives one end of a link, which the supervisor has sent through a local socket. */
export function receiveLink(from: number, files: number): Link {
  const [socket, requests, answers] = Array.from({ length: 1 + files }, () => receiveDescriptor(from))
  invariant(socket !== undefined, 'a link has a socket')
  return { socket, requests, answers }
}

/** Closes an end that is not used. */
export function closeLink({ socket, requests, answers }: Link): void {
  for (const descriptor of [socket, requests, answers]) if (descriptor !== undefined) closeDescriptor(descriptor)
}
