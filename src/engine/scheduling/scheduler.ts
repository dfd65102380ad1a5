import { VestalError } from '../../core/errors.ts'
import type { ModelCounters, RejectionReason } from '../statistics.ts'
import type { Admission } from './admission.ts'
import type { Clock } from './clock.ts'
import { Deadlines } from './deadlines.ts'
import type { BatchRules, Instance, Job, Outcome, Submission } from './job.ts'
import { refusal } from './refusals.ts'
import { Waiting } from './waiting.ts'

export interface SchedulerOptions {
  readonly clock: Clock
  /** The limits that all models share. */
  readonly admission: Admission
  readonly counters: ModelCounters
  /** Requests of this model version that wait or run at once. */
  readonly queueMax: number
  readonly batches: BatchRules
  /** Levels that a request may name; 0 lets no request name one. */
  readonly priorityLevels: number
  /** The level of a request that names none. */
  readonly priorityDefault: number
  /** For requests that name no time of their own, and the longest that one may name. */
  readonly timeoutMs: number
}

/**
 * Hands requests to instances that compute. It pulls: a request runs at once while an instance is idle, and what waits while all
 * are busy forms the next batch. Every caller gets one answer: its own output, or the reason why there is none.
 */
export class Scheduler<I, O> {
  readonly #options: SchedulerOptions
  readonly #idle: Instance<I, O>[] = []
  readonly #waiting: Waiting<I, O>
  readonly #deadlines: Deadlines<Job<I, O>>
  readonly #stopped = Promise.withResolvers<void>()
  /** Jobs whose place is taken: they wait, run, or are thrown away once their run is done. */
  readonly #jobs = new Set<Job<I, O>>()
  #running = 0
  #isStopping = false
  #isLost = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#waiting = new Waiting(options.batches, options.clock, () => this.#dispatch())
    this.#deadlines = new Deadlines(options.clock, (job) => this.#giveUp(job, 'timeout'))
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get running(): number {
    return this.#running
  }

  /**
   * Computes an input once its turn has come.
   * @throws VestalError QUEUE_FULL, SUBJECT_LIMIT, REQUEST_TIMEOUT, REQUEST_ABORTED, WORKER_LOST, SERVER_STOPPING, INFERENCE_FAILED
   */
  submit(submission: Submission<I>): Promise<O> {
    const { subject = '', bytes, rows, signal } = submission
    this.#enter(subject, bytes, signal)
    const { promise, resolve, reject } = Promise.withResolvers<O>()
    const takenMs = this.#options.clock.now()
    const timeoutMs = Math.min(submission.timeoutMs ?? Number.POSITIVE_INFINITY, this.#options.timeoutMs)
    const job: Job<I, O> = {
      submission,
      subject,
      level: this.#levelOf(submission.priority),
      rows,
      takenMs,
      deadlineMs: takenMs + timeoutMs,
      resolve,
      reject,
      sentMs: 0,
      isAnswered: false,
    }
    this.#jobs.add(job)
    this.#waiting.push(job)
    this.#deadlines.add(job)
    if (signal !== undefined) {
      const onAbort = () => this.#giveUp(job, 'aborted')
      signal.addEventListener('abort', onAbort, { once: true })
      // What ends the job calls this off: a signal may outlive many requests.
      const forget = () => signal.removeEventListener('abort', onAbort)
      promise.then(forget, forget)
    }
    this.#dispatch()
    return promise
  }

  /** An instance that is ready for runs. */
  attach(instance: Instance<I, O>): void {
    this.#isLost = false
    this.#idle.push(instance)
    this.#dispatch()
  }

  /** An instance that is gone; what runs on it is told by its own outcome, `lost`. */
  detach(instance: Instance<I, O>): void {
    const index = this.#idle.indexOf(instance)
    if (index >= 0) this.#idle.splice(index, 1)
  }

  /** There is no instance and none to come soon: refuses what waits and what comes, until one is attached. */
  despair(): void {
    this.#isLost = true
    for (const job of this.#waiting.all()) this.#giveUp(job, 'worker-lost')
  }

  /** Refuses what is new, and resolves when nothing waits or runs any more. */
  stop(): Promise<void> {
    this.#isStopping = true
    this.#resolveIfDone()
    return this.#stopped.promise
  }

  #enter(subject: string, bytes: number, signal: AbortSignal | undefined): void {
    const { admission, queueMax } = this.#options
    if (this.#isStopping) throw this.#refusal('stopping')
    if (signal?.aborted === true) throw this.#refusal('aborted')
    if (this.#isLost) throw this.#refusal('worker-lost')
    if (this.#jobs.size >= queueMax) throw this.#refusal('queue-full')
    const entry = admission.enter(subject, bytes)
    if (entry !== 'entered') throw this.#refusal(entry)
  }

  #refusal(reason: RejectionReason): VestalError {
    this.#options.counters.rejected(reason)
    return refusal(reason)
  }

  #levelOf(priority = 0): number {
    const { priorityLevels, priorityDefault } = this.#options
    return Number.isSafeInteger(priority) && priority >= 1 && priority <= priorityLevels ? priority : priorityDefault
  }

  #dispatch(): void {
    while (this.#idle.length > 0) {
      const batch = this.#waiting.next()
      if (batch === undefined) return
      const instance = this.#idle.pop()
      if (instance !== undefined) this.#run(instance, batch)
    }
  }

  #run(instance: Instance<I, O>, batch: readonly Job<I, O>[]): void {
    const nowMs = this.#options.clock.now()
    for (const job of batch) job.sentMs = nowMs
    this.#running += batch.length
    let isSettled = false
    instance.run(
      batch.map(({ submission }) => submission.input),
      (outcome) => {
        if (isSettled) return
        isSettled = true
        this.#running -= batch.length
        if (outcome.kind !== 'lost') this.#idle.push(instance)
        this.#settle(batch, outcome)
        this.#dispatch()
        this.#resolveIfDone()
      },
    )
  }

