import { authorityOf } from '../../core/authority.ts'
import type { Address } from '../../platform/taken-port.ts'
import { type ListeningSocket, openListeningSocket } from './listening-socket.ts'
import type { MemberProcess } from './member-process.ts'

/** The place of one process; another takes it when that one ends or is replaced. */
export interface Place {
  readonly number: number
  member?: MemberProcess | undefined
  /** Kept open by the supervisor, so that what waits in it outlives a process. */
  socket?: ListeningSocket | undefined
  /** Who accepts from it while nobody is in the place. */
  rescuer?: MemberProcess | undefined
  /** Ends in a row, each before the process had served for `STEADY_MS`. */
  failures: number
  /** Settles once the process that is started for this place serves, or has ended. */
  filling?: Promise<unknown> | undefined
  /** True while another is tried for as long as nobody is in the place. */
  isKept?: boolean
}

/** A process that served for this long was right: its end is the first of a row. */
const STEADY_MS = 60_000

/** The places of all processes, and who accepts from the socket of each. */
export class Places implements Iterable<Place> {
  readonly #places: readonly Place[]
  readonly #hostname: string
  readonly #scheme: string
  #port: number

  constructor(count: number, { hostname, port }: Address, scheme: 'http' | 'https') {
    this.#scheme = scheme
    this.#places = Array.from({ length: count }, (_, index) => ({ number: index + 1, failures: 0 }))
    this.#hostname = hostname
    this.#port = port
  }

  [Symbol.iterator](): Iterator<Place> {
    return this.#places.values()
  }

  /** A process that serves; undefined where none does. */
  serving(): MemberProcess | undefined {
    return this.#serving()[0]
  }

  #serving(): readonly MemberProcess[] {
    return this.#places.flatMap(({ member }) => (member?.state === 'serving' ? [member] : []))
  }

  /** Hands a place's socket to a process, which is the one that serves there from then on. @throws where it ends before */
  async listen(place: Place, member: MemberProcess, isAnnounced: boolean): Promise<void> {
    place.socket ??= openListeningSocket({ hostname: this.#hostname, port: this.#port })
    this.#port = place.socket.port
    const base = `${this.#scheme}://${authorityOf(this.#hostname, this.#port)}`
    await member.listen(place.socket, { base, isAnnounced })
    // Its end was told of before it was the one whose end counts.
    if (member.state === 'gone') throw new Error('the process has ended')
    place.member = member
    place.rescuer?.release(place.number)
    place.rescuer = undefined
    const timer = setTimeout(() => {
      if (place.member === member) place.failures = 0
    }, STEADY_MS)
    timer.unref()
  }

  /** Has another process accept what comes to a place where there is none: connections need not wait for the next, and none is lost. */
  rescue(place: Place): void {
    const { socket } = place
    if (socket === undefined || place.rescuer?.state === 'serving') return
    // One that is killed as well may not be known to be gone, and takes nothing.
    place.rescuer = this.#serving().find((member) => member.rescue(place.number, socket))
    // Where nobody serves, a client is better refused than kept waiting for a process that fails again and again.
    if (place.rescuer === undefined && place.failures > 0) closeSocket(place)
  }

  /** Does so for every place that a process has helped at, which helps no more. */
  rescueAfter(member: MemberProcess): void {
    for (const place of this.#places) if (place.rescuer === member) this.rescue(place)
  }

  /** Sockets close with the processes that still accept from them. */
  close(): void {
    for (const place of this.#places) closeSocket(place)
  }
}

function closeSocket(place: Place): void {
  place.socket?.close()
  place.socket = undefined
}
