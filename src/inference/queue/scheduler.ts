import type { Clock } from '../../core/clock.ts'
import { VestalError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import type { ModelCounters, RejectionReason } from '../statistics.ts'
import type { Admission } from './admission.ts'
import { Cancellations } from './cancellations.ts'
import { Deadlines } from './deadlines.ts'
import { type BatchRules, createJob, type Instance, type Job, type JobRules, type Outcome, type Submission } from './job.ts'
import { Places } from './places.ts'
import { refusal } from './refusals.ts'
import { Suspects } from './suspects.ts'
import { Waiting } from './waiting.ts'

export interface SchedulerOptions extends JobRules {
  readonly clock: Clock
  /** The limits that all models share. */
  readonly admission: Admission
  readonly counters: ModelCounters
  /** Requests of this model version that wait or run at once. */
  readonly queueMax: number
  readonly batches: BatchRules
  /**
   * Gives an instance a whole batch while it computes another, so that it has no pause between them; for one instance alone, since
   * what is given cannot be taken back for another that is idle.
   */
  readonly mayRunAhead: boolean
}

/**
 * Hands requests to instances that compute. It pulls: a request runs at once while an instance is idle, and what waits while all
 * are busy forms the next batch. Every caller gets one answer: its own output, or the reason why there is none.
 */
export class Scheduler<I, O> {
  readonly #options: SchedulerOptions
  readonly #places: Places<I, O>
  readonly #waiting: Waiting<I, O>
  readonly #deadlines: Deadlines<Job<I, O>>
  readonly #suspects: Suspects
  readonly #stopped = Promise.withResolvers<void>()
  readonly #cancellations: Cancellations<Job<I, O>>
  /** Jobs whose place is taken. */
  #taken = 0
  #running = 0
  #isDue = false
  #isStopping = false
  #isLost = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#suspects = new Suspects(options.clock)
    this.#places = new Places(options.mayRunAhead)
    this.#waiting = new Waiting(options.batches, options.clock, () => this.#dispatchNow())
    this.#deadlines = new Deadlines(options.clock, (job) => this.#giveUp(job, 'timeout'))
    this.#cancellations = new Cancellations(options.clock, this.#deadlines, (job) => this.#giveUp(job, 'aborted'))
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get running(): number {
    return this.#running
  }

  /**
   * Computes an input once its turn has come.
   * @throws VestalError QUEUE_FULL, QUEUE_TIMEOUT, SUBJECT_LIMIT, REQUEST_TIMEOUT, REQUEST_ABORTED, WORKER_LOST, SERVER_STOPPING, INFERENCE_FAILED
   */
  submit(submission: Submission<I>): Promise<O> {
    const { subject = '', bytes, signal } = submission
    this.#enter(subject, bytes, signal)
    const job = createJob<I, O>(submission, this.#options, this.#options.clock)
    this.#taken += 1
    this.#wait(job)
    this.#deadlines.add(job)
    this.#cancellations.watch(job)
    this.#dispatch()
    return job.promise
  }

  /** An instance that is ready for runs. */
  attach(instance: Instance<I, O>): void {
    this.#isLost = false
    this.#places.add(instance)
    this.#dispatch()
  }

  /** An instance that is gone; what runs on it is told by its own outcome, `lost`. */
  detach(instance: Instance<I, O>): void {
    this.#places.remove(instance)
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

  #wait(job: Job<I, O>): void {
    this.#suspects.place(job)
    this.#waiting.push(job)
  }

  #enter(subject: string, bytes: number, signal: Submission<I>['signal']): void {
    const { admission, queueMax } = this.#options
    if (this.#isStopping) throw this.#refusal('stopping')
    if (typeof signal === 'object' && signal.aborted) throw this.#refusal('aborted')
    if (this.#isLost) throw this.#refusal('worker-lost')
    if (this.#taken >= queueMax) throw this.#refusal('queue-full')
    const entry = admission.enter(subject, bytes)
    if (entry !== 'entered') throw this.#refusal(entry)
  }

  #refusal(reason: RejectionReason, hasWaited = false): VestalError {
    const { counters } = this.#options
    counters.rejected(reason)
    return refusal(reason, { queueSeconds: counters.secondsFor(this.#taken, this.#places.size), hasWaited })
  }

  /**
   * Hands out runs once what is at hand in this turn of the event loop is done: requests that arrive together, and those that callers
   * send as soon as they have an answer, then share a run in place of each having one.
   */
  #dispatch(): void {
    const { hasIdle, hasAhead } = this.#places
    const mayRun = hasIdle ? this.#waiting.size > 0 : hasAhead && this.#waiting.hasFullBatch
    if (this.#isDue || !mayRun) return
    this.#isDue = true
    this.#options.clock.soon(() => {
      this.#isDue = false
      this.#dispatchNow()
    })
  }

  #dispatchNow(): void {
    this.#deadlines.look()
    while (this.#places.hasIdle) {
      const batch = this.#waiting.next(this.#places.idle)
      if (batch === undefined) return
      this.#run(this.#places.takeIdle(), batch)
    }
    while (this.#places.hasAhead) {
      const batch = this.#waiting.nextFull()
      if (batch === undefined) return
      this.#run(this.#places.takeAhead(), batch)
    }
  }

  #run(instance: Instance<I, O> | undefined, batch: readonly Job<I, O>[]): void {
    invariant(instance !== undefined, 'there is a place')
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
        if (outcome.kind !== 'lost' && outcome.kind !== 'returned') this.#places.free(instance)
        this.#settle(batch, outcome)
        this.#dispatch()
        this.#resolveIfDone()
      },
    )
  }

  #settle(batch: readonly Job<I, O>[], outcome: Outcome<O>): void {
    if (outcome.kind === 'lost') this.#lost(batch)
    else if (outcome.kind === 'returned') this.#return(batch)
    else if (outcome.kind === 'failed') this.#apart(batch, outcome.reason)
    else if (outcome.outputs.length === batch.length) this.#done(batch, outcome)
    else this.#apart(batch, 'its outputs do not belong to its inputs')
  }

  #done(batch: readonly Job<I, O>[], { outputs, timing }: Extract<Outcome<O>, { kind: 'done' }>): void {
    const { counters, clock } = this.#options
    counters.ran(timing, { requests: batch.length, rows: rowsOf(batch), nowMs: Date.now() })
    const nowMs = clock.now()
    let index = 0
    for (const job of batch) {
      // The cast: there are as many outputs as jobs.
      const output = outputs[index++] as O
      this.#leave(job)
      if (job.isAnswered) continue
      this.#answered(job)
      counters.succeeded((nowMs - job.takenMs) * 1e6, (job.sentMs - job.takenMs) * 1e6)
      if (job.submission.watch !== undefined) job.run = { requests: batch.length, computeMs: timing.inferNs / 1e6 }
      job.resolve(output)
    }
  }

  /** A run that its worker died in: none of it is tried again by itself, since any of it may be what the worker died of. */
  #lost(batch: readonly Job<I, O>[]): void {
    const subjects = new Set(batch.map(({ subject }) => subject))
    this.#suspects.add(subjects)
    this.#waiting.replace(subjects, (job) => this.#suspects.place(job))
    for (const job of batch) this.#fail(job, undefined)
  }

  /** A run that was handed over and never began: what of it is still asked for waits again. */
  #return(batch: readonly Job<I, O>[]): void {
    for (const job of batch) {
      job.sentMs = 0
      if (job.isAnswered) this.#leave(job)
      else this.#wait(job)
    }
  }

  /** A run that came to nothing: what failed in company runs once more by itself, so that none spoils its neighbours. */
  #apart(batch: readonly Job<I, O>[], reason: string): void {
    const again = batch.length > 1 ? batch.filter(({ isAnswered }) => !isAnswered) : []
    for (const job of again) {
      job.sentMs = 0
      this.#waiting.pushAgain(job)
    }
    for (const job of batch) if (!again.includes(job)) this.#fail(job, reason)
  }

  #fail(job: Job<I, O>, reason: string | undefined): void {
    this.#leave(job)
    if (job.isAnswered) return
    this.#answered(job)
    job.reject(this.#failure(job, reason))
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
    this.#answered(job)
    this.#options.counters.failed((this.#options.clock.now() - job.takenMs) * 1e6)
    if (this.#waiting.remove(job)) this.#leave(job)
    job.reject(this.#refusal(reason, !job.hasPlace))
    this.#resolveIfDone()
  }

  /** Marks what has its answer. */
  #answered(job: Job<I, O>): void {
    job.isAnswered = true
    job.stopListening?.()
  }

  /** Gives the job's place back. */
  #leave(job: Job<I, O>): void {
    if (!job.hasPlace) return
    job.hasPlace = false
    this.#taken -= 1
    this.#deadlines.remove(job)
    this.#options.admission.leave(job.subject, job.submission.bytes)
  }

  #resolveIfDone(): void {
    if (this.#isStopping && this.#taken === 0) this.#stopped.resolve()
  }
}

function rowsOf(batch: readonly { readonly rows: number }[]): number {
  return batch.reduce((sum, { rows }) => sum + rows, 0)
}
