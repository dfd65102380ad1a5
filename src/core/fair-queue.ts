/** What a queue has to know of a job. */
export interface Queued {
  /** Who it is for. */
  readonly subject: string
  /** 1 is served first. */
  readonly level: number
  /** What serving it costs, in rows. */
  readonly cost: number
}

/** The jobs of one subject, and how much it has had. */
interface Line<J> {
  readonly subject: string
  readonly jobs: J[]
  /** What was served, in rows, on a clock that all subjects share; who has had least is next. */
  servedRows: number
}

/** Subjects without a job whose share is remembered; beyond it they begin again as equals. */
const IDLE_SUBJECTS_MAX = 1024

/**
 * A queue that shares between subjects by rows (start-time fair queueing, Goyal et al. 1996): the subject that has had least is
 * next, and within a subject who came first. A subject that comes back cannot have saved up more than the others had meanwhile.
 * A lower level is served only while no higher one has a job.
 */
export class FairQueue<J extends Queued> {
  readonly #levels = new Map<number, Level<J>>()
  #order: readonly Level<J>[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  push(job: J): void {
    this.#size += 1
    this.#level(job.level).push(job)
  }

  /** Takes a job out; false when it is not there. */
  remove(job: J): boolean {
    const isThere = this.#levels.get(job.level)?.remove(job) === true
    if (isThere) this.#size -= 1
    return isThere
  }

  /** Takes the next job, or the next of those that fit. */
  take(fits?: (job: J) => boolean): J | undefined {
    if (this.#size === 0) return undefined
    for (const level of this.#order) {
      const job = level.take(fits)
      if (job === undefined) continue
      this.#size -= 1
      return job
    }
    return undefined
  }

  /** Takes one that is there out, as served. */
  takeThis(job: J): void {
    if (this.#levels.get(job.level)?.takeThis(job) === true) this.#size -= 1
  }

  /** The job that would be taken. */
  peek(): J | undefined {
    for (const level of this.#order) {
      const job = level.peek()
      if (job !== undefined) return job
    }
    return undefined
  }

  /** Every job, in no order that means anything. */
  *[Symbol.iterator](): Iterator<J> {
    for (const level of this.#order) yield* level.jobs()
  }

  #level(number: number): Level<J> {
    const known = this.#levels.get(number)
    if (known !== undefined) return known
    const level = new Level<J>()
    this.#levels.set(number, level)
    this.#order = [...this.#levels].sort(([a], [b]) => a - b).map(([, each]) => each)
    return level
  }
}

interface Next<J> {
  readonly line: Line<J>
  readonly index: number
}

class Level<J extends Queued> {
  readonly #lines = new Map<string, Line<J>>()
  /** The one line there is; undefined where there are more, or there were. */
  #only: Line<J> | undefined
  #size = 0
  /** What the subject that was served last had had before it: where a subject that comes begins. */
  #servedRows = 0

  push(job: J): void {
    this.#size += 1
    const line = this.#lines.get(job.subject)
    if (line === undefined) {
      this.#add({ subject: job.subject, jobs: [job], servedRows: this.#servedRows })
      return
    }
    if (line.jobs.length === 0) line.servedRows = Math.max(line.servedRows, this.#servedRows)
    line.jobs.push(job)
  }

  remove(job: J): boolean {
    const line = this.#lines.get(job.subject)
    const index = line?.jobs.indexOf(job) ?? -1
    if (line === undefined || index < 0) return false
    line.jobs.splice(index, 1)
    this.#left(line)
    return true
  }

  #add(line: Line<J>): void {
    this.#lines.set(line.subject, line)
    this.#only = this.#lines.size === 1 ? line : undefined
  }

  peek(): J | undefined {
    const next = this.#next(undefined)
    return next?.line.jobs[next.index]
  }

  take(fits: ((job: J) => boolean) | undefined): J | undefined {
    const next = this.#next(fits)
    return next && this.#serve(next)
  }

  takeThis(job: J): boolean {
    const line = this.#lines.get(job.subject)
    const index = line?.jobs.indexOf(job) ?? -1
    return line !== undefined && index >= 0 && this.#serve({ line, index }) !== undefined
  }

  #serve({ line, index }: Next<J>): J | undefined {
    const job = index === 0 ? line.jobs.shift() : line.jobs.splice(index, 1)[0]
    if (job === undefined) return undefined
    this.#servedRows = Math.max(this.#servedRows, line.servedRows)
    line.servedRows += job.cost
    // Served, a subject goes to the end, so that equals take turns.
    if (this.#lines.size > 1) {
      this.#lines.delete(line.subject)
      this.#lines.set(line.subject, line)
    }
    this.#left(line)
    return job
  }

  #next(fits: ((job: J) => boolean) | undefined): Next<J> | undefined {
    if (this.#size === 0) return undefined
    if (this.#only !== undefined) return nextIn(this.#only, fits)
    let next: Next<J> | undefined
    for (const line of this.#lines.values()) {
      // Without a job, and with no more than the others, a subject is like one that is new.
      if (line.jobs.length === 0 && line.servedRows <= this.#servedRows) this.#lines.delete(line.subject)
      if (line.jobs.length === 0 || (next !== undefined && line.servedRows >= next.line.servedRows)) continue
      next = nextIn(line, fits) ?? next
    }
    return next
  }

  *jobs(): Iterable<J> {
    for (const { jobs } of this.#lines.values()) yield* jobs
  }

  #left({ subject, jobs }: Line<J>): void {
    this.#size -= 1
    if (jobs.length === 0 && this.#lines.size > IDLE_SUBJECTS_MAX) this.#lines.delete(subject)
  }
}

function nextIn<J>(line: Line<J>, fits: ((job: J) => boolean) | undefined): Next<J> | undefined {
  const index = fits === undefined ? 0 : line.jobs.findIndex(fits)
  return index >= 0 ? { line, index } : undefined
}
