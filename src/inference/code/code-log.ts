import type { Clock } from '../../core/clock.ts'

/** Lines that a model may log at once, and one a second later. */
const [LINES_MAX, LINES_A_SECOND] = [50, 5]
const LENGTH_MAX = 2000

/** The lines of one model's code in the log of the server: bounded, however much the code prints. */
export class CodeLog {
  readonly #clock: Clock
  readonly #write: (line: string) => void
  #room = LINES_MAX
  #filledMs: number
  #dropped = 0
  #last = ''

  constructor(clock: Clock, write: (line: string) => void) {
    this.#clock = clock
    this.#write = write
    this.#filledMs = clock.now()
  }

  /** The line that was written, or dropped, last. */
  get last(): string {
    return this.#last
  }

  line(text: string): void {
    const nowMs = this.#clock.now()
    this.#room = Math.min(LINES_MAX, this.#room + ((nowMs - this.#filledMs) / 1000) * LINES_A_SECOND)
    this.#filledMs = nowMs
    this.#last = text.slice(0, LENGTH_MAX)
    if (this.#room < 1) {
      this.#dropped += 1
      return
    }
    this.#room -= 1
    const dropped = this.#dropped
    this.#dropped = 0
    this.#write(dropped === 0 ? this.#last : `${this.#last} (${dropped} lines before it were dropped)`)
  }
}
