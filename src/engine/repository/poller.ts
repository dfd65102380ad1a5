export interface PollerOptions {
  readonly intervalMs: number
  /** What the files looked like before they were loaded: what changed meanwhile is loaded again. */
  readonly loaded: ReadonlyMap<string, string | undefined>
  /** What each model's files look like now, by name. */
  readonly look: () => ReadonlyMap<string, string | undefined>
  /** Loads a model that is new or has changed. */
  readonly load: (name: string) => Promise<void>
  /** Takes off a model that is gone. */
  readonly remove: (name: string) => Promise<void>
  readonly warn: (message: string) => void
}

/**
 * Looks at the models' folder again and again. What changed is loaded once two looks in a row see the same, so that a file that is
 * being copied is left alone; what cannot be loaded is tried again when it has changed.
 */
export class Poller {
  readonly #options: PollerOptions
  /** As they were loaded. */
  #known: ReadonlyMap<string, string | undefined>
  #last: ReadonlyMap<string, string | undefined>
  #timer: ReturnType<typeof setTimeout> | undefined
  #round: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: PollerOptions) {
    this.#options = options
    this.#known = options.loaded
    this.#last = this.#known
    this.#wait()
  }

  /** Looks no more, once the look at hand is done. */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#round
  }

  #wait(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => {
      this.#round = this.#look().finally(() => this.#wait())
    }, this.#options.intervalMs)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const { look, load, remove } = this.#options
    const now = look()
    const isSettled = (name: string) => this.#last.get(name) === now.get(name) && this.#last.has(name) === now.has(name)
    const names = [...new Set([...now.keys(), ...this.#known.keys()])].filter(
      (name) => isSettled(name) && (now.get(name) !== this.#known.get(name) || now.has(name) !== this.#known.has(name)),
    )
    this.#last = now
    const known = new Map(this.#known)
    await Promise.all(
      names.map(async (name) => {
        if (now.has(name)) known.set(name, now.get(name))
        else known.delete(name)
        try {
          await (now.has(name) ? load(name) : remove(name))
        } catch (error) {
          this.#options.warn(error instanceof Error ? error.message : String(error))
        }
      }),
    )
    this.#known = known
  }
}
