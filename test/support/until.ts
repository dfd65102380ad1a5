/** Less than the time of a test, so that a wait which fails says what it waited for. */
const LIMIT_MS = 20_000
/** What is about to happen is asked for without a pause; what takes longer every few milliseconds. */
const QUICK_QUESTIONS = 100
const PAUSE_MS = 10

/** Waits until something holds. @throws Error that names what was waited for, or how it was asked, where it does not in time */
export async function until(holds: () => boolean | Promise<boolean>, what?: string, limitMs = LIMIT_MS): Promise<void> {
  const endMs = performance.now() + limitMs
  for (let questions = 0; !(await holds()); questions += 1) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs / 1000} s in vain until ${what ?? textOf(holds)}`)
    await Bun.sleep(questions < QUICK_QUESTIONS ? 0 : PAUSE_MS)
  }
}

/** Gives what a promise gives. @throws Error that names what was waited for, where it does not come in time */
export async function inTime<T>(promise: Promise<T>, what: string, limitMs = LIMIT_MS): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`waited ${limitMs / 1000} s in vain until ${what}`)), limitMs)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function textOf(holds: () => unknown): string {
  return holds
    .toString()
    .replace(/^(?:async )?\(\) => /, '')
    .replace(/\s+/g, ' ')
    .slice(0, 300)
}
