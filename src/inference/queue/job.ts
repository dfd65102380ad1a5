import type { Clock } from '../../core/clock.ts'
import type { Queued } from '../../core/fair-queue.ts'
import type { IndexedItem } from '../../core/indexed-set.ts'
import type { RunTiming } from '../statistics.ts'

/** An input to compute, with the limits and the identity of its request. */
export interface Submission<I> {
  readonly input: I
  /** Rows it has; what batches are counted in. */
  readonly rows: number
  /** What it costs beside others, in rows of a run that has as many as there may be; default its rows. */
  readonly cost?: number | undefined
  /** The length that its inputs are padded from; default 0, for those that are not padded. */
  readonly length?: number | undefined
  /** Bytes it holds while it waits and runs. */
  readonly bytes: number
  /** Only requests of one bucket may share a run; one without a bucket runs by itself. */
  readonly bucket?: string | undefined
  readonly subject?: string | undefined
  readonly priority?: number | undefined
  readonly timeoutMs?: number | undefined
  /** Gives it up; a function is asked once it has waited for a while. */
  readonly signal?: AbortSignal | (() => AbortSignal) | undefined
  /** Called with the times of the request once it has its answer. */
  readonly watch?: ((times: JobTimes) => void) | undefined
}

/** When a request came, went to a worker and had its answer, by the scheduler's clock. */
export interface JobTimes {
  readonly takenMs: number
  /** 0 where it never went to a worker. */
  readonly sentMs: number
  readonly endMs: number
  /** Absent where no run gave an answer. */
  readonly run?: JobRun | undefined
  /** Why there is no answer; absent where there is one. */
  readonly error?: unknown
}

/** The run that gave the answer. */
export interface JobRun {
  /** Requests that shared it. */
  readonly requests: number
  /** What the model itself took. */
  readonly computeMs: number
}

/** A submission on its way. */
export interface Job<I, O> extends Queued, IndexedItem {
  readonly submission: Submission<I>
  /** Of its submission, or its subject's own while that runs apart. */
  bucket: string | undefined
  level: number
  readonly takenMs: number
  /** When it times out; Infinity where it does not. */
  readonly deadlineMs: number
  readonly rows: number
  readonly length: number
  /** It waited when the round of its bucket began: those that came later run after it. */
  isInRound: boolean
  /** Its caller's answer. */
  readonly promise: Promise<O>
  readonly resolve: (output: O) => void
  readonly reject: (error: unknown) => void
  /** When it went to a worker; 0 while it waits. */
  sentMs: number
  /** Set with the answer of a watched job. */
  run: JobRun | undefined
  /** Its caller has an answer; what still runs for it is thrown away. */
  isAnswered: boolean
  /** It counts against the limits: it waits, runs, or is discarded once its run is done. */
  isAdmitted: boolean
  /** Set while its signal is listened to. */
  stopListening: (() => void) | undefined
}

/**
 * What became of one run: the answers in the order of the inputs, an error of the model, or the loss of the worker in it, for which the
 * server may have killed it. `returned`: the worker was lost before the run began.
 */
export type Outcome<O> =
  | { readonly kind: 'done'; readonly outputs: readonly O[]; readonly timing: RunTiming }
  | { readonly kind: 'failed'; readonly reason: string }
  /** Of a run of one input: the caller's error. */
  | { readonly kind: 'rejected'; readonly error: Error }
  | { readonly kind: 'lost'; readonly cause: string; readonly isKilled: boolean }
  | { readonly kind: 'returned' }

/** Something that computes one run at a time, and may be given the next while it does. */
export interface Instance<I, O> {
  /** Computes inputs of one bucket together, in the order of the calls, and settles once. */
  run(inputs: readonly I[], settle: (outcome: Outcome<O>) => void): void
}

/** How requests may share a run. */
export interface BatchRules {
  /** Rows of one run that several share; a single request with more still runs, by itself. */
  readonly rowsMax: number
  /** Padded elements (rows × longest length) of one that several share, where inputs are padded; default no limit. */
  readonly tokensMax?: number
  /** Elements of padding that a job may add to a run: what a run of its own would cost. Default none. */
  readonly paddingMax?: number | undefined
  /** Bytes of one run that several share: joining copies them, on the thread that answers HTTP. */
  readonly bytesMax: number
  /** How long the first of a batch waits for others while a worker is idle; 0 does not wait. */
  readonly delayMs: number
}

/** What is given to each request that does not say it, or says more than it may. */
export interface JobRules {
  /** Levels that a request may name; 0 lets no request name one. */
  readonly priorityLevels: number
  /** The level of a request that names none. */
  readonly priorityDefault: number
  /** For requests that name no time of their own, and the longest that one may name. */
  readonly timeoutMs: number
}

/** A job for a submission that came now. */
export function createJob<I, O>(submission: Submission<I>, rules: JobRules, clock: Clock): Job<I, O> {
  const { subject = '', rows, cost = rows, length = 0, priority = 0, timeoutMs = Number.POSITIVE_INFINITY } = submission
  const { promise, resolve, reject } = Promise.withResolvers<O>()
  const nowMs = clock.now()
  const isLevel = Number.isSafeInteger(priority) && priority >= 1 && priority <= rules.priorityLevels
  const job: Job<I, O> = {
    submission,
    bucket: submission.bucket,
    subject,
    level: isLevel ? priority : rules.priorityDefault,
    rows,
    cost,
    length,
    isInRound: false,
    takenMs: nowMs,
    deadlineMs: nowMs + Math.min(timeoutMs, rules.timeoutMs),
    promise,
    resolve,
    reject,
    sentMs: 0,
    run: undefined,
    isAnswered: false,
    isAdmitted: true,
    index: -1,
    stopListening: undefined,
  }
  if (submission.watch !== undefined) watchJob(job, submission.watch, clock)
  return job
}

/** Calls a watcher when the answer is there, or with the error. */
function watchJob<I, O>(job: Job<I, O>, watch: (times: JobTimes) => void, clock: Clock): void {
  const { takenMs } = job
  const report = (error?: unknown) => watch({ takenMs, sentMs: job.sentMs, endMs: clock.now(), run: job.run, error })
  job.promise.then(() => report(), report)
}
