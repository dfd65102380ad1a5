import { availableParallelism } from 'node:os'
import { VestalError } from '../core/errors.ts'
import type { Engine } from './engine.ts'
import { configurationOf } from './repository/configuration.ts'
import { ModelRepository } from './repository/model-repository.ts'
import type { RepositoryOptions } from './repository/scan.ts'
import { createStartRunner } from './runner.ts'
import { disableTelemetry } from './telemetry.ts'
import { QUEUE_MAX } from './worker-client.ts'

export interface EngineOptions extends Omit<RepositoryOptions, 'warn'> {
  /** Requests of one model version that wait or run at once; default 128. One more is refused with 503. */
  readonly queueMax?: number
  /** Threads that one run may use; default one less than the cores, so that HTTP keeps one. */
  readonly threads?: number
  /**
   * Who says what is loaded; default `none`: all models at the start, and no change. `explicit`: `load` and `unload` may be
   * called.
   */
  readonly modelControl?: 'none' | 'explicit'
  /** Hears of what was left out and of workers lost; default the standard error. */
  readonly warn?: (message: string) => void
  /** Starts the thread that computes; a test may hand in its own. */
  readonly startWorker?: () => Worker
}

/**
 * Finds the models, loads each in workers of its own, and gives the engine once they are loaded. A model that cannot be loaded is
 * there as unavailable, with the reason.
 * @throws Error when ONNX Runtime's telemetry cannot be turned off
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const {
    queueMax = QUEUE_MAX,
    threads = Math.max(1, availableParallelism() - 1),
    modelControl = 'none',
    warn = console.warn,
    startWorker = startThread,
  } = options
  disableTelemetry()
  const startRunner = createStartRunner({ threads, queueMax, warn, startWorker })
  const repository = new ModelRepository({ ...options, warn, startRunner })
  await repository.start()
  const mayChange = () => {
    if (modelControl === 'none') throw new VestalError('MODEL_CONTROL_OFF')
  }
  return {
    models: () => repository.models(),
    model: (name) => repository.model(name),
    isReady: () => !repository.isStopping,
    infer: (name, version, inputs, asked = {}) => repository.runner(name, version).run(inputs, asked),
    statistics: (name, version) => repository.statistics(name, version),
    async load(name, asked) {
      mayChange()
      await repository.load(name, asked)
    },
    async unload(name, asked) {
      mayChange()
      await repository.unload(name, asked)
    },
    index: () => repository.index(),
    configuration(name, version) {
      const model = repository.model(name)
      const found = model?.versions.find((candidate) =>
        version === undefined ? candidate.state === 'ready' : candidate.version === version,
      )
      if (model === undefined || (found === undefined && version !== undefined)) throw new VestalError('MODEL_UNKNOWN')
      if (found?.state !== 'ready') throw new VestalError('MODEL_UNAVAILABLE')
      return configurationOf(name, found)
    },
    stop: () => repository.stop(),
  }
}

function startThread(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url))
}
