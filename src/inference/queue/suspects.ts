import type { Clock } from '../../core/clock.ts'

/** How long a subject's requests run apart from others', where a run that it had a part in ended its worker. */
const SHARED_MS = 30_000
/** The same, where the run was its alone. */
const ALONE_MS = 600_000
/** Subjects that are remembered; beyond it the one that is to be forgotten first goes. */
const SUBJECTS_MAX = 1024

/** A job, and where it stands in the queue. */
interface Standing {
  readonly subject: string
  readonly submission: { readonly bucket?: string | undefined }
  bucket: string | undefined
  level: number
}

/** Levels of those who are served after all others begin here, behind any that a request may name. */
const LAST_LEVELS = 1_000_000

/**
 * Subjects whose requests may be what a worker ended of. They share no runs with other subjects for a while; one whose run it was alone is
 * also served after all others, so that a worker that took the place of another computes something before it may end of the next.
 */
export class Suspects {
  readonly #clock: Clock
  /** When each is forgotten, and until when it counts as certain. */
  readonly #known = new Map<string, { readonly untilMs: number; readonly isCertain: boolean }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Puts a job that does not wait yet where its subject's belong now. */
  place(job: Standing): void {
    // Asked of every request, and most often there are none.
    if (this.#known.size === 0) return
    const { subject, submission } = job
    const { bucket } = submission
    const level = job.level % LAST_LEVELS
    const known = this.#known.get(subject)
    if (known !== undefined && known.untilMs <= this.#clock.now()) this.#known.delete(subject)
    const isKnown = this.#known.has(subject)
    job.bucket = isKnown && bucket !== undefined ? `${bucket}\n${subject}` : bucket
    job.level = isKnown && known?.isCertain === true ? level + LAST_LEVELS : level
  }

  /** Takes note of those whose requests were in a run that ended its worker. */
  add(subjects: ReadonlySet<string>): void {
    const isCertain = subjects.size === 1
    const untilMs = this.#clock.now() + (isCertain ? ALONE_MS : SHARED_MS)
    for (const subject of subjects) {
      if (isCertain || this.#known.get(subject)?.isCertain !== true) this.#known.set(subject, { untilMs, isCertain })
    }
    if (this.#known.size <= SUBJECTS_MAX) return
    const soonest = [...this.#known].sort(([, a], [, b]) => a.untilMs - b.untilMs)
    for (const [subject] of soonest.slice(0, this.#known.size - SUBJECTS_MAX)) this.#known.delete(subject)
  }
}
