import { copyData, type NamedTensors, type Tensor } from '../../tensor/tensor.ts'
import { bytesOf, joinInputs, type RunInput, rowsOf, splitOutputs } from '../batches.ts'
import type { BatchCheck, BatchTrial, Loaded, ToWorker } from '../messages.ts'
import type { Clock } from '../scheduling/clock.ts'
import type { Instance, Outcome } from '../scheduling/job.ts'
import { pack } from '../transfer.ts'
import { type Answer, WorkerSlot } from './worker-slot.ts'

export interface WorkerPoolOptions {
  readonly clock: Clock
  readonly startWorker: () => Worker
  readonly load: Omit<Extract<ToWorker, { kind: 'load' }>, 'kind'>
  /** Workers that have the model loaded, each with a copy of its weights. */
  readonly instances: number
  readonly runMsMax: number
  readonly warn: (message: string) => void
  /** Hears of a shared run whose outputs cannot be shared out. */
  readonly misfit: () => void
}

/** Who is told which instances take runs. */
export interface InstanceKeeper {
  attach(instance: Instance<RunInput, NamedTensors>): void
  detach(instance: Instance<RunInput, NamedTensors>): void
  /** No instance is left, and none could be started. */
  despair(): void
}

/** Workers of one model version that are left to themselves at once, in runs that do not end; one more is waited for. */
const ABANDONED_MAX = 2

/** Bytes of inputs that are kept to warm up the workers that take the place of others. */
const WARMUP_BYTES_MAX = 16 * 1024 * 1024

