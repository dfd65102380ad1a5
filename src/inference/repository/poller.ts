import type { Look } from './scan.ts'

export interface PollerOptions {
  readonly intervalMs: number
  /** What the files looked like before they were loaded: what changed meanwhile is loaded again. */
  readonly loaded: Look
  /** What the models' folder looks like now. */
  readonly look: () => Look
  /** Loads a model that is new or has changed. */
  readonly load: (name: string) => Promise<void>
  /** Unloads a model that is gone. */
  readonly remove: (name: string) => Promise<void>
  readonly warn: (message: string) => void
}

const UNREADABLE = 'its folder cannot be read; what was loaded from it keeps serving'

/**
 * Looks at the models' folder again and again. What changed is loaded once two looks in a row see the same, so that a file that is
 * being copied is ignored; what cannot be loaded is tried again when it has changed. What cannot be read has not changed: while the
 * folder, or that of one model, cannot be read, what was loaded from it keeps serving.
 */
export class Poller {
  readonly #options: PollerOptions
  /** As they were loaded. */
  #known: ReadonlyMap<string, string | undefined>
  #last: ReadonlyMap<string, string | undefined>
  /** Which folder the models were last seen in. */
  #folder: string | undefined
  /** Why the folder cannot be read. */
  #away: string | undefined
  /** Models whose folder cannot be read. */
  #unreadable: ReadonlySet<string> = new Set()
  /** What stands beside the models and was warned of, or was seen once. */
  #strays: ReadonlySet<string>
  readonly #warned: Set<string>
  /** Why the last load of a model failed, by its name. */
  readonly #failed = new Map<string, string>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #round: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: PollerOptions) {
    const { loaded } = options
    this.#options = options
    this.#known = loaded.kind === 'there' ? loaded.models : new Map()
    this.#folder = loaded.kind === 'there' ? loaded.folder : undefined
    this.#last = this.#known
    this.#strays = new Set(loaded.kind === 'there' ? loaded.strays : [])
    this.#warned = new Set(this.#strays)
    this.#wait()
  }

  /** What of the folder cannot be read or loaded at the moment, while what was loaded serves. */
  troubles(): readonly string[] {
    const unreadable = [...this.#unreadable].map((name) => `${name}: ${UNREADABLE}`)
    return [...(this.#away === undefined ? [] : [this.#away]), ...unreadable, ...this.#failed.values()]
  }

  /** Looks no more, once the current look is done. */
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
    const look = this.#options.look()
    const away = this.#reasonAway(look)
    if (away !== this.#away) this.#options.warn(away ?? 'the models folder can be read again')
    this.#away = away
    if (away !== undefined || look.kind === 'away') return
    this.#folder = look.folder
    this.#warnOf(look.strays)
    await this.#take(look.models)
  }

  /** A file that is there at two looks in a row is not about to be moved. */
  #warnOf(strays: readonly string[]): void {
    for (const stray of strays) {
      if (!this.#strays.has(stray) || this.#warned.has(stray)) continue
      this.#warned.add(stray)
      this.#options.warn(stray)
    }
    this.#strays = new Set(strays)
    for (const stray of this.#warned) if (!this.#strays.has(stray)) this.#warned.delete(stray)
  }

  /** A folder that was never there has nothing to lose. An empty one in the place of the one that had models is a mount point without its disk. */
  #reasonAway(look: Look): string | undefined {
    if (this.#known.size === 0) return undefined
    const keepsServing = 'the models that were loaded from it keep serving'
    if (look.kind === 'away') return `the models folder cannot be read (${look.reason}): ${keepsServing}`
    const isOther = look.folder !== this.#folder && look.models.size === 0
    return isOther ? `an empty folder is in the place of the models folder: ${keepsServing}` : undefined
  }

  async #take(now: ReadonlyMap<string, string | undefined>): Promise<void> {
    const isSettled = (name: string) => this.#last.get(name) === now.get(name) && this.#last.has(name) === now.has(name)
    const names = [...new Set([...now.keys(), ...this.#known.keys()])].filter(isSettled)
    this.#last = now
    const unreadable = new Set(names.filter((name) => now.has(name) && now.get(name) === undefined))
    for (const name of unreadable) if (!this.#unreadable.has(name)) this.#options.warn(`${name}: ${UNREADABLE}`)
    this.#unreadable = unreadable
    const known = new Map(this.#known)
    const changed = names.filter(
      (name) => !unreadable.has(name) && (now.get(name) !== known.get(name) || now.has(name) !== known.has(name)),
    )
    await Promise.all(
      changed.map(async (name) => {
        if (now.has(name)) known.set(name, now.get(name))
        else known.delete(name)
        await this.#change(name, now.has(name) ? 'load' : 'remove')
      }),
    )
    this.#known = known
  }

  async #change(name: string, action: 'load' | 'remove'): Promise<void> {
    this.#failed.delete(name)
    try {
      await this.#options[action](name)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (action === 'load') this.#failed.set(name, message)
      this.#options.warn(message)
    }
  }
}
