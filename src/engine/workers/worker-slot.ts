import { endReason } from '../load-reason.ts'
import type { FromWorker, Loaded, ToWorker } from '../messages.ts'
import type { Clock } from '../scheduling/clock.ts'

export interface WorkerSlotOptions {
  readonly clock: Clock
  /** Starts the thread; a test may hand in its own. */
  readonly startWorker: () => Worker
  /** What a worker is told first. */
  readonly load: Extract<ToWorker, { kind: 'load' }>
  /** A run that takes longer is given up: its worker is left to itself, and another takes its place. */
  readonly runMsMax: number
  /** Asks whether one more worker may be left to itself. */
  readonly mayAbandon: () => boolean
  readonly on: WorkerSlotEvents
}

export interface WorkerSlotEvents {
  /** A worker has loaded the model, and takes runs. */
  readonly ready: () => void
  /** There is no worker; `delayMs` is when the next is tried. */
  readonly lost: (reason: string, delayMs: number) => void
  /** A worker that was to take the place of another could not load the model. */
  readonly failedAgain: () => void
  /** A worker was left to itself in the middle of a run. */
  readonly abandoned: (worker: Worker) => void
}

export type Answer = Extract<FromWorker, { kind: 'result' | 'failed' | 'checked' }> | { readonly kind: 'lost' }

interface Run {
  readonly settle: (answer: Answer) => void
  begunMs: number
}

/** A worker that is lost is replaced after this, doubled each time in a row up to the longest. */
const BACKOFF_MS = 50
const BACKOFF_MS_MAX = 5_000
/** How often a run that is too long is looked at again while no worker may be left to itself. */
const LOOK_AGAIN_MS = 1_000

/** The place of one worker: starts it, hands it one run at a time, and replaces it when it is lost. It never ends one in a run. */
export class WorkerSlot {
  readonly #options: WorkerSlotOptions
  #worker: Worker | undefined
  #isLoaded = false
  #isStopped = false
  #lossesInARow = 0
  /** The run that it computes, and what it was given ahead, in order. */
  readonly #runs: Run[] = []
  #callOffRestart: (() => void) | undefined
  #isWatched = false

  constructor(options: WorkerSlotOptions) {
    this.#options = options
  }

  /** True while it has a worker with the model loaded. */
  get isAlive(): boolean {
    return this.#isLoaded
  }

  /**
   * Starts the first worker.
   * @throws Error with the reason why the model cannot be loaded
   */
  start(): Promise<Loaded> {
    const { promise, resolve, reject } = Promise.withResolvers<Loaded>()
    this.#start(resolve, (reason) => reject(new Error(reason)))
    return promise
  }

  /** Starts a worker in the place of one that is not there, and tries again when that fails. */
  restart(): void {
    this.#start(
      () => this.#options.on.ready(),
      (reason) => {
        this.#tryLater(reason)
        this.#options.on.failedAgain()
      },
    )
  }

  /** Hands over a run, which begins when those before it are done. Buffers that are moved are gone here. */
  run(message: Extract<ToWorker, { kind: 'run' | 'check' }>, buffers: ArrayBuffer[], settle: (answer: Answer) => void): void {
    const { clock, runMsMax } = this.#options
    const run: Run = { settle, begunMs: clock.now() }
    if (this.#worker === undefined) {
      settle({ kind: 'lost' })
      return
    }
    try {
      this.#worker.postMessage(message satisfies ToWorker, buffers)
    } catch (error) {
      // Nothing was sent, such as where a buffer was moved elsewhere before.
      settle({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
      return
    }
    this.#runs.push(run)
    if (!this.#isWatched) this.#watch(runMsMax)
  }

  /** Ends the worker, which must be idle, and starts no other. */
  stop(): void {
    this.#isStopped = true
    this.#callOffRestart?.()
    if (this.#worker !== undefined) endSoon(this.#worker)
    this.#isLoaded = false
    this.#worker = undefined
  }

  #start(loaded: (result: Loaded) => void, failed: (reason: string) => void): void {
    const worker = this.#options.startWorker()
    this.#worker = worker
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (this.#worker !== worker) return
      if (data.kind === 'loaded') {
        this.#isLoaded = true
        loaded(data)
      } else if (data.kind === 'refused') {
        this.#worker = undefined
        endSoon(worker)
        failed(data.reason)
      } else {
        this.#lossesInARow = 0
        this.#settle(data)
      }
    }
    const onLost = (event: Event) => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      if (this.#isLoaded) return this.#lost('the worker ended unexpectedly')
      failed(`the worker ended before the model was loaded${event instanceof ErrorEvent ? `: ${endReason(event.message)}` : ''}`)
    }
    worker.addEventListener('close', onLost)
    worker.addEventListener('error', (event) => {
      // An uncaught error may leave the thread alive, and nobody knows in what state.
      if (this.#worker === worker) endSoon(worker)
      onLost(event)
    })
    worker.postMessage(this.#options.load)
  }

  #settle(answer: Answer): void {
    const run = this.#runs.shift()
    const [next] = this.#runs
    if (next !== undefined) next.begunMs = this.#options.clock.now()
    run?.settle(answer)
  }

  #lost(reason: string): void {
    this.#isLoaded = false
    this.#tryLater(reason)
    for (const { settle } of this.#runs.splice(0)) settle({ kind: 'lost' })
  }

  #tryLater(reason: string): void {
    if (this.#isStopped) return
    const { clock, on } = this.#options
    const delayMs = Math.min(BACKOFF_MS * 2 ** this.#lossesInARow, BACKOFF_MS_MAX)
    this.#lossesInARow += 1
    this.#callOffRestart = clock.at(clock.now() + delayMs, () => this.restart(), { keepsAlive: true })
    on.lost(reason, delayMs)
  }

  /** One timer looks after all runs of the slot: most end long before it fires. */
  #watch(afterMs: number): void {
    const { clock, runMsMax, mayAbandon } = this.#options
    this.#isWatched = true
    clock.at(clock.now() + afterMs, () => {
      this.#isWatched = false
      const [run] = this.#runs
      if (run === undefined || this.#isStopped) return
      const leftMs = run.begunMs + runMsMax - clock.now()
      if (leftMs > 0) return this.#watch(leftMs)
      if (!mayAbandon()) return this.#watch(LOOK_AGAIN_MS)
      this.#abandon()
    })
  }

  #abandon(): void {
    const worker = this.#worker
    this.#worker = undefined
    if (worker !== undefined) {
      endSoon(worker)
      this.#options.on.abandoned(worker)
    }
    this.#lost('a run took too long')
  }
}

/**
 * Lets a worker end itself when it has done what it is at. `terminate` is never called: where it meets ONNX Runtime's native code, an
 * error that nobody can catch ends the whole process.
 */
function endSoon(worker: Worker): void {
  worker.postMessage({ kind: 'end' } satisfies ToWorker)
  worker.unref()
}
