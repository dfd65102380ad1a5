interface Entry<V> {
  readonly key: string
  readonly value: V
  readonly weight: number
  isVisited: boolean
  newer: Entry<V> | undefined
  older: Entry<V> | undefined
}

export interface SieveLimits {
  /** Entries at once; 0 keeps none. */
  readonly entriesMax: number
  /** Sum of the weights of all entries. */
  readonly weightMax: number
}

/** What a cache has done since it was made. */
export interface CacheStatistics {
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly entries: number
  readonly weight: number
}

/**
 * A bounded map that evicts by SIEVE (Zhang et al., NSDI 2024): a hit marks its entry and moves nothing; a hand goes from the oldest
 * entry to the newest, takes marks away, and evicts the first entry without one. What is asked for once passes through quickly.
 */
export class SieveCache<V> {
  readonly #limits: SieveLimits
  #entries = new Map<string, Entry<V>>()
  #newest: Entry<V> | undefined
  #oldest: Entry<V> | undefined
  #hand: Entry<V> | undefined
  #weight = 0
  #hits = 0
  #misses = 0
  #evictions = 0

  constructor(limits: SieveLimits) {
    this.#limits = limits
  }

  /** The value of a key, which is marked as used. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) {
      this.#misses += 1
      return undefined
    }
    this.#hits += 1
    entry.isVisited = true
    return entry.value
  }

  /** Keeps a value, evicting others until there is room; one that is heavier than the whole cache is not kept. */
  set(key: string, value: V, weight: number): void {
    const { entriesMax, weightMax } = this.#limits
    this.delete(key)
    if (entriesMax === 0 || weight > weightMax) return
    while (this.#entries.size >= entriesMax || this.#weight + weight > weightMax) this.#evict()
    const entry: Entry<V> = { key, value, weight, isVisited: false, newer: undefined, older: this.#newest }
    if (this.#newest !== undefined) this.#newest.newer = entry
    this.#newest = entry
    this.#oldest ??= entry
    this.#entries.set(key, entry)
    this.#weight += weight
  }

  /** True where a value of that weight can be kept and nothing has to go for it. */
  hasRoom(weight: number): boolean {
    const { entriesMax, weightMax } = this.#limits
    return this.#entries.size < entriesMax && this.#weight + weight <= weightMax
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#remove(entry)
  }

  /** Forgets everything, at once however much there is. */
  clear(): void {
    this.#entries = new Map()
    this.#newest = undefined
    this.#oldest = undefined
    this.#hand = undefined
    this.#weight = 0
  }

  get statistics(): CacheStatistics {
    return {
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      entries: this.#entries.size,
      weight: this.#weight,
    }
  }

  #evict(): void {
    let candidate = this.#hand ?? this.#oldest
    while (candidate?.isVisited === true) {
      candidate.isVisited = false
      candidate = candidate.newer ?? this.#oldest
    }
    if (candidate === undefined) return
    this.#hand = candidate
    this.#remove(candidate)
    this.#evictions += 1
  }

  #remove(entry: Entry<V>): void {
    const { newer, older } = entry
    if (this.#hand === entry) this.#hand = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    this.#entries.delete(entry.key)
    this.#weight -= entry.weight
  }
}
