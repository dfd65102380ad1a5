import { VestalError } from '../core/errors.ts'
import { never } from '../core/invariant.ts'
import type { NamedTensors } from '../tensor/tensor.ts'
import type { FromWorker, LoadResult, ModelSource, ToWorker } from './messages.ts'
import type { Gauges, ModelCounters } from './statistics.ts'

/** Requests that wait or run by default; one more is refused with 503. */
export const QUEUE_MAX = 128
/** Runs that are with the worker at once: one computes, and the next is there when it is done. */
const SENT_MAX = 2
/** A worker that is lost is replaced after this, doubled each time in a row up to the longest. */
const BACKOFF_MS = 50
const BACKOFF_MS_MAX = 5_000

export interface WorkerClientOptions {
  readonly sources: readonly ModelSource[]
  /** Threads that one run may use. */
  readonly threads: number
  readonly queueMax: number
  readonly warn: (message: string) => void
  /** Starts the thread; a test may hand in its own. */
  readonly startWorker: () => Worker
}

export interface RunRequest {
  readonly key: string
  readonly inputs: NamedTensors
  readonly outputs?: readonly string[]
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  /** Rows of the request, for the statistics. */
  readonly rows: number
  readonly counters: ModelCounters
}

interface Job {
  readonly id: number
  readonly request: RunRequest
  readonly resolve: (outputs: NamedTensors) => void
  readonly reject: (error: unknown) => void
  readonly takenNs: number
  sentNs: number
}

/** Keeps one worker alive and hands it runs in order, a bounded number at a time. */
export class WorkerClient {
  readonly #options: WorkerClientOptions
  readonly #waiting = new Map<number, Job>()
  readonly #sent = new Map<number, Job>()
  #worker: Worker | undefined
  #isLoaded = false
  #isStopping = false
  #lossesInARow = 0
  #nextId = 1
  #restart: ReturnType<typeof setTimeout> | undefined
  #idle = Promise.withResolvers<void>()

  constructor(options: WorkerClientOptions) {
    this.#options = options
  }

  /** True while the worker has its models loaded and takes work. */
  get isReady(): boolean {
    return this.#isLoaded && !this.#isStopping
  }

  /** Starts the worker and gives what became of each model file. */
  start(): Promise<readonly LoadResult[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly LoadResult[]>()
    this.#startWorker(resolve, reject)
    return promise
  }

