import type { Clock } from '../../core/clock.ts'
import type { BatchTrial } from '../messages.ts'
import type { InstanceEnd, InstanceProcess, StartInstance } from './instance-process.ts'
import type { FromInstance, LoadedInstance, LoadInstance, RunMessage } from './messages.ts'

export interface WorkerSlotOptions {
  readonly clock: Clock
  readonly startInstance: StartInstance
  readonly load: Omit<LoadInstance, 'kind'>
  /** Milliseconds that a worker which takes the place of another may take to load the model. */
  readonly loadMsMax: number
  /** Memory that a worker may hold. */
  readonly memoryBytesMax: number
  /** Whether files of the model are others than those that were loaded: what serves is one model, tried as a whole. */
  readonly hasChanged: () => boolean
  readonly on: WorkerSlotEvents
}

export interface WorkerSlotEvents {
  /** A worker has loaded the model, and takes runs. */
  readonly ready: () => void
  /** What it was given begins now, and had to wait for other models of its process: that is none of its time. */
  readonly begun: () => void
  /** A worker ended, and the next starts after `delayMs`. Its runs settle right after this call. */
  readonly lost: (loss: SlotLoss) => void
  /** None can take the place of a worker that ended, since files of the model have changed. */
  readonly changed: () => void
  /** A worker that was to take the place of another did not load the model. */
  readonly failedAgain: (failure: RestartFailure) => void
}

/** A worker that was to take the place of another, and did not. */
export interface RestartFailure {
  readonly reason: string
  /** When the next is tried. */
  readonly delayMs: number
  /** It says itself that the model cannot be loaded; otherwise it ended. */
  readonly isRefused: boolean
  /** Workers of this place that ended one after the other without an answer between. */
  readonly inARow: number
}

/** A worker that ended. */
export interface SlotLoss extends InstanceEnd {
  /** When the next is tried. */
  readonly delayMs: number
  /** Whether it ended in a run; then the run's answer reports it. */
  readonly wasRunning: boolean
  /** Workers of this place that ended one after the other without an answer between. */
  readonly inARow: number
}

/** What became of a run: where its worker died in it, what of; `returned` had not begun. */
export type Answer =
  | Extract<FromInstance, { kind: 'result' | 'failed' | 'checked' }>
  | ({ readonly kind: 'lost' } & SlotLoss)
  | { readonly kind: 'returned' }

interface Run {
  readonly settle: (answer: Answer) => void
  readonly msMax: number
  begunMs: number
}

/** A worker that is lost is replaced after this, doubled each time in a row up to the longest. */
const BACKOFF_MS = 50
const BACKOFF_MS_MAX = 5_000
/** One that lasted longer than this is no more one of several in a row. */
const STEADY_MS = 10_000
/** How often the memory of a worker that is busy is looked at. */
const MEMORY_LOOK_MS = 200

/** The place of one worker process: starts it, hands it runs, kills it where one takes too long, and replaces it when it is lost. */
export class WorkerSlot {
  readonly #options: WorkerSlotOptions
  #worker: InstanceProcess | undefined
  readonly #ending = new Set<Promise<void>>()
  #isLoaded = false
  #isStopped = false
  #lossesInARow = 0
  /** When its worker had loaded the model. */
  #loadedMs = 0
  /** The run that it computes, and what it was given ahead, in order. */
  readonly #runs: Run[] = []
  /** Those who wait for a worker that takes runs. */
  #awaited = Promise.withResolvers<void>()
  #callOffRestart: (() => void) | undefined
  #callOffLimit: (() => void) | undefined
  /** When the limit is looked at next; Infinity where no timer is set. */
  #lookMs = Number.POSITIVE_INFINITY
  #isLoading = false
  #isMemoryWatched = false

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
  start(msMax: number): Promise<LoadedInstance> {
    const { promise, resolve, reject } = Promise.withResolvers<LoadedInstance>()
    this.#start(msMax, { loaded: resolve, failed: (reason) => reject(new Error(reason)) })
    return promise
  }

