import type { Clock } from '../../src/core/clock.ts'

/** A clock that a test moves by hand. */
export class HandClock implements Clock {
  #nowMs = 1_000
  /** What waits for the end of a turn; nothing does where every turn ends at once. */
  readonly #soon: (() => void)[] = []
  readonly #isPrompt: boolean
  readonly #timers = new Set<{ readonly timeMs: number; readonly wake: () => void }>()

  constructor({ isPrompt = true } = {}) {
    this.#isPrompt = isPrompt
  }

  now(): number {
    return this.#nowMs
  }

  /** Works that wait for the end of the turn. */
  get works(): number {
    return this.#soon.length
  }

  /** Timers that were set and neither fired nor called off. */
  get timers(): number {
    return this.#timers.size
  }

  soon(work: () => void): void {
    if (this.#isPrompt) work()
    else this.#soon.push(work)
  }

  /** Timers that have not come due. */
  get pending(): number {
    return this.#timers.size
  }

  /** Ends the turn. */
  turn(): void {
    for (const work of this.#soon.splice(0)) work()
  }

  at(timeMs: number, wake: () => void): () => void {
    const timer = { timeMs, wake }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Lets time pass while nothing can be called, as where the thread is busy. */
  skip(ms: number): void {
    this.#nowMs += ms
  }

  /** Lets time pass, and calls what is due in the order of its time. */
  pass(ms: number): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const due = [...this.#timers].filter(({ timeMs }) => timeMs <= endMs).sort((a, b) => a.timeMs - b.timeMs)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#nowMs = Math.max(this.#nowMs, due.timeMs)
      due.wake()
    }
    this.#nowMs = endMs
  }
}
