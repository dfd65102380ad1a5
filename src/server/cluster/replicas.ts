import { authorityOf } from '../../core/authority.ts'
import type { Address } from '../../platform/taken-port.ts'
import type { ChildProcess } from './child-process.ts'
import { type ListeningSocket, openListeningSocket } from './shared-port.ts'

/** One of the HTTP servers behind the shared port: a listening socket, and the process that serves it until another replaces that process. */
export interface Replica {
  readonly number: number
  /** The process that serves; undefined from its end until a replacement listens. */
  child?: ChildProcess | undefined
  /** The supervisor keeps it open, so that pending connections outlive a process. */
  socket?: ListeningSocket | undefined
  /** The process of another replica, which accepts from the socket while this replica has no process. */
  substitute?: ChildProcess | undefined
  /** Ends in a row, each before the process had served for `STEADY_MS`. */
  failures: number
  /** Settles once the process that is starting serves, or has ended. */
  starting?: Promise<unknown> | undefined
  /** True while the restart loop tries to start a process. */
  isRestarting?: boolean
}

/** A process that has served for this long works: its end is the first of a row. */
export const STEADY_MS = 60_000

/** All replicas, and which process accepts from the socket of each. */
export class Replicas implements Iterable<Replica> {
  readonly #replicas: readonly Replica[]
  readonly #hostname: string
  readonly #scheme: string
  #port: number

  constructor(count: number, { hostname, port }: Address, scheme: 'http' | 'https') {
    this.#scheme = scheme
    this.#replicas = Array.from({ length: count }, (_, index) => ({ number: index + 1, failures: 0 }))
    this.#hostname = hostname
    this.#port = port
  }

  [Symbol.iterator](): Iterator<Replica> {
    return this.#replicas.values()
  }

  /** A process that serves; undefined where none does. */
  serving(): ChildProcess | undefined {
    return this.#serving()[0]
  }

  #serving(): readonly ChildProcess[] {
    return this.#replicas.flatMap(({ child }) => (child?.state === 'serving' ? [child] : []))
  }

  /** Sends a replica's socket to a process, which serves the replica from then on. @throws where the process ends before */
  async listen(replica: Replica, child: ChildProcess, isAnnounced: boolean): Promise<void> {
    replica.socket ??= openListeningSocket({ hostname: this.#hostname, port: this.#port })
    this.#port = replica.socket.port
    const base = `${this.#scheme}://${authorityOf(this.#hostname, this.#port)}`
    await child.listen(replica.socket, { base, isAnnounced })
    // Its end was handled while it was not yet the process of the replica.
    if (child.state === 'gone') throw new Error('the process has ended')
    replica.child = child
    replica.substitute?.release(replica.number)
    replica.substitute = undefined
    const timer = setTimeout(() => {
      if (replica.child === child) replica.failures = 0
    }, STEADY_MS)
    timer.unref()
  }

  /** Lets the process of another replica accept for one without a process: connections need not wait for the replacement, and none is lost. */
  substitute(replica: Replica): void {
    const { socket } = replica
    if (socket === undefined || replica.substitute?.state === 'serving') return
    // A process that was killed as well may still count as serving; sending to it fails.
    replica.substitute = this.#serving().find((child) => child.acceptFor(replica.number, socket))
    // Where no process serves, a connection that fails is better than one that waits for a process that fails again and again.
    if (replica.substitute === undefined && replica.failures > 0) closeSocket(replica)
  }

  /** Finds another substitute for every replica that a process was the substitute of. */
  replaceSubstitute(child: ChildProcess): void {
    for (const replica of this.#replicas) if (replica.substitute === child) this.substitute(replica)
  }

  /** Closes the sockets here; each closes for good with the processes that still accept from it. */
  close(): void {
    for (const replica of this.#replicas) closeSocket(replica)
  }
}

function closeSocket(replica: Replica): void {
  replica.socket?.close()
  replica.socket = undefined
}
