import type { Clock } from './clock.ts'

/** How long a subject's requests run apart from others', where a run that it had a part in ended its worker. */
const SHARED_MS = 30_000
/** The same, where the run was its alone. */
const ALONE_MS = 600_000
/** Subjects that are remembered; beyond it the one that is to be forgotten first goes. */
const SUBJECTS_MAX = 1024

/** Subjects whose requests may be what a worker ended of: they share runs with nobody else for a while. */
export class Suspects {
  readonly #clock: Clock
  /** When each is forgotten. */
  readonly #untilMs = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has(subject: string): boolean {
    // Asked of every request, and most often there are none.
    if (this.#untilMs.size === 0) return false
    const untilMs = this.#untilMs.get(subject)
    if (untilMs === undefined) return false
    if (untilMs > this.#clock.now()) return true
    this.#untilMs.delete(subject)
    return false
  }

  /** Takes note of those whose requests were in a run that ended its worker. */
  add(subjects: ReadonlySet<string>): void {
    const untilMs = this.#clock.now() + (subjects.size === 1 ? ALONE_MS : SHARED_MS)
    for (const subject of subjects) this.#untilMs.set(subject, Math.max(untilMs, this.#untilMs.get(subject) ?? 0))
    if (this.#untilMs.size <= SUBJECTS_MAX) return
    const soonest = [...this.#untilMs].sort(([, a], [, b]) => a - b)
    for (const [subject] of soonest.slice(0, this.#untilMs.size - SUBJECTS_MAX)) this.#untilMs.delete(subject)
  }
}

/** The bucket of a subject's own requests. */
export function ownBucket(bucket: string | undefined, subject: string): string | undefined {
  return bucket === undefined ? undefined : `${bucket}\n${subject}`
}
