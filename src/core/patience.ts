import { VestalError } from './errors.ts'

/** Codes that say that there is no room for now. */
const FULL = new Set<string>(['QUEUE_FULL', 'SUBJECT_LIMIT', 'MEMORY_LIMIT', 'SUBJECT_MEMORY_LIMIT'])
const FIRST_WAIT_MS = 10
const WAIT_MS_MAX = 1000
/** About 20 seconds in all. */
const TRIES_MAX = 26

/**
 * Does work that a full queue may reject, and tries again while it does: a client that sends row after row is slowed down, not rejected.
 * @throws what the work throws at last; VestalError REQUEST_ABORTED once the signal aborts
 */
export async function withPatience<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if (!isFull(error) || tries === TRIES_MAX) throw error
      await wait(Math.min(WAIT_MS_MAX, FIRST_WAIT_MS * 2 ** (tries - 1)), signal)
    }
  }
}

/** Whether an error says that there is no room for now. */
export function isFull(error: unknown): boolean {
  return error instanceof VestalError && FULL.has(error.code)
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw new VestalError('REQUEST_ABORTED')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = () => {
    clearTimeout(timer)
    reject(new VestalError('REQUEST_ABORTED'))
  }
  const timer = setTimeout(() => {
    signal.removeEventListener('abort', giveUp)
    resolve()
  }, ms)
  signal.addEventListener('abort', giveUp, { once: true })
  return promise
}
