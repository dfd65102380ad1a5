import { createExchangeFile } from '../../engine/instance/exchange.ts'
import type { Link } from '../../engine/remote/link.ts'
import { closeDescriptor, openSocketPair } from './c-library.ts'

/** Both ends of a link, to be handed to two processes and closed here. */
export interface LinkEnds {
  readonly http: Link
  readonly engine: Link
  readonly close: () => void
}

/** Makes what joins an HTTP process and the engine process. Where the system gives no files in memory, it has none. */
export function openLink(): LinkEnds {
  const files = [openFile(), openFile()]
  const [requests, answers] = files
  const [http, engine] = openSocketPair()
  return {
    http: { socket: http, requests, answers },
    engine: { socket: engine, requests, answers },
    close() {
      for (const descriptor of [http, engine, ...files]) if (descriptor !== undefined) closeDescriptor(descriptor)
    },
  }
}

function openFile(): number | undefined {
  try {
    return createExchangeFile().descriptor
  } catch {
    // No folder takes a file: large tensors go through the socket.
    return undefined
  }
}
