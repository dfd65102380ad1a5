import { Distribution, type DistributionSnapshot, SECONDS_BOUNDS } from '../core/distribution.ts'

/** How often something happened, and how long it took in all. */
export interface Duration {
  readonly count: number
  readonly ns: number
}

/** Requests for one version that were rejected for one reason. */
export interface Rejections {
  readonly model: string
  readonly version: string
  readonly reason: RejectionReason
  readonly count: number
}

/** Why a request was refused before it was computed. */
export type RejectionReason =
  | 'queue-full'
  | 'subject-limit'
  | 'subject-bytes'
  | 'timeout'
  | 'aborted'
  | 'worker-lost'
  | 'stopping'

/** Runs of one number of rows. */
export interface BatchStatistics {
  readonly rows: number
  readonly computeInput: Duration
  readonly computeInfer: Duration
  readonly computeOutput: Duration
}

/** What the cache of one model version has done, and holds. */
export interface ResponseCacheStatistics {
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly entries: number
  readonly bytes: number
}

/** What one version of a model has done since it was loaded; durations count requests, and are sums in nanoseconds. */
export interface ModelStatistics {
  readonly model: string
  readonly version: string
  /** Milliseconds since 1970 of the last request that was computed; 0 when none was. */
  readonly lastInferenceMs: number
  /** Rows computed. */
  readonly inferenceCount: number
  /** Elements of the inputs that may be padded, and of their padding, of all runs; absent where inputs are not padded. */
  readonly tokens?: Readonly<Record<'own' | 'padding', number>>
  /** Runs of the model; fewer than requests where several share one. */
  readonly executionCount: number
  readonly success: Duration
  readonly fail: Duration
  readonly queue: Duration
  readonly computeInput: Duration
  readonly computeInfer: Duration
  readonly computeOutput: Duration
  readonly cacheHit: Duration
  readonly cacheMiss: Duration
  /** Seconds that requests waited which were computed then. */
  readonly queueTimes: DistributionSnapshot
  /** Seconds of the runs of the model. */
  readonly computeTimes: DistributionSnapshot
  /** By number of rows, smallest first. */
  readonly batches: readonly BatchStatistics[]
  /** Requests that wait, and that are with a worker, now. */
  readonly waiting: number
  readonly running: number
  /** Workers that have the model loaded, now. */
  readonly workersAlive: number
  /** What its cache of answers has done, and holds; absent where it has none. */
  readonly cache?: ResponseCacheStatistics
  readonly rejected: Readonly<Record<RejectionReason, number>>
  /** Worker processes that ended by themselves or for a limit, by the signal, exit code or limit. */
  readonly ends: Readonly<Record<string, number>>
}

/** What a run took, by its parts. */
export interface RunTiming {
  readonly inputNs: number
  readonly inferNs: number
  readonly outputNs: number
}

/** What is not counted but looked up when somebody asks. */
export type Gauges = Pick<ModelStatistics, 'waiting' | 'running' | 'workersAlive' | 'cache'>

const REASONS: readonly RejectionReason[] = [
  'queue-full',
  'subject-limit',
  'subject-bytes',
  'timeout',
  'aborted',
  'worker-lost',
  'stopping',
]
/** Numbers of rows that are told apart; runs of others are counted in all sums but in no row of `batches`. */
const BATCH_SIZES_MAX = 256

/** Of each run, what its time counts for in the time that a request is thought to take. */
const RECENT = 0.2
/** Who is told to come back is not told to stay away. */
const RETRY_SECONDS_MAX = 60

/** A small model takes less than what a request does. */
const TIMES_BOUNDS = [0.0001, 0.00025, ...SECONDS_BOUNDS]

class Sum {
  count = 0
  ns = 0

  add(ns: number, count = 1): void {
    this.count += count
    this.ns += Math.round(ns) * count
  }

  get duration(): Duration {
    return { count: this.count, ns: this.ns }
  }
}

/** Counts what one version of a model does. */
export class ModelCounters {
  #success = new Sum()
  #fail = new Sum()
  #queue = new Sum()
  #run = newRunSums()
  #queueTimes = new Distribution(TIMES_BOUNDS)
  #computeTimes = new Distribution(TIMES_BOUNDS)
  readonly #cacheHit = new Sum()
  #cacheMiss = new Sum()
  readonly #batches = new Map<number, RunSums>()
  readonly #rejected = new Map<RejectionReason, number>()
  readonly #ends = new Map<string, number>()
  #lastInferenceMs = 0
  /** What a request has taken of an instance lately, in milliseconds; undefined before the first. */
  #msPerRequest: number | undefined
  #inferenceCount = 0
  #executionCount = 0
  readonly #tokens = { own: 0, padding: 0 }

