import type { ModelRunner } from '../runner.ts'

/** Runners that are listed no more and still answer for a while: a request may have been read against them before. */
export class Lingering {
  readonly #runners = new Map<string, { readonly runner: ModelRunner; readonly timer: ReturnType<typeof setTimeout> }>()
  readonly #forMs: number
  readonly #drain: (runner: ModelRunner) => void

  constructor(forMs: number, drain: (runner: ModelRunner) => void) {
    this.#forMs = forMs
    this.#drain = drain
  }

  get(key: string): ModelRunner | undefined {
    return this.#runners.get(key)?.runner
  }

  add(key: string, runner: ModelRunner): void {
    this.end(key)
    const timer = setTimeout(() => this.end(key), this.#forMs)
    timer.unref()
    this.#runners.set(key, { runner, timer })
  }

  /** Ends one of them now. */
  end(key: string): void {
    const found = this.#runners.get(key)
    if (found === undefined) return
    clearTimeout(found.timer)
    this.#runners.delete(key)
    this.#drain(found.runner)
  }

  endAll(): void {
    for (const key of [...this.#runners.keys()]) this.end(key)
  }
}