  #settle(batch: readonly Job<I, O>[], outcome: Outcome<O>): void {
    if (outcome.kind === 'lost') this.#apart(batch, undefined)
    else if (outcome.kind === 'failed') this.#apart(batch, outcome.reason)
    else if (outcome.outputs.length === batch.length) this.#done(batch, outcome)
    else this.#apart(batch, 'its outputs do not belong to its inputs')
  }

  #done(batch: readonly Job<I, O>[], { outputs, timing }: Extract<Outcome<O>, { kind: 'done' }>): void {
    const { counters, clock } = this.#options
    counters.ran(timing, { requests: batch.length, rows: rowsOf(batch), nowMs: Date.now() })
    const nowMs = clock.now()
    for (const [index, job] of batch.entries()) {
      this.#leave(job)
      if (job.isAnswered) continue
      job.isAnswered = true
      counters.succeeded((nowMs - job.takenMs) * 1e6, (job.sentMs - job.takenMs) * 1e6)
      // The cast: there are as many outputs as jobs.
      job.resolve(outputs[index] as O)
    }
  }

  /** A run that came to nothing: what failed or was lost in company runs once more by itself, so that none spoils its neighbours. */
  #apart(batch: readonly Job<I, O>[], reason: string | undefined): void {
    const again = batch.length > 1 ? batch.filter(({ isAnswered }) => !isAnswered) : []
    for (const job of again) {
      job.sentMs = 0
      this.#waiting.pushAgain(job)
    }
    for (const job of batch) {
      if (again.includes(job)) continue
      this.#leave(job)
      if (job.isAnswered) continue
      job.isAnswered = true
      job.reject(this.#failure(job, reason))
    }
  }

  #failure(job: Job<I, O>, reason: string | undefined): VestalError {
    const { counters, clock } = this.#options
    counters.failed((clock.now() - job.takenMs) * 1e6)
    if (reason === undefined) return this.#refusal('worker-lost')
    return new VestalError('INFERENCE_FAILED', { detail: `The model could not compute this input: ${reason}` })
  }

  /** Answers the caller now. What waits leaves the queue; what runs goes on, since a run cannot be interrupted, and keeps its place. */
  #giveUp(job: Job<I, O>, reason: 'timeout' | 'aborted' | 'worker-lost'): void {
    if (job.isAnswered) return
    job.isAnswered = true
    this.#options.counters.failed((this.#options.clock.now() - job.takenMs) * 1e6)
    if (this.#waiting.remove(job)) this.#leave(job)
    job.reject(this.#refusal(reason))
    this.#resolveIfDone()
  }

  /** Gives the job's place back. */
  #leave(job: Job<I, O>): void {
    if (!this.#jobs.delete(job)) return
    this.#deadlines.remove(job)
    this.#options.admission.leave(job.subject, job.submission.bytes)
  }

  #resolveIfDone(): void {
    if (this.#isStopping && this.#jobs.size === 0) this.#stopped.resolve()
  }
}

function rowsOf(batch: readonly { readonly rows: number }[]): number {
  return batch.reduce((sum, { rows }) => sum + rows, 0)
}
