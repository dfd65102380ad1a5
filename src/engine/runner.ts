import type { NamedTensors, TensorSpec } from '../tensor/tensor.ts'
import type { InferOptions } from './engine.ts'
import type { ModelSettings } from './model-settings.ts'
import type { Gauges, ModelCounters } from './statistics.ts'
import { WorkerClient } from './worker-client.ts'

/** Computes with one version of one model on workers of its own: ending them is what gives the model's memory back. */
export interface ModelRunner {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** False while its workers are being replaced. */
  isReady(): boolean
  /**
   * Runs the model once its turn has come.
   * @throws VestalError QUEUE_FULL, WORKER_LOST, SERVER_STOPPING, INFERENCE_FAILED, REQUEST_ABORTED, REQUEST_TIMEOUT
   */
  run(inputs: NamedTensors, options: InferOptions): Promise<NamedTensors>
  /** What waits and runs, now. */
  gauges(): Gauges
  /** Refuses new runs, finishes those at hand, and ends the workers: never in the middle of a run. */
  stop(): Promise<void>
}

/** A model file to compute with. */
export interface RunnerSource {
  /** `<name>/<version>`, for messages. */
  readonly key: string
  readonly path: string
  readonly settings: ModelSettings
  /** Counts what the runner does. */
  readonly counters: ModelCounters
}

/**
 * Loads a model file on workers of its own.
 * @throws Error with the reason why it cannot be loaded, safe to show
 */
export type StartRunner = (source: RunnerSource) => Promise<ModelRunner>

export interface RunnerOptions {
  /** Threads that one run may use. */
  readonly threads: number
  /** Requests of one model version that wait or run at once. */
  readonly queueMax: number
  readonly warn: (message: string) => void
  /** Starts the thread that computes; a test may hand in its own. */
  readonly startWorker: () => Worker
}

/** Gives what starts a runner with these options. */
export function createStartRunner(options: RunnerOptions): StartRunner {
  return async ({ key, path, settings, counters }) => {
    const { threads = options.threads, queueMax = options.queueMax } = settings
    const client = new WorkerClient({ ...options, threads, queueMax, sources: [{ key, path }] })
    const [result] = await client.start()
    if (result === undefined || 'reason' in result) {
      await client.stop()
      throw new Error(result?.reason ?? 'it was not loaded')
    }
    const { inputs, outputs } = result
    return {
      inputs,
      outputs,
      isReady: () => client.isReady,
      run: (tensors, options) => client.run({ ...options, key: key, inputs: tensors, rows: rowsOf(inputs, tensors), counters }),
      gauges: () => client.gauges(key),
      stop: () => client.stop(),
    }
  }
}

/** A model whose inputs all begin with a dimension of any size takes rows; a request for another is one. */
function rowsOf(inputs: readonly TensorSpec[], tensors: NamedTensors): number {
  const isInRows = inputs.length > 0 && inputs.every(({ shape }) => shape[0] === -1)
  return isInRows ? (tensors.values().next().value?.shape[0] ?? 1) : 1
}
