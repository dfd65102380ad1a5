import type { Clock } from '../../core/clock.ts'
import { VestalError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import type { ModelCounters, RejectionReason } from '../statistics.ts'
import { type Admission, rejection } from './admission.ts'
import { BatchQueue } from './batch-queue.ts'
import { Cancellations, Deadlines } from './deadlines.ts'
import { type BatchRules, createJob, type Instance, type Job, type JobRules, type Outcome, type Submission } from './job.ts'

export interface SchedulerOptions extends JobRules {
  readonly clock: Clock
  /** The limits that all models share. */
  readonly admission: Admission
  readonly counters: ModelCounters
  /** Requests of this model version that wait or run at once. */
  readonly queueMax: number
  readonly batches: BatchRules
  /**
   * Gives an instance a whole batch while it computes another, so that it has no pause between them; only with a single instance, since
   * what is given cannot be taken back for another that is idle.
   */
  readonly mayRunAhead: boolean
}

/**
 * Dispatches requests to instances. It pulls: a request runs at once while an instance is idle, and requests that wait while all
 * are busy forms the next batch. Every caller gets one answer: its own output, or the reason why there is none.
 */
export class Scheduler<I, O> {
  readonly #options: SchedulerOptions
  readonly #instances: Instances<I, O>
  readonly #queue: BatchQueue<I, O>
  readonly #deadlines: Deadlines<Job<I, O>>
  readonly #quarantine: Quarantine
  readonly #stopped = Promise.withResolvers<void>()
  readonly #cancellations: Cancellations<Job<I, O>>
  /** Jobs that count against the limits. */
  #taken = 0
  #running = 0
  #isDue = false
  #isStopping = false
  #isLost = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#quarantine = new Quarantine(options.clock)
    this.#instances = new Instances(options.mayRunAhead)
    this.#queue = new BatchQueue(options.batches, options.clock, () => this.#dispatchNow())
    this.#deadlines = new Deadlines(options.clock, (job) => this.#giveUp(job, 'timeout'))
    this.#cancellations = new Cancellations(options.clock, this.#deadlines, (job) => this.#giveUp(job, 'aborted'))
  }

  get waiting(): number {
    return this.#queue.size
  }

  get running(): number {
    return this.#running
  }

  /**
   * Queues an input and resolves with its output.
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
    this.#instances.add(instance)
    this.#dispatch()
  }

  /** Removes an instance that is gone; its run settles with its own outcome, `lost`. */
  detach(instance: Instance<I, O>): void {
    this.#instances.remove(instance)
  }

  /** Without an instance, and with none soon: fails all pending requests and rejects new ones, until one is attached. */
  failPending(): void {
    this.#isLost = true
    for (const job of this.#queue.all()) this.#giveUp(job, 'worker-lost')
  }

  /** Rejects new requests, and resolves when nothing waits or runs any more. */
  stop(): Promise<void> {
    this.#isStopping = true
    this.#resolveIfDone()
    return this.#stopped.promise
  }

  #wait(job: Job<I, O>): void {
    this.#quarantine.assign(job)
    this.#queue.push(job)
  }

  #enter(subject: string, bytes: number, signal: Submission<I>['signal']): void {
    const { admission, queueMax } = this.#options
    if (this.#isStopping) throw this.#rejection('stopping')
    if (typeof signal === 'object' && signal.aborted) throw this.#rejection('aborted')
    if (this.#isLost) throw this.#rejection('worker-lost')
    if (this.#taken >= queueMax) throw this.#rejection('queue-full')
    const entry = admission.enter(subject, bytes)
    if (entry !== 'entered') throw this.#rejection(entry)
  }

  #rejection(reason: RejectionReason, hasWaited = false): VestalError {
    const { counters } = this.#options
    counters.rejected(reason)
    return rejection(reason, { queueSeconds: counters.secondsFor(this.#taken, this.#instances.size), hasWaited })
  }

  /**
   * Dispatches runs once the work queued in this turn of the event loop is done: requests that arrive together, and those that callers
   * send as soon as they have an answer, then share a run in place of each having one.
   */
  #dispatch(): void {
    const { hasIdle, hasAhead } = this.#instances
    const mayRun = hasIdle ? this.#queue.size > 0 : hasAhead && this.#queue.hasFullBatch
    if (this.#isDue || !mayRun) return
    this.#isDue = true
    this.#options.clock.soon(() => {
      this.#isDue = false
      this.#dispatchNow()
    })
  }

  #dispatchNow(): void {
    this.#deadlines.look()
    while (this.#instances.hasIdle) {
      const batch = this.#queue.next(this.#instances.idle)
      if (batch === undefined) return
      this.#run(this.#instances.takeIdle(), batch)
    }
    while (this.#instances.hasAhead) {
      const batch = this.#queue.nextFull()
      if (batch === undefined) return
      this.#run(this.#instances.takeAhead(), batch)
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
        if (outcome.kind !== 'lost' && outcome.kind !== 'returned') this.#instances.free(instance)
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
    else if (outcome.kind === 'rejected') for (const job of batch) this.#reject(job, outcome.error)
    else if (outcome.outputs.length === batch.length) this.#done(batch, outcome)
    else this.#apart(batch, 'its outputs do not belong to its inputs')
  }

  #done(batch: readonly Job<I, O>[], { outputs, timing }: Extract<Outcome<O>, { kind: 'done' }>): void {
    const { counters, clock } = this.#options
    counters.ran(timing, { requests: batch.length, rows: rowsOf(batch), nowMs: Date.now() })
    if ((batch[0]?.length ?? 0) > 0) countTokens(batch, counters)
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
    this.#quarantine.add(subjects)
    this.#queue.replace(subjects, (job) => this.#quarantine.assign(job))
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
      this.#queue.pushAgain(job)
    }
    for (const job of batch) if (!again.includes(job)) this.#fail(job, reason)
  }

  #fail(job: Job<I, O>, reason: string | undefined): void {
    this.#leave(job)
    if (job.isAnswered) return
    this.#answered(job)
    job.reject(this.#failure(job, reason))
  }

  #reject(job: Job<I, O>, error: Error): void {
    const { counters, clock } = this.#options
    this.#leave(job)
    if (job.isAnswered) return
    this.#answered(job)
    counters.failed((clock.now() - job.takenMs) * 1e6)
    job.reject(error)
  }

  #failure(job: Job<I, O>, reason: string | undefined): VestalError {
    const { counters, clock } = this.#options
    counters.failed((clock.now() - job.takenMs) * 1e6)
    if (reason === undefined) return this.#rejection('worker-lost')
    return new VestalError('INFERENCE_FAILED', { detail: `The model could not compute this input: ${reason}` })
  }

  /** Answers the caller now. A waiting job leaves the queue; a running one continues, since a run cannot be interrupted, and still counts against the limits. */
  #giveUp(job: Job<I, O>, reason: 'timeout' | 'aborted' | 'worker-lost'): void {
    if (job.isAnswered) return
    this.#answered(job)
    this.#options.counters.failed((this.#options.clock.now() - job.takenMs) * 1e6)
    if (this.#queue.remove(job)) this.#leave(job)
    job.reject(this.#rejection(reason, !job.isAdmitted))
    this.#resolveIfDone()
  }

  /** Marks what has its answer. */
  #answered(job: Job<I, O>): void {
    job.isAnswered = true
    job.stopListening?.()
  }

  /** Ends the job's share of the limits. */
  #leave(job: Job<I, O>): void {
    if (!job.isAdmitted) return
    job.isAdmitted = false
    this.#taken -= 1
    this.#deadlines.remove(job)
    this.#options.admission.leave(job.subject, job.submission.bytes)
  }

  #resolveIfDone(): void {
    if (this.#isStopping && this.#taken === 0) this.#stopped.resolve()
  }
}

