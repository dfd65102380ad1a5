import type { Clock } from '../../core/clock.ts'
import { FairQueue } from '../../core/fair-queue.ts'
import type { BatchRules, Job } from './job.ts'

/** A sum of costs below this is none. */
const LEAST_COST = 1e-9

/** Higher levels first, then those of the round, then those of near lengths; of equals as they wait. */
function inOrder<I, O>(a: Job<I, O>, b: Job<I, O>, { length }: Job<I, O>): number {
  return (
    a.level - b.level || Number(b.isInRound) - Number(a.isInRound) || Math.abs(a.length - length) - Math.abs(b.length - length)
  )
}

/** The jobs that wait for an instance, and how batches are formed from them. */
export class BatchQueue<I, O> {
  readonly #rules: BatchRules
  readonly #clock: Clock
  readonly #ready: () => void
  readonly #queue = new FairQueue<Job<I, O>>()
  /** Jobs that failed in a shared run; they have waited once, and go first. */
  readonly #again: Job<I, O>[] = []
  /** What waits costs, in rows, by bucket. */
  readonly #rows = new Map<string, number>()
  #fullBuckets = 0
  #callOff: (() => void) | undefined

  /** `ready` is called when a batch that was held back for others has waited long enough. */
  constructor(rules: BatchRules, clock: Clock, ready: () => void) {
    this.#rules = rules
    this.#clock = clock
    this.#ready = ready
  }

  get size(): number {
    return this.#queue.size + this.#again.length
  }

  /** True while the rows of some bucket are enough for a whole batch. */
  get hasFullBatch(): boolean {
    return this.#fullBuckets > 0
  }

  push(job: Job<I, O>): void {
    this.#queue.push(job)
    this.#count(job, job.cost)
  }

  pushAgain(job: Job<I, O>): void {
    this.#again.push(job)
  }

  /** Takes a job out; false when it does not wait. */
  remove(job: Job<I, O>): boolean {
    const index = this.#again.indexOf(job)
    if (index < 0) {
      const isThere = this.#queue.remove(job)
      if (isThere) this.#count(job, -job.cost)
      return isThere
    }
    this.#again.splice(index, 1)
    return true
  }

