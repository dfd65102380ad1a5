import { VestalError } from '../core/errors.ts'
import { FairQueue, type Queued } from '../core/fair-queue.ts'

export interface TurnsOptions {
  /** Works that run at once. */
  readonly atOnceMax: number
  /** Works that wait for their turn, of all principals. */
  readonly waitingMax: number
  /** Of these, works of one principal. */
  readonly principalWaitingMax: number
}

/** Runs works of which only so many may run at once. */
export interface Turns {
  /**
   * Runs a task when its turn comes; principals take turns.
   * @throws VestalError SUBJECT_LIMIT, QUEUE_FULL where as many wait as may; what the work throws
   */
  run<T>(principal: string, work: () => Promise<T>): Promise<T>
}

interface Waiting extends Queued {
  readonly begin: () => void
}

const RETRY = { headers: { 'retry-after': '1' } }

/** Prepares turns. */
export function createTurns({ atOnceMax, waitingMax, principalWaitingMax }: TurnsOptions): Turns {
  const queue = new FairQueue<Waiting>()
  const waitingOf = new Map<string, number>()
  let running = 0
  const wait = (principal: string): Promise<void> => {
    const own = waitingOf.get(principal) ?? 0
    if (own >= principalWaitingMax) throw new VestalError('SUBJECT_LIMIT', RETRY)
    if (queue.size >= waitingMax) throw new VestalError('QUEUE_FULL', RETRY)
    waitingOf.set(principal, own + 1)
    const { promise, resolve } = Promise.withResolvers<void>()
    queue.push({ subject: principal, level: 1, cost: 1, begin: resolve })
    return promise
  }
  const next = () => {
    const waiting = queue.take()
    if (waiting === undefined) {
      running -= 1
      return
    }
    const left = (waitingOf.get(waiting.subject) ?? 1) - 1
    if (left === 0) waitingOf.delete(waiting.subject)
    else waitingOf.set(waiting.subject, left)
    // Its place is the one that becomes free.
    waiting.begin()
  }
  return {
    async run(principal, work) {
      if (running < atOnceMax) running += 1
      else await wait(principal)
      try {
        return await work()
      } finally {
        next()
      }
    },
  }
}