/** The workers of one version of a model. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #slots: readonly WorkerSlot[]
  readonly #instances: readonly Instance<RunInput, NamedTensors>[]
  readonly #abandoned = new Set<Worker>()
  /** What each worker computes before it serves. */
  readonly #warmups: NamedTensors[] = []
  #warmupBytes = 0
  /** Those that have taken the place of another and compute the warm-ups. */
  readonly #warming = new Set<WorkerSlot>()
  #loaded: Loaded | undefined
  #keeper: InstanceKeeper | undefined

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.instances }, (_, index) => this.#createSlot(index))
    this.#instances = this.#slots.map((slot) => ({ run: (inputs, settle) => this.#run(slot, inputs, settle) }))
  }

  /** Workers that take runs now: they have the model loaded, and are warmed up. */
  get alive(): number {
    return this.#slots.filter((slot) => slot.isAlive && !this.#warming.has(slot)).length
  }

  /**
   * Loads the model in every worker.
   * @throws Error with the reason why it cannot be loaded
   */
  async start(): Promise<Loaded> {
    const [first, ...others] = this.#slots
    if (first === undefined) throw new Error('there must be a worker')
    try {
      this.#loaded = await first.start()
      await Promise.all(others.map((slot) => slot.start()))
      return this.#loaded
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /**
   * Asks the first worker whether requests may share its runs; what it was tried with cannot be computed elsewhere meanwhile.
   * @throws Error where it ended over that
   */
  async check(trial: BatchTrial): Promise<BatchCheck> {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    this.#slots[0]?.run({ kind: 'check', trial }, [], resolve)
    const answer = await promise
    if (answer.kind === 'lost') throw new Error('the worker ended while it was tried whether its rows can be computed together')
    if (answer.kind === 'checked') return answer.check
    return { isSafe: false, reason: answer.kind === 'failed' ? answer.reason : 'it was not tried', rowOutputs: [] }
  }

  /**
   * Computes inputs in every worker, and again in each that takes the place of one, before that serves: 16 MiB of them are kept for it.
   * Gives what the first worker computed.
   * @throws Error with the reason why one could not
   */
  async warm(inputs: NamedTensors): Promise<NamedTensors> {
    const bytes = bytesOf(inputs)
    if (this.#warmupBytes + bytes <= WARMUP_BYTES_MAX && !this.#warmups.includes(inputs)) {
      this.#warmups.push(inputs)
      this.#warmupBytes += bytes
    }
    const [first] = await Promise.all(this.#slots.map((slot) => this.#warmOne(slot, inputs)))
    if (first === undefined) throw new Error('there must be a worker')
    return first
  }

  async #warmOne(slot: WorkerSlot, inputs: NamedTensors): Promise<NamedTensors> {
    const { promise, resolve } = Promise.withResolvers<Outcome<NamedTensors>>()
    // Copies: what is sent is gone here, and the next worker computes the same.
    const copies = new Map([...inputs].map(([name, tensor]) => [name, { ...tensor, data: copyData(tensor.data) }]))
    this.#run(slot, [{ inputs: copies }], resolve)
    const outcome = await promise
    if (outcome.kind === 'lost') throw new Error('the worker ended in it')
    if (outcome.kind === 'failed') throw new Error(`The model could not compute this input: ${outcome.reason}`)
    // The cast: one request has one output.
    return outcome.outputs[0] as NamedTensors
  }

  /** What cannot be computed now could be before, and is no reason to have one worker fewer; what ends the worker is not tried again. */
  async #warmAgain(slot: WorkerSlot): Promise<void> {
    this.#warming.add(slot)
    for (const inputs of [...this.#warmups]) {
      await this.#warmOne(slot, inputs).catch(() => undefined)
      if (!slot.isAlive) this.#warmups.length = 0
    }
    this.#warming.delete(slot)
  }

  /** Hands the workers to whoever gives them runs. */
  serve(keeper: InstanceKeeper): void {
    this.#keeper = keeper
    for (const [index, slot] of this.#slots.entries()) {
      const instance = this.#instances[index]
      if (slot.isAlive && instance !== undefined) keeper.attach(instance)
    }
  }

  /** Ends every worker; none may be in a run. One that was left to itself ends when its run does. */
  stop(): void {
    for (const slot of this.#slots) slot.stop()
  }

  #createSlot(index: number): WorkerSlot {
    const { clock, startWorker, load, runMsMax, warn } = this.#options
    return new WorkerSlot({
      clock,
      startWorker,
      load: { kind: 'load', ...load },
      runMsMax,
      mayAbandon: () => this.#abandoned.size < ABANDONED_MAX,
      on: {
        ready: () => {
          const slot = this.#slots[index]
          // Lost in its warm-up, it is told of as lost, and this is the turn of the next.
          const attach = () => slot?.isAlive === true && this.#ifServing(index, (keeper, instance) => keeper.attach(instance))
          if (slot === undefined || this.#warmups.length === 0) attach()
          else void this.#warmAgain(slot).then(attach)
        },
        lost: (reason, delayMs) => {
          warn(`${reason}; it is started again in ${delayMs} ms`)
          this.#ifServing(index, (keeper, instance) => keeper.detach(instance))
        },
        failedAgain: () => {
          if (this.alive === 0) this.#keeper?.despair()
        },
        abandoned: (worker) => {
          this.#abandoned.add(worker)
          worker.addEventListener('close', () => this.#abandoned.delete(worker))
        },
      },
    })
  }

  #ifServing(index: number, work: (keeper: InstanceKeeper, instance: Instance<RunInput, NamedTensors>) => void): void {
    const instance = this.#instances[index]
    if (this.#keeper !== undefined && instance !== undefined) work(this.#keeper, instance)
  }

  #run(slot: WorkerSlot, requests: readonly RunInput[], settle: (outcome: Outcome<NamedTensors>) => void): void {
    const { inputs: specs = [], outputs: outputSpecs = [] } = this.#loaded ?? {}
    const inputs = joinInputs(
      specs,
      requests.map(({ inputs }) => inputs),
    )
    const { tensors, buffers } = pack(inputs)
    // Requests of one bucket want the same outputs.
    const names = requests[0]?.outputs
    const rows = requests.map((request) => rowsOf(request.inputs) ?? 1)
    const order = names ?? outputSpecs.map(({ name }) => name)
    slot.run({ kind: 'run', inputs: tensors, outputs: names }, buffers, (answer) => settle(this.#outcomeOf(answer, order, rows)))
  }

  #outcomeOf(answer: Answer, names: readonly string[], rows: readonly number[]): Outcome<NamedTensors> {
    if (answer.kind === 'checked') return { kind: 'failed', reason: 'the worker answered something else' }
    if (answer.kind !== 'result') return answer
    // The cast: a worker gives an output for every name.
    const outputs = splitOutputs(new Map(names.map((name, index) => [name, answer.outputs[index] as Tensor])), rows)
    if (outputs !== undefined) return { kind: 'done', outputs, timing: answer.timing }
    this.#options.misfit()
    return { kind: 'failed', reason: 'its outputs have not the rows of its inputs' }
  }
}
