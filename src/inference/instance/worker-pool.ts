import type { Clock } from '../../core/clock.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import { bytesOf, joinInputs, type RunInput, rowsOf, splitOutputs } from '../batches.ts'
import type { BatchCheck, BatchTrial } from '../messages.ts'
import { joinPadded, lengthOf, type Padding, splitPadded } from '../padding.ts'
import type { Instance, Outcome } from '../queue/job.ts'
import type { InstanceEnd, StartInstance } from './instance-process.ts'
import type { LoadedInstance, LoadInstance } from './messages.ts'
import { type Answer, type SlotLoss, WorkerSlot } from './worker-slot.ts'

export interface WorkerPoolOptions {
  readonly clock: Clock
  readonly startInstance: StartInstance
  readonly load: Omit<LoadInstance, 'kind'>
  /** Workers that have the model loaded, each with a copy of its weights. */
  readonly instances: number
  /** A run that takes longer ends with its worker. */
  readonly runMsMax: number
  /** Milliseconds that loading, the trial and the warm-up may take in all, before a version serves. */
  readonly loadMsMax: number
  /** Memory that a worker may hold. */
  readonly memoryBytesMax: number
  /** Whether files of the model are others than those that were loaded. */
  readonly hasChanged: () => boolean
  /** Called with what the first worker has loaded; what it throws is why the model cannot serve. */
  readonly described?: ((loaded: LoadedInstance) => void) | undefined
  /** Called where a worker would have to load changed files. */
  readonly stale: () => void
  readonly warn: (message: string) => void
  /** Called for each worker that ended by itself or for a limit. */
  readonly lost: (loss: WorkerLoss) => void
  /** Called when `trouble` changes. */
  readonly changed: () => void
  /** Called for a shared run whose outputs cannot be split. */
  readonly misfit: () => void
}

/** A worker that ended by itself, or was killed for a limit. */
export interface WorkerLoss extends InstanceEnd {
  /** Ids of the requests in the run that it ended in, as far as they have one. */
  readonly requestIds: readonly string[]
}

/** Receives the instances that take runs: the scheduler of the version. */
export interface InstanceConsumer {
  attach(instance: Instance<RunInput, NamedTensors>): void
  detach(instance: Instance<RunInput, NamedTensors>): void
  /** No instance is left, and none could be started. */
  failPending(): void
}

/** Bytes of inputs that are kept to warm up the workers that take the place of others. */
const WARMUP_BYTES_MAX = 16 * 1024 * 1024

/** Workers that end one after the other, without an answer between, before the version is shown as unavailable meanwhile. */
const IN_A_ROW_MAX = 8

interface RunOptions {
  readonly msMax: number
  readonly settle: (outcome: Outcome<NamedTensors>) => void
  /** Somebody asked for it: it is no warm-up. */
  readonly isServed?: boolean
}

/** A run of requests whose inputs have different lengths. */
interface PaddedRun {
  readonly padding: Padding
  readonly rule: Padding['rule']
  readonly lengths: readonly number[]
  readonly longest: number
}

/** A worker died in a run that was a trial, and another has taken its place. */
export class WorkerDied extends Error {}
/** A worker was killed for a limit that it broke in a trial, or none takes the place of one that died: the version cannot serve. */
export class WorkerGone extends Error {}

