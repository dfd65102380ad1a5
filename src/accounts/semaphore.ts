/** Runs up to a number of tasks at once and queues up to another number; more are rejected. */
export interface Semaphore {
  /** Runs the work when a slot is free. `rejected` makes the error for a full queue. */
  run<T>(work: () => Promise<T>, rejected: () => Error): Promise<T>
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
    async run(work, rejected) {
      if (running >= atOnceMax) {
        if (waiting.length >= waitingMax) throw rejected()
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