/** Counts what of a run was padding. */
function countTokens(batch: readonly { readonly rows: number; readonly length: number }[], counters: ModelCounters): void {
  const longest = batch.reduce((most, { length }) => Math.max(most, length), 0)
  const own = batch.reduce((sum, { rows, length }) => sum + rows * length, 0)
  counters.padded(own, rowsOf(batch) * longest - own)
}

function rowsOf(batch: readonly { readonly rows: number }[]): number {
  return batch.reduce((sum, { rows }) => sum + rows, 0)
}

/** The instances that can be given a run: those that are idle, and those in one run that may be given the next ahead. */
class Instances<I, O> {
  readonly #mayRunAhead: boolean
  readonly #idle: Instance<I, O>[] = []
  readonly #ahead = new Set<Instance<I, O>>()
  readonly #all = new Set<Instance<I, O>>()

  constructor(mayRunAhead: boolean) {
    this.#mayRunAhead = mayRunAhead
  }

  get hasIdle(): boolean {
    return this.#idle.length > 0
  }

  get idle(): number {
    return this.#idle.length
  }

  get hasAhead(): boolean {
    return this.#ahead.size > 0
  }

  /** Instances that are there, idle or not. */
  get size(): number {
    return this.#all.size
  }

  add(instance: Instance<I, O>): void {
    this.#all.add(instance)
    this.#idle.push(instance)
  }

  remove(instance: Instance<I, O>): void {
    this.#all.delete(instance)
    const index = this.#idle.indexOf(instance)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#ahead.delete(instance)
  }

  /** Takes one that is idle: the one that was busy last, whose memory is warm. */
  takeIdle(): Instance<I, O> | undefined {
    const instance = this.#idle.pop()
    if (instance !== undefined && this.#mayRunAhead) this.#ahead.add(instance)
    return instance
  }

  /** Takes one that is in a run and was given no other yet. */
  takeAhead(): Instance<I, O> | undefined {
    const [instance] = this.#ahead
    if (instance !== undefined) this.#ahead.delete(instance)
    return instance
  }

  /** One has a run less: it is idle, or in the run that it was given ahead. */
  free(instance: Instance<I, O>): void {
    if (!this.#mayRunAhead || this.#ahead.delete(instance)) this.#idle.push(instance)
    else this.#ahead.add(instance)
  }
}

/** How long a subject's requests run apart from others', where a run that it had a part in ended its worker. */
const SHARED_MS = 30_000
/** The same, where the run had only its requests. */
const ALONE_MS = 600_000
/** Subjects that are remembered; beyond it the one that is to be forgotten first goes. */
const SUBJECTS_MAX = 1024

/** A job with its bucket and level in the queue. */
interface Standing {
  readonly subject: string
  readonly submission: { readonly bucket?: string | undefined }
  bucket: string | undefined
  level: number
}

/** Levels of those who are served after all others begin here, behind any that a request may name. */
const LAST_LEVELS = 1_000_000

/**
 * Subjects whose requests may have crashed a worker. They share no runs with other subjects for a while; one whose run was not shared is
 * also served after all others, so that a replaced worker computes something before the next may crash it.
 */
export class Quarantine {
  readonly #clock: Clock
  /** When each is forgotten, and until when it counts as certain. */
  readonly #known = new Map<string, { readonly untilMs: number; readonly isCertain: boolean }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Gives a job the bucket and level that its subject has now. The job must not be queued. */
  assign(job: Standing): void {
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
