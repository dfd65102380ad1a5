const later = globalThis.setImmediate
let isAtOnce = false

/**
 * Has this process's `setImmediate` call at once within `withoutTurn`: ONNX Runtime's package gives other work of its thread a turn of the
 * event loop before each run, and here there is none. The turn would be a tenth of what a small model takes.
 */
export function prepareTurns(): void {
  // The cast: its other properties are for timers that can be cleared, and none is cleared here.
  globalThis.setImmediate = ((call: () => void) => (isAtOnce ? call() : later(call))) as unknown as typeof setImmediate
}

/** Calls a function for which `setImmediate` calls at once. */
export function withoutTurn<T>(work: () => T): T {
  isAtOnce = true
  try {
    return work()
  } finally {
    isAtOnce = false
  }
}

/** Gives the event loop a turn: native memory whose objects were collected is given back there, and nowhere else. */
export function takeTurn(): Promise<void> {
  return new Promise((resolve) => void later(resolve))
}
