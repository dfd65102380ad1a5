import type { Algorithm } from '../jose/algorithms.ts'
import { KeyError } from '../jose/key-error.ts'
import type { Key } from '../jose/keys.ts'
import { type FetchLimits, fetchBytes, keySetAddress } from './fetch-bytes.ts'
import { fingerprint, type PublishedKeys, readKeySet } from './read-key-set.ts'

export interface RemoteKeysOptions {
  /** Seconds that a set counts after it was fetched; it is fetched again after half of them. Default 600. */
  readonly maxAgeSeconds?: number | undefined
  /** Seconds beyond that, for which the last set still counts while its server cannot be reached. Default 0. */
  readonly staleSeconds?: number | undefined
  /** Least seconds between two fetches that unknown key ids ask for. Default 30. */
  readonly cooldownSeconds?: number | undefined
  /** Milliseconds for an answer. Default 5000. */
  readonly timeoutMs?: number | undefined
  /** Bytes of an answer. Default 262144. */
  readonly bytesMax?: number | undefined
  /** Algorithms that keys may be for; default all but HMAC. */
  readonly algorithms?: readonly Algorithm[] | undefined
  /** Hears why a fetch failed; the first time, and again when it works. */
  readonly warn?: ((message: string) => void) | undefined
  /** Headers of a fetch made for the current request; default none. */
  readonly requestHeaders?: (() => Readonly<Record<string, string>>) | undefined
  /** Clock in milliseconds since 1970; default `Date.now`. */
  readonly now?: (() => number) | undefined
  /** Runs work later and returns how to give it up; default a timer that keeps no process alive. */
  readonly schedule?: ((work: () => void, delayMs: number) => () => void) | undefined
}

/** What a remote set has done. */
export interface RemoteKeysStatistics {
  readonly fetches: number
  readonly failures: number
  /** Keys that count now. */
  readonly keys: number
  /** Seconds since the set was fetched; undefined where there is none. */
  readonly ageSeconds: number | undefined
}

/** The keys of an issuer at their address: fetched ahead of time, replaced whole, and never older than is allowed. */
export interface RemoteKeys {
  /** The keys that count now; undefined where there are none. The same list is the same object. */
  current(): readonly Key[] | undefined
  /** Milliseconds since 1970 until which `current` counts, unless the keys change. */
  untilMs(): number
  /** The fetch that runs, or one that is begun now; undefined while it is too early for the next. It never rejects. */
  renew(): Promise<void> | undefined
  /** True since the last fetch failed. */
  isFailing(): boolean
  /** Seconds after which another fetch may be begun; at least 1. */
  retryAfterSeconds(): number
  readonly statistics: RemoteKeysStatistics
  /** Fetches no more. */
  close(): void
}

const FIRST_RETRY_MS = 1000

/**
 * Begins to fetch a key set. `changed` is called when a different set replaces one.
 * @throws TypeError when the address or an option cannot be used
 */
export function createRemoteKeys(address: string, changed: () => void, options: RemoteKeysOptions): RemoteKeys {
  const remote = new RemoteSet(keySetAddress(address), changed, checked(options))
  void remote.renew()
  return remote
}

interface Checked {
  readonly timeoutMs: number
  readonly bytesMax: number
  readonly warn: (message: string) => void
  readonly now: () => number
  readonly schedule: NonNullable<RemoteKeysOptions['schedule']>
  readonly algorithms: readonly Algorithm[] | undefined
  readonly requestHeaders: RemoteKeysOptions['requestHeaders']
  readonly maxAgeMs: number
  readonly staleMs: number
  readonly cooldownMs: number
}

function checked(options: RemoteKeysOptions): Checked {
  const { maxAgeSeconds = 600, staleSeconds = 0, cooldownSeconds = 30, timeoutMs = 5000, bytesMax = 256 * 1024 } = options
  const ranges: readonly (readonly [name: string, value: number, min: number, max: number])[] = [
    ['maxAgeSeconds', maxAgeSeconds, 10, 86_400],
    ['staleSeconds', staleSeconds, 0, 604_800],
    ['cooldownSeconds', cooldownSeconds, 1, 3600],
    ['timeoutMs', timeoutMs, 10, 60_000],
    ['bytesMax', bytesMax, 64, 4 * 1024 * 1024],
  ]
  for (const [name, value, min, max] of ranges) {
    if (!(value >= min && value <= max)) throw new TypeError(`"${name}" is between ${min} and ${max}`)
  }
  const { algorithms, warn = (message) => console.error(`warning: ${message}`), now = Date.now, schedule = later } = options
  const times = { maxAgeMs: maxAgeSeconds * 1000, staleMs: staleSeconds * 1000, cooldownMs: cooldownSeconds * 1000 }
  return { ...times, timeoutMs, bytesMax, warn, now, schedule, algorithms, requestHeaders: options.requestHeaders }
}

function later(work: () => void, delayMs: number): () => void {
  const timer = setTimeout(work, delayMs)
  timer.unref()
  return () => clearTimeout(timer)
}

