/** Lets a number of pieces of work run at once and a number wait; more are refused. */
export interface Semaphore {
  /** Runs the work when there is room. `refuse` makes the error where even the waiting room is full. */
  run<T>(work: () => Promise<T>, refuse: () => Error): Promise<T>
}

/** Prepares a semaphore. */
export function createSemaphore({
  atOnceMax,
  waitingMax,
}: {
  readonly atOnceMax: number
  readonly waitingMax: number
}): Semaphore {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(work, refuse) {
      if (running >= atOnceMax) {
        if (waiting.length >= waitingMax) throw refuse()
        // Whoever ends hands its place over, so `running` stays as it is.
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running += 1
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}
