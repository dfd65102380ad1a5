import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { VestalError } from '../core/errors.ts'
import type { NamedTensors } from '../tensor/tensor.ts'
import type { Engine, Model, ModelVersion } from './engine.ts'
import type { LoadResult, ModelSource } from './messages.ts'
import { type FoundModel, type FoundVersion, findModels, type RepositoryOptions } from './repository/scan.ts'
import { ModelCounters } from './statistics.ts'
import { disableTelemetry } from './telemetry.ts'
import { QUEUE_MAX, WorkerClient } from './worker-client.ts'

export interface EngineOptions extends Omit<RepositoryOptions, 'warn'> {
  /** Requests that wait or run at once; default 128. One more is refused with 503. */
  readonly queueMax?: number
  /** Threads that one run may use; default one less than the cores, so that HTTP keeps one. */
  readonly threads?: number
  /** Hears of what was left out and of workers lost; default the standard error. */
  readonly warn?: (message: string) => void
  /** Starts the thread that computes; a test may hand in its own. */
  readonly startWorker?: () => Worker
}

/**
 * Finds the models, loads them in a worker, and gives the engine once they are loaded. A model that cannot be loaded is there as
 * unavailable, with the reason.
 * @throws Error when the worker cannot be started
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const {
    queueMax = QUEUE_MAX,
    threads = Math.max(1, availableParallelism() - 1),
    warn = console.warn,
    startWorker = startThread,
  } = options
  const found = findModels({ ...options, warn })
  const sources = found.flatMap(sourcesOf)
  disableTelemetry()
  const client = new WorkerClient({ sources, threads, queueMax, warn, startWorker })
  const results = new Map((await client.start()).map((result) => [result.key, result]))
  const models = new Map(found.map((model) => [model.name, describe(model, results)]))
  const sorted = [...models.values()]
  const counters = new Map(
    [...results.values()].filter((result) => !('reason' in result)).map(({ key }) => [key, new ModelCounters()]),
  )
  return {
    models: () => sorted,
    model: (name) => models.get(name),
    isReady: () => client.isReady,
    infer(name, version, inputs, options = {}) {
      const found = models.get(name)?.versions.find((candidate) => candidate.version === version)
      const key = keyOf(name, version)
      if (found === undefined) throw new VestalError('MODEL_UNKNOWN')
      const own = counters.get(key)
      if (found.state !== 'ready' || own === undefined) throw new VestalError('MODEL_UNAVAILABLE')
      return client.run({ ...options, key, inputs, rows: rowsOf(found, inputs), counters: own })
    },
    statistics(name, version) {
      const asked = sorted.filter((model) => name === undefined || model.name === name)
      return asked.flatMap((model) =>
        model.versions
          .filter(({ state, version: number }) => state === 'ready' && (version === undefined || number === version))
          .flatMap((candidate) => {
            const key = keyOf(model.name, candidate.version)
            return counters.get(key)?.snapshot(model.name, candidate.version, client.gauges(key)) ?? []
          }),
      )
    },
    stop: () => client.stop(),
  }
}

/** A model whose inputs all begin with a dimension of any size takes rows; a request for another is one. */
function rowsOf({ inputs }: ModelVersion, tensors: NamedTensors): number {
  const isInRows = inputs.length > 0 && inputs.every(({ shape }) => shape[0] === -1)
  return isInRows ? (tensors.values().next().value?.shape[0] ?? 1) : 1
}

function startThread(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url))
}

function keyOf(name: string, version: string): string {
  return `${name}/${version}`
}

/** What is broken already is not handed to the worker. */
function sourcesOf(model: FoundModel): readonly ModelSource[] {
  if (model.reason !== undefined) return []
  return model.versions
    .filter(({ reason }) => reason === undefined)
    .map(({ version, path }) => ({ key: keyOf(model.name, version), path: resolve(path) }))
}

function describe(found: FoundModel, results: ReadonlyMap<string, LoadResult>): Model {
  const { name, file } = found
  return {
    name,
    description: file.description,
    permissions: {
      predict: file.permissions.predict ?? `model:${name}:predict`,
      read: file.permissions.read ?? `model:${name}:read`,
    },
    labels: file.labels,
    examples: file.examples,
    versions:
      found.versions.length === 0
        ? [unavailable('1', found.reason ?? 'it has no version')]
        : found.versions.map((version) => describeVersion(found, version, results.get(keyOf(name, version.version)))),
  }
}

function describeVersion(model: FoundModel, { version, reason }: FoundVersion, result: LoadResult | undefined): ModelVersion {
  const fault = model.reason ?? reason
  if (fault !== undefined) return unavailable(version, fault)
  if (result === undefined) return unavailable(version, 'it was not loaded')
  if ('reason' in result) return unavailable(version, result.reason)
  const { inputs, outputs } = result
  const labelled = [...model.file.labels.keys()].find((output) => !outputs.some(({ name }) => name === output))
  if (labelled !== undefined) return unavailable(version, `model.toml: the model has no output "${labelled}"`)
  return { version, state: 'ready', inputs, outputs }
}

function unavailable(version: string, reason: string): ModelVersion {
  return { version, state: 'unavailable', reason, inputs: [], outputs: [] }
}