class RemoteSet implements RemoteKeys {
  readonly #url: URL
  readonly #changed: () => void
  readonly #options: Checked
  readonly #closing = new AbortController()
  #keys: readonly Key[] | undefined
  #fetchedAtMs = 0
  #inFlight: Promise<void> | undefined
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #failuresInARow = 0
  #fetches = 0
  #failures = 0
  #leftOut = ''
  #cancelTimer: () => void = () => undefined

  constructor(url: URL, changed: () => void, options: Checked) {
    this.#url = url
    this.#changed = changed
    this.#options = options
  }

  current(): readonly Key[] | undefined {
    const ageMs = this.#options.now() - this.#fetchedAtMs
    // A clock that was set back says nothing of the set's age: it is fetched again.
    return ageMs >= 0 && ageMs < this.#ageMaxMs() ? this.#keys : undefined
  }

  untilMs(): number {
    return this.#fetchedAtMs + this.#ageMaxMs()
  }

  #ageMaxMs(): number {
    const { maxAgeMs, staleMs } = this.#options
    return this.isFailing() ? maxAgeMs + staleMs : maxAgeMs
  }

  renew(): Promise<void> | undefined {
    return this.#renewWith(this.#options.requestHeaders)
  }

  #renewWith(headers: RemoteKeysOptions['requestHeaders']): Promise<void> | undefined {
    if (this.#inFlight !== undefined) return this.#inFlight
    if (this.#closing.signal.aborted || this.#options.now() < this.#notBeforeMs) return undefined
    this.#cancelTimer()
    this.#inFlight = this.#fetch(headers?.()).finally(() => {
      this.#inFlight = undefined
    })
    return this.#inFlight
  }

  isFailing(): boolean {
    return this.#failuresInARow > 0
  }

  retryAfterSeconds(): number {
    return Math.max(1, Math.ceil((this.#notBeforeMs - this.#options.now()) / 1000))
  }

  get statistics(): RemoteKeysStatistics {
    const { now } = this.#options
    return {
      fetches: this.#fetches,
      failures: this.#failures,
      keys: this.current()?.length ?? 0,
      ageSeconds: this.#keys === undefined ? undefined : (now() - this.#fetchedAtMs) / 1000,
    }
  }

  close(): void {
    this.#closing.abort()
    this.#cancelTimer()
  }

  async #fetch(headers: FetchLimits['headers']): Promise<void> {
    const { now, timeoutMs, bytesMax, algorithms, cooldownMs, maxAgeMs } = this.#options
    const startMs = now()
    this.#fetches += 1
    try {
      const bytes = await fetchBytes(this.#url, { timeoutMs, bytesMax, signal: this.#closing.signal, headers })
      const published = readKeySet(bytes, algorithms)
      if (this.isFailing()) this.#options.warn(`the keys of ${this.#url.host} can be fetched again`)
      this.#failuresInARow = 0
      this.#fetchedAtMs = startMs
      this.#warnOf(published)
      this.#replace(published.keys)
    } catch (error) {
      if (this.#closing.signal.aborted) return
      this.#failures += 1
      this.#failuresInARow += 1
      const reason = error instanceof KeyError ? error.message : 'the answer cannot be read'
      if (this.#failuresInARow === 1) this.#options.warn(`the keys of ${this.#url.host} cannot be fetched: ${reason}`)
    }
    const retryMs = Math.min(cooldownMs, FIRST_RETRY_MS * 2 ** Math.min(this.#failuresInARow - 1, 20))
    this.#notBeforeMs = now() + (this.isFailing() ? retryMs : cooldownMs)
    this.#refreshIn(this.isFailing() ? retryMs : maxAgeMs / 2)
  }

  /** Says what was left out of the set and should not have been in it; once, until it changes. */
  #warnOf({ exposed, beyondLimits }: PublishedKeys): void {
    const faults = [
      ...(exposed > 0 ? [`${exposed} private or shared keys are published, which do not count`] : []),
      ...(beyondLimits > 0 ? [`${beyondLimits} keys are more than are accepted, and do not count`] : []),
    ]
    const text = faults.join('; ')
    if (text !== '' && text !== this.#leftOut) this.#options.warn(`the keys of ${this.#url.host}: ${text}`)
    this.#leftOut = text
  }

  /** The whole set takes the place of the one before: a key that is no longer in it counts no more. */
  #replace(keys: readonly Key[]): void {
    const before = this.#keys
    if (before !== undefined && fingerprintOf(before) === fingerprintOf(keys)) return
    this.#keys = keys
    if (before !== undefined) this.#changed()
  }

  #refreshIn(delayMs: number): void {
    if (this.#closing.signal.aborted) return
    this.#cancelTimer = this.#options.schedule(() => {
      // The timer asks whether or not unknown key ids may.
      this.#notBeforeMs = Number.NEGATIVE_INFINITY
      void this.#renewWith(undefined)
    }, delayMs)
  }
}

/** Equal for sets with the same keys, names and algorithms, in whatever order they came. */
function fingerprintOf(keys: readonly Key[]): string {
  return JSON.stringify(keys.map(fingerprint).toSorted())
}