  /** Resolves once it has a worker that takes runs; never where it is stopped. */
  whenAlive(): Promise<void> {
    return this.#isLoaded ? Promise.resolve() : this.#awaited.promise
  }

  /** Notes an answered request: the next end is the first in a row. */
  answered(): void {
    this.#lossesInARow = 0
  }

  /** Hands over a run, which begins when those before it are done; one that takes longer than `msMax` ends its worker. */
  run(message: RunMessage, msMax: number, settle: (answer: Answer) => void): void {
    this.#hand((worker) => worker.run(message), msMax, settle)
  }

  /** Asks whether rows of several requests may be computed together, as a run. */
  check(trial: BatchTrial, msMax: number, settle: (answer: Answer) => void): void {
    this.#hand((worker) => worker.check(trial), msMax, settle)
  }

  /** Ends the worker and starts no other; resolves once its process is gone. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#callOffRestart?.()
    this.#callOffLimit?.()
    this.#isLoaded = false
    this.#worker?.kill('stopped', 'the model was stopped')
    await Promise.all(this.#ending)
  }

  #hand(send: (worker: InstanceProcess) => void, msMax: number, settle: (answer: Answer) => void): void {
    const run: Run = { settle, msMax, begunMs: this.#options.clock.now() }
    if (this.#worker === undefined || !this.#isLoaded) {
      settle({ kind: 'returned' })
      return
    }
    try {
      send(this.#worker)
    } catch (error) {
      // Nothing was sent, such as where a tensor has more dimensions than a frame can say.
      settle({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
      return
    }
    this.#runs.push(run)
    if (this.#runs.length === 1) this.#watch(run)
    this.#watchMemory()
  }

  #start(
    msMax: number,
    on: { readonly loaded: (result: LoadedInstance) => void; readonly failed: (reason: string, isRefused: boolean) => void },
  ): void {
    const { clock, startInstance, load } = this.#options
    let callOff: () => void = () => undefined
    let hasLoaded = false
    const failed = (reason: string, isRefused = false) => {
      callOff()
      this.#isLoading = false
      this.#worker = undefined
      on.failed(reason, isRefused)
    }
    let worker: InstanceProcess
    try {
      worker = startInstance({
        message: (message) => {
          if (this.#worker !== worker) return
          if (message.kind === 'refused') {
            failed(message.reason, true)
            worker.kill('stopped', 'it could not load the model')
          } else if (message.kind === 'loaded') {
            callOff()
            hasLoaded = true
            this.#loadedMs = clock.now()
            this.#isLoading = false
            this.#isLoaded = !this.#isStopped
            on.loaded(message)
            this.#awaited.resolve()
          } else if (message.kind !== 'unloaded') this.#settle(message)
        },
        begun: () => {
          if (this.#worker !== worker) return
          this.#options.on.begun()
          if (hasLoaded) this.#begun()
          else limit()
        },
        ended: (end) => {
          if (this.#worker !== worker) return
          if (hasLoaded) this.#lost(end)
          else failed(`the worker process ended before ${whatWasLoaded(load)} loaded (${end.cause})`)
        },
      })
    } catch (error) {
      failed(`no worker process can be started: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    this.#worker = worker
    const gone = worker.gone.then(() => void this.#ending.delete(gone))
    this.#ending.add(gone)
    const limit = () => {
      callOff()
      callOff = clock.at(clock.now() + msMax, () => worker.kill('load limit', `loading took more than ${seconds(msMax)}`))
    }
    limit()
    worker.send({ kind: 'load', ...load, memoryBytesMax: this.#options.memoryBytesMax })
    this.#isLoading = true
    this.#watchMemory()
  }

  /** The time of the run that is next begins now. */
  #begun(): void {
    const [run] = this.#runs
    if (run === undefined) return
    run.begunMs = this.#options.clock.now()
    this.#watch(run)
  }

  #settle(answer: Extract<Answer, { kind: 'result' | 'failed' | 'checked' }>): void {
    const run = this.#runs.shift()
    const [next] = this.#runs
    if (next !== undefined) {
      next.begunMs = this.#options.clock.now()
      this.#watch(next)
    }
    run?.settle(answer)
  }

  #lost(end: InstanceEnd): void {
    if (this.#options.clock.now() - this.#loadedMs > STEADY_MS) this.#lossesInARow = 0
    this.#worker = undefined
    this.#isLoaded = false
    this.#awaited = Promise.withResolvers()
    const ahead = this.#runs.splice(0)
    const run = end.isOthers === true ? undefined : ahead.shift()
    // What another model of the process ends of says nothing about this one.
    const delayMs = this.#tryLater(end.isOthers === true ? 0 : 1)
    const loss = { ...end, delayMs, wasRunning: run !== undefined, inARow: this.#lossesInARow }
    if (!this.#isStopped) this.#options.on.lost(loss)
    run?.settle({ kind: 'lost', ...loss })
    for (const { settle } of ahead) settle({ kind: 'returned' })
  }

  /** Starts another worker after a while; gives how long that is. */
  #tryLater(losses: 0 | 1 = 1): number {
    const { clock } = this.#options
    const delayMs = Math.min(BACKOFF_MS * 2 ** this.#lossesInARow, BACKOFF_MS_MAX)
    this.#lossesInARow += losses
    if (!this.#isStopped) this.#callOffRestart = clock.at(clock.now() + delayMs, () => this.#restart(), { keepsAlive: true })
    return delayMs
  }

  /** Starts a worker in the place of one that is not there, and tries again when that fails. */
  #restart(): void {
    const { on, loadMsMax, hasChanged } = this.#options
    const failed = (reason: string, isRefused: boolean) => {
      const delayMs = this.#tryLater()
      if (!this.#isStopped) on.failedAgain({ reason, delayMs, isRefused, inARow: this.#lossesInARow })
    }
    if (hasChanged()) {
      failed('its files have changed since it was loaded; load it again', true)
      on.changed()
    } else this.#start(loadMsMax, { loaded: () => on.ready(), failed })
  }

  /** Sees to the limit of the run that has begun. One timer serves many: most runs end long before it. */
  #watch({ begunMs, msMax }: Run): void {
    const dueMs = begunMs + msMax
    if (dueMs >= this.#lookMs) return
    this.#callOffLimit?.()
    this.#lookMs = dueMs
    this.#callOffLimit = this.#options.clock.at(dueMs, () => this.#look())
  }

  #look(): void {
    this.#lookMs = Number.POSITIVE_INFINITY
    const [run] = this.#runs
    if (run === undefined || this.#isStopped) return
    if (run.begunMs + run.msMax > this.#options.clock.now()) this.#watch(run)
    else this.#worker?.kill('run limit', `a run took more than ${seconds(run.msMax)}`)
  }

  /** Looks at the memory of the worker now and then while it does something. */
  #watchMemory(): void {
    if (this.#isMemoryWatched) return
    const { clock, memoryBytesMax } = this.#options
    this.#isMemoryWatched = true
    clock.at(clock.now() + MEMORY_LOOK_MS, () => {
      this.#isMemoryWatched = false
      const bytes = this.#worker?.residentBytes() ?? 0
      if (bytes > memoryBytesMax)
        this.#worker?.kill('memory limit', `it held ${mebibytes(bytes)} of memory, more than ${mebibytes(memoryBytesMax)}`)
      else if (this.#isLoading || this.#runs.length > 0) this.#watchMemory()
    })
  }
}

/** A tokenizer is loaded by native code of its own. */
function whatWasLoaded({ tokenizer }: WorkerSlotOptions['load']): string {
  return tokenizer === undefined ? 'the model was' : 'the model and its tokenizer were'
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}

function seconds(ms: number): string {
  return `${Number((ms / 1000).toPrecision(3))} s`
}