/** The workers of one version of a model. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #slots: readonly WorkerSlot[]
  readonly #instances: readonly Instance<RunInput, NamedTensors>[]
  /** What each worker computes before it serves: what was computed once without a fault. */
  readonly #warmups: NamedTensors[] = []
  #warmupBytes = 0
  /** Those that have taken the place of another and compute the warm-ups. */
  readonly #warming = new Set<WorkerSlot>()
  readonly #stopped = Promise.withResolvers<void>()
  #loaded: LoadedInstance | undefined
  #consumer: InstanceConsumer | undefined
  #padding: Padding | undefined
  /** Why no worker takes runs, where that is for longer than a moment. */
  #trouble: string | undefined
  /** Who had requests in runs that ended a worker, since the last answer. */
  readonly #deadly = new Set<string>()
  /** When all that comes before serving must be done. */
  #deadlineMs = 0

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.instances }, (_, index) => this.#createSlot(index))
    this.#instances = this.#slots.map((slot) => ({
      run: (inputs, settle) => this.#run(slot, inputs, { msMax: options.runMsMax, settle, isServed: true }),
    }))
  }

  /** Workers that take runs now: they have the model loaded, and are warmed up. */
  get alive(): number {
    return this.#slots.filter((slot) => slot.isAlive && !this.#warming.has(slot)).length
  }

  /** Why the version cannot serve for now; undefined where it does. */
  get trouble(): string | undefined {
    return this.alive > 0 ? undefined : this.#trouble
  }

  /**
   * Loads the model in every worker.
   * @throws Error with the reason why it cannot be loaded
   */
  async start(): Promise<LoadedInstance> {
    const [first, ...others] = this.#slots
    if (first === undefined) throw new Error('there must be a worker')
    this.#beginAnew()
    try {
      this.#loaded = await first.start(this.#leftMs())
      this.#options.described?.(this.#loaded)
      await Promise.all(others.map((slot) => slot.start(this.#leftMs())))
      return this.#loaded
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /**
   * Asks the first worker whether requests may share its runs; what it was tried with cannot be computed elsewhere meanwhile.
   * @throws WorkerDied, WorkerGone
   */
  async check(trial: BatchTrial): Promise<BatchCheck> {
    const [slot] = this.#slots
    if (slot === undefined) throw new Error('there must be a worker')
    const answer = await this.#begun(slot, () => {
      const { promise, resolve } = Promise.withResolvers<Answer>()
      slot.check(trial, this.#leftMs(), resolve)
      return promise
    })
    if (answer.kind === 'lost') {
      this.#tellOf(answer, [])
      await this.#replaced(slot, answer)
    }
    if (answer.kind === 'checked') return answer.check
    return { isSafe: false, reason: answer.kind === 'failed' ? answer.reason : 'it was not tried', rowOutputs: [] }
  }

  /**
   * Computes inputs in every worker, and again in each that takes the place of one, before that serves: 16 MiB of them are kept for it.
   * Gives what the first worker computed.
   * @throws WorkerDied, WorkerGone, Error with the reason why one could not
   */
  async warm(inputs: NamedTensors): Promise<NamedTensors> {
    const [first] = await Promise.all(this.#slots.map((slot) => this.#warmFirst(slot, inputs)))
    if (first === undefined) throw new Error('there must be a worker')
    const bytes = bytesOf(inputs)
    if (this.#warmupBytes + bytes <= WARMUP_BYTES_MAX && !this.#warmups.includes(inputs)) {
      this.#warmups.push(inputs)
      this.#warmupBytes += bytes
    }
    return first
  }

  async #warmFirst(slot: WorkerSlot, inputs: NamedTensors): Promise<NamedTensors> {
    const outcome = await this.#begun(slot, () => this.#warmOne(slot, inputs, this.#leftMs()))
    if (outcome.kind === 'lost') return this.#replaced(slot, outcome)
    if (outcome.kind === 'failed') throw new Error(`The model could not compute this input: ${outcome.reason}`)
    if (outcome.kind === 'rejected') throw outcome.error
    // The cast: one request has one output.
    return outcome.outputs[0] as NamedTensors
  }

  #warmOne(slot: WorkerSlot, inputs: NamedTensors, msMax: number): Promise<Outcome<NamedTensors>> {
    return new Promise((resolve) => this.#run(slot, [{ inputs }], { msMax, settle: resolve }))
  }

  /** Waits until another worker has the place of one that died. @throws WorkerDied then, else WorkerGone */
  async #replaced(slot: WorkerSlot, { cause, isKilled }: Extract<Outcome<never>, { kind: 'lost' }>): Promise<never> {
    if (isKilled) throw new WorkerGone(`${cause} when it was tried, before it serves`)
    await this.#alive(slot)
    throw new WorkerDied(`the worker process ended in it (${cause})`)
  }

  /** Asks again for what had not begun when its process ended. @throws WorkerGone where no other takes its place */
  async #begun<Result extends { readonly kind: string }>(
    slot: WorkerSlot,
    work: () => Promise<Result>,
  ): Promise<Exclude<Result, { readonly kind: 'returned' }>> {
    for (;;) {
      const result = await work()
      // The cast: the compiler does not narrow what it does not know.
      if (result.kind !== 'returned') return result as Exclude<Result, { readonly kind: 'returned' }>
      this.#beginAnew()
      await this.#alive(slot)
    }
  }

  /** Waits until a place has a worker that takes runs. @throws WorkerGone where that takes too long, or the model is stopped */
  async #alive(slot: WorkerSlot): Promise<void> {
    const none = this.#stopped.promise.then(() => Promise.reject(new WorkerGone('the model was stopped')))
    await within(Promise.race([slot.whenAlive(), none]), { ms: this.#leftMs(), clock: this.#options.clock })
  }

  /** What cannot be computed now could be before, and is no reason to have one worker fewer; what ends the worker is not tried again. */
  async #warmAgain(slot: WorkerSlot): Promise<void> {
    this.#warming.add(slot)
    for (const inputs of [...this.#warmups]) {
      const { kind } = await this.#warmOne(slot, inputs, this.#options.runMsMax)
      if (kind === 'lost') this.#warmups.length = 0
    }
    this.#warming.delete(slot)
  }

  /** Pads inputs of different lengths in one run from now on. */
  pad(padding: Padding): void {
    this.#padding = padding
  }

  /** Hands the workers to the scheduler that gives them runs. */
  serve(consumer: InstanceConsumer): void {
    this.#consumer = consumer
    for (const [index, slot] of this.#slots.entries()) {
      const instance = this.#instances[index]
      if (slot.isAlive && instance !== undefined) consumer.attach(instance)
    }
  }

  /** Ends every worker; resolves once their processes are gone. */
  async stop(): Promise<void> {
    this.#stopped.resolve()
    await Promise.all(this.#slots.map((slot) => slot.stop()))
  }

  /** Begins the time before serving: what other models of the process took is none of it. */
  #beginAnew(): void {
    this.#deadlineMs = this.#options.clock.now() + this.#options.loadMsMax
  }

  /** What is left of the time before serving. */
  #leftMs(): number {
    return Math.max(1, this.#deadlineMs - this.#options.clock.now())
  }

  #createSlot(index: number): WorkerSlot {
    const { clock, startInstance, load, loadMsMax, memoryBytesMax, hasChanged, stale, warn } = this.#options
    return new WorkerSlot({
      clock,
      startInstance,
      // One worker tries the tokenizer for all.
      load: index === 0 ? load : { ...load, tokenizer: undefined },
      loadMsMax,
      memoryBytesMax,
      hasChanged,
      on: {
        changed: stale,
        begun: () => this.#beginAnew(),
        ready: () => {
          const slot = this.#slots[index]
          // Lost in its warm-up, it is reported as lost, and the next one follows.
          const attach = () => {
            if (slot?.isAlive !== true) return
            this.#setTrouble(undefined)
            this.#ifServing(index, (consumer, instance) => consumer.attach(instance))
          }
          if (slot === undefined || this.#warmups.length === 0) attach()
          else void this.#warmAgain(slot).then(attach)
        },
        lost: (loss) => {
          this.#ifServing(index, (consumer, instance) => consumer.detach(instance))
          // The outcome of its run reports the loss, with the requests.
          if (loss.wasRunning) return
          this.#tellOf(loss, [])
          if (loss.inARow >= IN_A_ROW_MAX) this.#setTrouble(againAndAgain(loss))
        },
        failedAgain: ({ reason, delayMs, isRefused, inARow }) => {
          warn(`${reason}; another is tried in ${delayMs} ms`)
          // A worker may have been killed from outside: waiting requests stay queued for the next.
          if (this.alive > 0 || (!isRefused && inARow < IN_A_ROW_MAX)) return
          this.#setTrouble(reason)
          this.#consumer?.failPending()
        },
      },
    })
  }

  #answered(slot: WorkerSlot): void {
    slot.answered()
    this.#deadly.clear()
  }

  /** A single caller whose requests crash one worker after the other does not make the version unavailable to others. */
  #lostIn(requests: readonly RunInput[], loss: SlotLoss): void {
    this.#tellOf(
      loss,
      requests.flatMap(({ requestId }) => requestId ?? []),
    )
    for (const { subject = '' } of requests) this.#deadly.add(subject)
    if (loss.inARow >= IN_A_ROW_MAX && this.#deadly.size > 1) this.#setTrouble(againAndAgain(loss))
  }

  #setTrouble(reason: string | undefined): void {
    if (this.#trouble === reason) return
    this.#trouble = reason
    this.#options.changed()
  }

  #tellOf({ delayMs, cause, label, isKilled }: Omit<SlotLoss, 'wasRunning'>, requestIds: readonly string[]): void {
    if (label === 'stopped') return
    const of =
      requestIds.length === 0
        ? ''
        : ` in a run of ${requestIds.length === 1 ? 'the request' : 'the requests'} ${requestIds.join(', ')}`
    this.#options.warn(`the worker process ended (${cause})${of}; it is started again in ${delayMs} ms`)
    this.#options.lost({ cause, label, isKilled, requestIds })
  }

  #ifServing(index: number, work: (consumer: InstanceConsumer, instance: Instance<RunInput, NamedTensors>) => void): void {
    const instance = this.#instances[index]
    if (this.#consumer !== undefined && instance !== undefined) work(this.#consumer, instance)
  }

  #run(slot: WorkerSlot, requests: readonly RunInput[], { msMax, settle, isServed = false }: RunOptions): void {
    const { inputs: specs = [], outputs: outputSpecs = [] } = this.#loaded ?? {}
    const own = requests.map((request) => request.inputs)
    const padded = this.#paddedIn(own)
    const inputs = padded === undefined ? joinInputs(specs, own) : joinPadded(specs, own, padded)
    // Requests of one bucket want the same outputs.
    const names = requests[0]?.outputs
    const rows = requests.map((request) => rowsOf(request.inputs) ?? 1)
    const order = names ?? outputSpecs.map(({ name }) => name)
    slot.run({ inputs, outputs: names }, msMax, (answer) => {
      if (answer.kind === 'lost') this.#lostIn(requests, answer)
      else if (isServed && answer.kind !== 'returned') this.#answered(slot)
      settle(this.#outcomeOf(answer, order, { rows, padded }))
    })
  }

  /** How a run is padded; undefined where its requests have one length. */
  #paddedIn(requests: readonly NamedTensors[]): PaddedRun | undefined {
    const padding = requests.length > 1 ? this.#padding : undefined
    if (padding === undefined) return undefined
    const lengths = requests.map((inputs) => lengthOf(padding.rule, inputs))
    const longest = Math.max(...lengths)
    return lengths.every((length) => length === longest) ? undefined : { padding, rule: padding.rule, lengths, longest }
  }

  #outcomeOf(
    answer: Answer,
    names: readonly string[],
    { rows, padded }: { readonly rows: readonly number[]; readonly padded: PaddedRun | undefined },
  ): Outcome<NamedTensors> {
    if (answer.kind === 'checked') return { kind: 'failed', reason: 'the worker answered something else' }
    if (answer.kind !== 'result') return answer
    const { outputs: tensors, timing } = answer
    if (tensors.length !== names.length)
      return { kind: 'failed', reason: 'the worker gave not as many outputs as were asked for' }
    // The cast: there is an output for every name.
    const named = new Map(names.map((name, index) => [name, tensors[index] as Tensor]))
    const outputs = padded === undefined ? splitOutputs(named, rows) : splitPadded(named, { ...padded, rows })
    if (outputs !== undefined) return { kind: 'done', outputs, timing }
    this.#options.misfit()
    return { kind: 'failed', reason: 'its outputs have not the rows of its inputs' }
  }
}

function againAndAgain({ cause }: InstanceEnd): string {
  return `its worker processes end again and again (${cause})`
}

/** Waits no longer than that. @throws WorkerGone where it takes longer */
async function within(work: Promise<void>, { ms, clock }: { readonly ms: number; readonly clock: Clock }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const callOff = clock.at(clock.now() + ms, () => reject(new WorkerGone('no worker process took the place of one that ended')))
  void work.then(resolve, reject)
  try {
    await promise
  } finally {
    callOff()
  }
}