  /** Forgets the runs so far: warm-up runs belong to no request. */
  forgetRuns(): void {
    this.#success = new Sum()
    this.#fail = new Sum()
    this.#queue = new Sum()
    this.#cacheMiss = new Sum()
    this.#run = newRunSums()
    this.#queueTimes = new Distribution(TIMES_BOUNDS)
    this.#computeTimes = new Distribution(TIMES_BOUNDS)
    this.#batches.clear()
    this.#msPerRequest = undefined
    this.#lastInferenceMs = 0
    this.#inferenceCount = 0
    this.#executionCount = 0
    this.#tokens.own = 0
    this.#tokens.padding = 0
  }

  /** One run of the model, for that many requests with that many rows in all. */
  ran(
    timing: RunTiming,
    { requests, rows, nowMs }: { readonly requests: number; readonly rows: number; readonly nowMs: number },
  ) {
    this.#executionCount += 1
    this.#inferenceCount += rows
    this.#lastInferenceMs = nowMs
    this.#computeTimes.observe(timing.inferNs / 1e9)
    const ms = timing.inferNs / 1e6 / requests
    this.#msPerRequest = this.#msPerRequest === undefined ? ms : this.#msPerRequest + RECENT * (ms - this.#msPerRequest)
    addRun(this.#run, timing, requests)
    const known = this.#batches.get(rows)
    if (known !== undefined) addRun(known, timing, 1)
    else if (this.#batches.size < BATCH_SIZES_MAX) {
      const sums = newRunSums()
      this.#batches.set(rows, sums)
      addRun(sums, timing, 1)
    }
  }

  /** The lengths of a run: those of its requests in sum, and what pads them to the longest. */
  padded(own: number, padding: number): void {
    this.#tokens.own += own
    this.#tokens.padding += padding
  }

  /** A request that was computed: the time since it came, and the part of it that it waited. */
  succeeded(totalNs: number, queueNs: number): void {
    this.#success.add(totalNs)
    this.#queue.add(queueNs)
    this.#queueTimes.observe(queueNs / 1e9)
  }

  /** A request that came to nothing after it was taken. */
  failed(totalNs: number): void {
    this.#fail.add(totalNs)
  }

  /** Seconds in which so many instances will be done with so many requests, as runs go lately: 1 to 60. */
  secondsFor(requests: number, instances: number): number {
    const seconds = (requests * (this.#msPerRequest ?? 0)) / 1000 / Math.max(1, instances)
    return Math.min(RETRY_SECONDS_MAX, Math.max(1, Math.ceil(seconds)))
  }

  rejected(reason: RejectionReason, count = 1): void {
    this.#rejected.set(reason, (this.#rejected.get(reason) ?? 0) + count)
  }

  /** A worker process that ended by itself, or was killed for a limit. */
  ended(label: string): void {
    this.#ends.set(label, (this.#ends.get(label) ?? 0) + 1)
  }

  /** A request that was answered from the cache. */
  hit(ns: number): void {
    this.#cacheHit.add(ns)
    this.#success.add(ns)
  }

  /** A request that the cache could not answer: the time of looking, and of keeping what was computed. */
  missed(ns: number): void {
    this.#cacheMiss.add(ns)
  }

  /** All of it as plain data. */
  snapshot(model: string, version: string, gauges: Gauges): ModelStatistics {
    return {
      model,
      version,
      lastInferenceMs: this.#lastInferenceMs,
      inferenceCount: this.#inferenceCount,
      executionCount: this.#executionCount,
      ...(this.#tokens.own > 0 && { tokens: { ...this.#tokens } }),
      success: this.#success.duration,
      fail: this.#fail.duration,
      queue: this.#queue.duration,
      ...durationsOf(this.#run),
      cacheHit: this.#cacheHit.duration,
      cacheMiss: this.#cacheMiss.duration,
      queueTimes: this.#queueTimes.snapshot(),
      computeTimes: this.#computeTimes.snapshot(),
      batches: [...this.#batches].sort(([a], [b]) => a - b).map(([rows, sums]) => ({ rows, ...durationsOf(sums) })),
      ...gauges,
      // The cast: every reason is a key.
      rejected: Object.fromEntries(
        REASONS.map((reason) => [reason, this.#rejected.get(reason) ?? 0]),
      ) as ModelStatistics['rejected'],
      ends: Object.fromEntries(this.#ends),
    }
  }
}

interface RunSums {
  readonly input: Sum
  readonly infer: Sum
  readonly output: Sum
}

function newRunSums(): RunSums {
  return { input: new Sum(), infer: new Sum(), output: new Sum() }
}

function addRun({ input, infer, output }: RunSums, { inputNs, inferNs, outputNs }: RunTiming, count: number): void {
  input.add(inputNs, count)
  infer.add(inferNs, count)
  output.add(outputNs, count)
}

function durationsOf({ input, infer, output }: RunSums): Omit<BatchStatistics, 'rows'> {
  return { computeInput: input.duration, computeInfer: infer.duration, computeOutput: output.duration }
}
