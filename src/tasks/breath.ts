/** Longest that work on the thread that answers HTTP goes on without letting others in. */
const MS_MAX = 4

let begunMs = 0

/**
 * Lets the event loop answer others where work has gone on for some milliseconds. Call it between small pieces of long work; mostly it
 * returns at once. The time is that of the whole process: many requests that each do a little are as long as one that does much.
 */
export function breathe(): Promise<void> | undefined {
  const now = performance.now()
  if (begunMs === 0) {
    begunMs = now
    // The next turn of the loop begins a new count.
    setImmediate(() => {
      begunMs = 0
    })
    return undefined
  }
  return now - begunMs < MS_MAX ? undefined : new Promise((resolve) => void setImmediate(resolve))
}
