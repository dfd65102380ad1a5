import { VestalError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import { copyData, type NamedTensors, type Tensor } from '../../tensor/tensor.ts'
import type { InferOptions, Model } from '../engine.ts'
import type { Gauges, ModelCounters } from '../statistics.ts'
import { type PipelinePlan, type PlannedStep, readyVersion } from './plan.ts'

/** What a pipeline computes with. */
export interface PipelineEngine {
  model(name: string): Model | undefined
  infer(model: string, version: string, inputs: NamedTensors, options: InferOptions): Promise<NamedTensors>
}

export interface PipelineRunnerOptions {
  readonly plan: PipelinePlan
  readonly engine: PipelineEngine
  readonly counters: ModelCounters
}

/** Computes with the models of a pipeline: each step as soon as what it takes is there. */
export class PipelineRunner {
  readonly #options: PipelineRunnerOptions
  readonly #idle = Promise.withResolvers<void>()
  #running = 0
  #isStopping = false

  constructor(options: PipelineRunnerOptions) {
    this.#options = options
  }

  gauges(): Gauges {
    return { waiting: 0, running: this.#running, workersAlive: 0 }
  }

  /**
   * Runs all steps within the time of the request. The first step that fails cancels the others, and its error is the caller's.
   * @throws VestalError what a step throws, SERVER_STOPPING, REQUEST_ABORTED, REQUEST_TIMEOUT
   */
  async run(inputs: NamedTensors, options: InferOptions): Promise<NamedTensors> {
    const { counters } = this.#options
    if (this.#isStopping) throw new VestalError('SERVER_STOPPING', { headers: { 'retry-after': '1' } })
    const begunNs = Bun.nanoseconds()
    this.#running += 1
    try {
      const outputs = await this.#runSteps(inputs, options)
      const totalNs = Bun.nanoseconds() - begunNs
      counters.ran({ inputNs: 0, inferNs: totalNs, outputNs: 0 }, { requests: 1, rows: rowsOf(inputs), nowMs: Date.now() })
      counters.succeeded(totalNs, 0)
      return outputs
    } catch (error) {
      counters.failed(Bun.nanoseconds() - begunNs)
      throw error
    } finally {
      this.#running -= 1
      this.#resolveIfIdle()
    }
  }

  /** Rejects new runs, and resolves when pending ones are done. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#resolveIfIdle()
    await this.#idle.promise
  }

  async #runSteps(inputs: NamedTensors, options: InferOptions): Promise<NamedTensors> {
    const { plan } = this.#options
    const failed = new AbortController()
    const given = typeof options.signal === 'function' ? options.signal() : options.signal
    const signal = given === undefined ? failed.signal : AbortSignal.any([given, failed.signal])
    const deadlineMs = options.timeoutMs === undefined ? undefined : performance.now() + options.timeoutMs
    const values = new Map<string, Promise<Tensor>>()
    for (const { name } of plan.inputs) values.set(name, Promise.resolve(tensorOf(inputs, name)))
    const share = shareOut(plan, values)
    // A run takes the newest versions of its beginning to its end: a switch in the middle does not mix two.
    const versions = plan.steps.map((step) => this.#versionOf(step))
    const runs = plan.steps.map((step, index) => {
      const result = this.#runStep(step, { version: versions[index] ?? '', share, deadlineMs, asked: { ...options, signal } })
      for (const [output, name] of step.outputs)
        values.set(
          name,
          result.then((outputs) => tensorOf(outputs, output)),
        )
      return result
    })
    const answers = (options.outputs ?? plan.outputs.map(({ name }) => name)).map(
      async (name) => [name, await share(name)] as const,
    )
    try {
      const [entries] = await Promise.all([Promise.all(answers), ...runs])
      return new Map(entries)
    } catch (error) {
      failed.abort()
      await Promise.allSettled([...runs, ...values.values(), ...answers])
      throw given?.aborted === true ? new VestalError('REQUEST_ABORTED') : error
    }
  }

  #versionOf({ model, version, checked }: PlannedStep): string {
    const found = this.#options.engine.model(model)
    return (found === undefined ? undefined : readyVersion(found, version))?.version ?? checked.version
  }

  async #runStep(
    step: PlannedStep,
    {
      version,
      share,
      deadlineMs,
      asked,
    }: {
      readonly version: string
      readonly share: (name: string) => Promise<Tensor>
      readonly deadlineMs: number | undefined
      readonly asked: InferOptions
    },
  ): Promise<NamedTensors> {
    const inputs = new Map<string, Tensor>()
    for (const [input, name] of step.inputs) inputs.set(input, await share(name))
    const leftMs = deadlineMs === undefined ? undefined : deadlineMs - performance.now()
    if (leftMs !== undefined && leftMs <= 0) throw new VestalError('REQUEST_TIMEOUT')
    const { timeoutMs: _, outputs: __, ...rest } = asked
    const outputs = [...step.outputs.keys()]
    return this.#options.engine.infer(step.model, version, inputs, {
      ...rest,
      outputs,
      ...(leftMs !== undefined && { timeoutMs: leftMs }),
    })
  }

  #resolveIfIdle(): void {
    if (this.#isStopping && this.#running === 0) this.#idle.resolve()
  }
}

/** Gives out tensors by name: a buffer moves to the one who takes it last, and those before it get copies. */
function shareOut({ uses }: PipelinePlan, values: ReadonlyMap<string, Promise<Tensor>>): (name: string) => Promise<Tensor> {
  const left = new Map(uses)
  return async (name) => {
    const value = values.get(name)
    invariant(value !== undefined, 'a step comes after those whose outputs it takes')
    const remaining = (left.get(name) ?? 1) - 1
    left.set(name, remaining)
    const tensor = await value
    return remaining > 0 ? { ...tensor, data: copyData(tensor.data) } : tensor
  }
}

function tensorOf(tensors: NamedTensors, name: string): Tensor {
  const tensor = tensors.get(name)
  if (tensor === undefined) throw new VestalError('INPUT_INVALID', { detail: `the input '${name.slice(0, 64)}' is missing` })
  return tensor
}

function rowsOf(inputs: NamedTensors): number {
  return Math.max(1, inputs.values().next().value?.shape[0] ?? 1)
}