  /**
   * Runs a model once its turn has come.
   * @throws VestalError QUEUE_FULL, WORKER_LOST, SERVER_STOPPING, INFERENCE_FAILED, REQUEST_ABORTED
   */
  run(request: RunRequest): Promise<NamedTensors> {
    const { signal, timeoutMs } = request
    this.#refuse(request)
    const { promise, resolve, reject } = Promise.withResolvers<NamedTensors>()
    const id = this.#nextId++
    const onAbort = () => this.#giveUp(id, new VestalError('REQUEST_ABORTED'))
    const expire = () => this.#giveUp(id, new VestalError('REQUEST_TIMEOUT'))
    signal?.addEventListener('abort', onAbort, { once: true })
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs)
    this.#waiting.set(id, { id, request, resolve, reject, takenNs: Bun.nanoseconds(), sentNs: 0 })
    this.#sendNext()
    return promise.finally(() => {
      signal?.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    })
  }

  /** What waits and runs of one model version, now. */
  gauges(key: string): Gauges {
    const count = (jobs: ReadonlyMap<number, Job>) => [...jobs.values()].filter(({ request }) => request.key === key).length
    return { waiting: count(this.#waiting), running: count(this.#sent), workersAlive: this.#isLoaded ? 1 : 0 }
  }

  #refuse({ signal, counters }: RunRequest): void {
    if (this.#isStopping) {
      counters.rejected('stopping')
      throw new VestalError('SERVER_STOPPING', { headers: { 'retry-after': '1' } })
    }
    if (signal?.aborted === true) {
      counters.rejected('aborted')
      throw new VestalError('REQUEST_ABORTED')
    }
    if (this.#waiting.size + this.#sent.size >= this.#options.queueMax) {
      counters.rejected('queue-full')
      throw new VestalError('QUEUE_FULL', { headers: { 'retry-after': '1' } })
    }
  }

  /** Refuses new work, lets what waits and runs finish, and ends the worker when it is idle: never in the middle of a run. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#resolveIfIdle()
    await this.#idle.promise
    clearTimeout(this.#restart)
    this.#worker?.terminate()
    this.#worker = undefined
  }

  #startWorker(loaded: (results: readonly LoadResult[]) => void, failed: (error: unknown) => void): void {
    const { sources, threads, startWorker } = this.#options
    const worker = startWorker()
    this.#worker = worker
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.kind !== 'loaded') return this.#onAnswer(data)
      this.#isLoaded = true
      loaded(data.results)
      this.#sendNext()
    }
    const onLost = (event: Event) => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      if (this.#isLoaded) this.#onLost()
      else {
        failed(
          new Error(`the worker ended before its models were loaded${event instanceof ErrorEvent ? `: ${event.message}` : ''}`),
        )
      }
    }
    worker.addEventListener('close', onLost)
    worker.addEventListener('error', (event) => {
      // An uncaught error may leave the thread alive, and nobody knows in what state.
      worker.terminate()
      onLost(event)
    })
    this.#post(worker, { kind: 'load', sources, threads })
  }

  #onAnswer(answer: Exclude<FromWorker, { kind: 'loaded' }>): void {
    this.#lossesInARow = 0
    const job = this.#sent.get(answer.id)
    this.#sent.delete(answer.id)
    if (job !== undefined) count(answer, job)
    switch (answer.kind) {
      case 'result':
        job?.resolve(new Map(answer.outputs))
        break
      case 'failed':
        job?.reject(new VestalError('INFERENCE_FAILED', { detail: `The model could not compute this input: ${answer.reason}` }))
        break
      default:
        never(answer)
    }
    this.#sendNext()
    this.#resolveIfIdle()
  }

  /** What was sent may have been computed or not, so its callers are told; what waits is kept for the next worker. */
  #onLost(): void {
    this.#isLoaded = false
    for (const job of this.#sent.values()) {
      job.request.counters.rejected('worker-lost')
      job.reject(new VestalError('WORKER_LOST', { headers: { 'retry-after': '1' } }))
    }
    this.#sent.clear()
    this.#resolveIfIdle()
    const delayMs = Math.min(BACKOFF_MS * 2 ** this.#lossesInARow, BACKOFF_MS_MAX)
    this.#lossesInARow += 1
    this.#options.warn(`the inference worker ended unexpectedly; it is started again in ${delayMs} ms`)
    const again = (error: unknown) => {
      this.#options.warn(String(error))
      for (const job of this.#waiting.values()) job.reject(new VestalError('WORKER_LOST', { headers: { 'retry-after': '5' } }))
      this.#waiting.clear()
      this.#onLost()
    }
    this.#restart = setTimeout(() => this.#startWorker(() => undefined, again), delayMs)
  }

  #giveUp(id: number, error: VestalError): void {
    const job = this.#waiting.get(id) ?? this.#sent.get(id)
    // A run that was sent goes on, since ONNX Runtime cannot be interrupted; its place is taken until it is done.
    this.#waiting.delete(id)
    job?.request.counters.rejected(error.code === 'REQUEST_ABORTED' ? 'aborted' : 'timeout')
    job?.reject(error)
    this.#resolveIfIdle()
  }

  #sendNext(): void {
    const worker = this.#worker
    if (worker === undefined || !this.#isLoaded) return
    for (const [id, job] of this.#waiting) {
      if (this.#sent.size >= SENT_MAX) return
      this.#waiting.delete(id)
      this.#sent.set(id, job)
      job.sentNs = Bun.nanoseconds()
      const { key, inputs, outputs } = job.request
      this.#post(worker, { kind: 'run', id, key, inputs: [...inputs], ...(outputs && { outputs }) })
    }
  }

  #post(worker: Worker, message: ToWorker): void {
    worker.postMessage(message, message.kind === 'run' ? buffersOf(message.inputs) : [])
  }

  #resolveIfIdle(): void {
    if (this.#isStopping && this.#waiting.size === 0 && this.#sent.size === 0) this.#idle.resolve()
  }
}

function count(answer: Exclude<FromWorker, { kind: 'loaded' }>, { request, takenNs, sentNs }: Job): void {
  const { counters, rows } = request
  const totalNs = Bun.nanoseconds() - takenNs
  if (answer.kind === 'failed') {
    counters.failed(totalNs)
    return
  }
  counters.ran(answer.timing, { requests: 1, rows, nowMs: Date.now() })
  counters.succeeded(totalNs, sentNs - takenNs)
}

/**
 * The memory of a request's tensors is moved to the worker, not copied. It is the request's alone: a tensor may be a view of its body,
 * together with others.
 */
function buffersOf(inputs: Extract<ToWorker, { kind: 'run' }>['inputs']): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>()
  for (const [, { data }] of inputs) {
    if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer)
  }
  return [...buffers]
}