  /** Removes the jobs of some subjects, changes them, and queues them again. */
  replace(subjects: ReadonlySet<string>, change: (job: Job<I, O>) => void): void {
    for (const job of [...this.#queue].filter(({ subject }) => subjects.has(subject))) {
      this.#queue.remove(job)
      this.#count(job, -job.cost)
      change(job)
      this.push(job)
    }
  }

  all(): readonly Job<I, O>[] {
    return [...this.#again, ...this.#queue]
  }

  /**
   * The next run: one job, or several that may share it. Undefined while no job waits, or while a larger batch is awaited. Where several instances are
   * idle it leaves the others their shares: one that had everything would keep them idle.
   */
  next(idle = 1): readonly Job<I, O>[] | undefined {
    const again = this.#again.shift()
    if (again !== undefined) return [again]
    if (this.#rules.delayMs > 0 && this.#isHeldBack()) return undefined
    const first = this.#take()
    if (first === undefined) return undefined
    const rowsMax = this.#rowsFor(first, idle)
    return first.length > 0 ? this.#fillPadded(first, rowsMax) : this.#fill(first, rowsMax)
  }

  /** The next run where it is a whole batch: waiting for more would not make it larger. */
  nextFull(): readonly Job<I, O>[] | undefined {
    const { rowsMax } = this.#rules
    if (this.#fullBuckets === 0 || this.#again.length > 0) return undefined
    const { bucket } = this.#queue.peek() ?? {}
    if (bucket === undefined || (this.#rows.get(bucket) ?? 0) < rowsMax) return undefined
    return this.next()
  }

  #take(fits?: (job: Job<I, O>) => boolean): Job<I, O> | undefined {
    const job = this.#queue.take(fits)
    if (job !== undefined) this.#count(job, -job.cost)
    return job
  }

  #count({ bucket }: Job<I, O>, change: number): void {
    if (bucket === undefined) return
    const { rowsMax } = this.#rules
    const before = this.#rows.get(bucket) ?? 0
    const after = before + change
    if (before < rowsMax && after >= rowsMax) this.#fullBuckets += 1
    if (before >= rowsMax && after < rowsMax) this.#fullBuckets -= 1
    // Fractions of rows do not add up to nothing again.
    if (after > LEAST_COST) this.#rows.set(bucket, after)
    else this.#rows.delete(bucket)
  }

  /** Rows of a run that begins with a job: its share, or as many as there may be where they were waited for. */
  #rowsFor({ bucket, cost }: Job<I, O>, idle: number): number {
    const { rowsMax, delayMs } = this.#rules
    if (idle === 1 || bucket === undefined || delayMs > 0) return rowsMax
    return Math.min(rowsMax, Math.ceil((cost + (this.#rows.get(bucket) ?? 0)) / idle))
  }

  #fill(first: Job<I, O>, rowsMax: number): readonly Job<I, O>[] {
    const { bucket } = first
    const batch = [first]
    if (bucket === undefined) return batch
    let rows = rowsMax - first.rows
    let bytes = this.#rules.bytesMax - first.submission.bytes
    const fits = (job: Job<I, O>) => job.bucket === bucket && job.rows <= rows && job.submission.bytes <= bytes
    while (rows > 0) {
      const job = this.#take(fits)
      if (job === undefined) break
      batch.push(job)
      rows -= job.rows
      bytes -= job.submission.bytes
    }
    return batch
  }

  /**
   * Fills a run whose inputs are padded to the longest: with those of near lengths first, as far as their padding costs less than a run of
   * their own. What waits when a round begins runs before what comes later, so that none is passed over again and again.
   */
  #fillPadded(first: Job<I, O>, rowsMax: number): readonly Job<I, O>[] {
    const { bucket } = first
    const batch = [first]
    if (bucket === undefined) return batch
    const waiting = [...this.#queue].filter((job) => job.bucket === bucket)
    if (!waiting.some(({ isInRound }) => isInRound)) for (const job of waiting) job.isInRound = true
    const { tokensMax = Number.POSITIVE_INFINITY, paddingMax = 0, bytesMax, rowsMax: rowsOfAll } = this.#rules
    const tokensOfShare = (tokensMax * rowsMax) / rowsOfAll
    let { rows, length: longest } = first
    let { bytes } = first.submission
    let isRoundLeft = false
    for (const job of waiting.sort((a, b) => inOrder(a, b, first))) {
      if (isRoundLeft && !job.isInRound) break
      const [together, longer] = [rows + job.rows, Math.max(longest, job.length)]
      const padding = (longer - longest) * rows + (longer - job.length) * job.rows
      const isWithin = together <= rowsMax && together * longer <= tokensOfShare && bytes + job.submission.bytes <= bytesMax
      if (!isWithin || padding > paddingMax) {
        isRoundLeft = true
        continue
      }
      this.#queue.takeThis(job)
      this.#count(job, -job.cost)
      batch.push(job)
      rows = together
      longest = longer
      bytes += job.submission.bytes
    }
    return batch
  }

  /** True while a larger batch may still form; a job that no batch can take, or one that has waited long enough, ends that. */
  #isHeldBack(): boolean {
    const { delayMs } = this.#rules
    this.#callOff?.()
    this.#callOff = undefined
    if (this.hasFullBatch) return false
    let endMs = Number.POSITIVE_INFINITY
    for (const { bucket, takenMs } of this.#queue) {
      if (bucket === undefined) return false
      endMs = Math.min(endMs, takenMs + delayMs)
    }
    if (endMs === Number.POSITIVE_INFINITY || endMs <= this.#clock.now()) return false
    this.#callOff = this.#clock.at(endMs, this.#ready)
    return true
  }
}
