import { totalmem } from 'node:os'
import { SYSTEM_CLOCK } from '../core/clock.ts'
import { VestalError } from '../core/errors.ts'
import { HELD_BYTES_MAX, withShare } from '../core/memory-ledger.ts'
import { usableCores } from '../platform/cores.ts'
import { usableBytes } from '../platform/memory.ts'
import { startCodeProcess } from './code/code-process.ts'
import { createStartCode } from './code/code-runner.ts'
import type { ModelChange, OwnEngine } from './engine.ts'
import { instanceCommand, type StartInstance, startInstanceProcess } from './instance/instance-process.ts'
import { SharedInstances } from './instance/shared-instances.ts'
import type { Isolation } from './model-settings.ts'
import { Admission } from './queue/admission.ts'
import { isOff } from './repository/describe.ts'
import { ModelRepository } from './repository/model-repository.ts'
import { Poller } from './repository/poller.ts'
import { type Look, lookAt, type RepositoryOptions } from './repository/scan.ts'
import { createStartRunner, type ModelLoss } from './runner.ts'
import type { RuntimeText } from './runtime/runtime-texts.ts'

/** Where the models are, and what they may take. Everything is optional. */
export interface EngineOptions extends Omit<RepositoryOptions, 'warn'> {
  /** Requests of one model version that wait or run at once; default 512. One more is rejected with 503. */
  readonly queueMax?: number
  /** Requests of all models that wait or run at once; default 1024. One more is rejected with 503. */
  readonly requestsMax?: number
  /** Of these, requests of one subject; default 128. One more is rejected with 429. */
  readonly subjectRequestsMax?: number
  /** Bytes held for requests: their bodies, inputs and unread answers; default 1 GiB. What exceeds it is rejected with 503. */
  readonly inputBytesMax?: number
  /** Of these, bytes of one subject; default a quarter. What exceeds it is rejected with 429. */
  readonly subjectBytesMax?: number | undefined
  /** Longest time of a request, waiting and computing; default 60 s. Then it is rejected with 504. */
  readonly timeoutMs?: number
  /** A run that takes longer ends with its worker, and another worker takes its place; default 120 s. */
  readonly runMsMax?: number
  /** Longest time in which a model is loaded, tried and warmed up; then it is unavailable; default 120 s. */
  readonly loadMsMax?: number
  /** Bytes of answers that a model with a cache (`cache = true` in its model.toml) keeps; default 64 MiB a version. */
  readonly cacheBytesMax?: number
  /** Memory that a worker process may hold; default four fifths of the container's. One that holds more is killed. */
  readonly instanceBytesMax?: number | undefined
  /** Whether models are tried and warmed up with made-up inputs where their files record none; default true. */
  readonly syntheticInputs?: boolean
  /** Longest time that the start waits for the models; what is not loaded by then is loaded while the engine serves. Default no limit. */
  readonly waitMsMax?: number
  /** Called for each worker process that ended by itself, or was killed for a limit. */
  readonly lost?: (loss: ModelLoss) => void
  /** Called once all models of the start were tried. */
  readonly settled?: () => void
  /** Workers of a model, each with a copy of its weights; default as many as the cores are enough for. */
  readonly instances?: number
  /**
   * Whether models that do not say so themselves have worker processes of their own, or share one where they have one instance;
   * default `process`.
   */
  readonly isolation?: Isolation
  /** Cores that the workers of a model share; default those of the container. */
  readonly cores?: number
  /** Threads that one run may use; default the cores, shared among the workers. */
  readonly threads?: number
  /**
   * Who says what is loaded; default `none`: what the start loads, and no change. `explicit`: `load` and `unload` may be called.
   * `poll`: changed models in the folder are loaded, and removed ones unloaded.
   */
  readonly modelControl?: 'none' | 'explicit' | 'poll'
  /** With `poll`: milliseconds between two looks at the models' folder; default 15 s. */
  readonly pollMs?: number
  /** Models that are loaded at the start; default all of them. */
  readonly loadAtStart?: ReadonlySet<string>
  /** Of these, models that are not loaded, because a request has unloaded them, or loads them in its own way. */
  readonly notAtStart?: ReadonlySet<string>
  /** Whether the `model.ts` of a model is run; default true. Without it such a model is unavailable. */
  readonly code?: boolean
  /** Whether a load request may carry a configuration and files in place of the folder's; default false. */
  readonly mayOverride?: boolean
  /** Called for each model that is loaded or unloaded because its files changed. */
  readonly changed?: (change: ModelChange) => void
  /** Called with warnings about skipped files and lost workers; default prints them to standard error. */
  readonly warn?: (message: string) => void
  /** Called with the findings about each loaded model: whether its requests share runs, and why. */
  readonly note?: (message: string) => void
  /**
   * Called with what ONNX Runtime itself says where it does not load a model or cannot compute, with its source files and paths of this
   * machine: for a log. Clients get our own words. Default the standard
   * error, or nothing where there is a `warn`.
   */
  readonly runtimeText?: (text: RuntimeText) => void
  /** Starts a process that computes; a test may hand in its own. */
  readonly startInstance?: StartInstance
}

/** Of the memory there is, what one worker process may hold. */
const MEMORY_SHARE = 0.8

const LIMITS = {
  queue: 512,
  requests: 1024,
  subjectRequests: 128,
  timeoutMs: 60_000,
  runMs: 120_000,
  loadMs: 120_000,
  cacheBytes: 2 ** 26,
  pollMs: 15_000,
} as const

/**
 * Finds the models, loads each in worker processes of its own, and returns the engine once they are loaded. A model that cannot be
 * loaded is there as unavailable, with the reason. The worker processes keep this one alive until `stop()`, or until the end of the
 * block of `await using`.
 *
 * @example
 * await using engine = await createEngine({ modelsDirectory: 'models' })
 * for (const { name, versions } of engine.models()) console.log(name, versions[0]?.state)
 */
export async function createEngine(options: EngineOptions): Promise<OwnEngine> {
  const { modelControl = 'none', warn = console.warn } = options
  const admissionLimits = withShare({
    requestsMax: options.requestsMax ?? LIMITS.requests,
    subjectRequestsMax: options.subjectRequestsMax ?? LIMITS.subjectRequests,
    bytesMax: options.inputBytesMax ?? HELD_BYTES_MAX,
    subjectBytesMax: options.subjectBytesMax,
  })
  const admission = new Admission(admissionLimits)
  const startInstance: StartInstance = options.startInstance ?? ((events) => startInstanceProcess(instanceCommand(), events))
  const startRunner = createStartRunner({
    admission,
    cores: options.cores ?? usableCores(),
    instances: options.instances,
    isolation: options.isolation,
    threads: options.threads,
    queueMax: options.queueMax ?? LIMITS.queue,
    syntheticInputs: options.syntheticInputs,
    timeoutMs: options.timeoutMs ?? LIMITS.timeoutMs,
    runMsMax: options.runMsMax ?? LIMITS.runMs,
    loadMsMax: options.loadMsMax ?? LIMITS.loadMs,
    memoryBytesMax: options.instanceBytesMax ?? Math.floor(usableBytes(totalmem()) * MEMORY_SHARE),
    ...(options.lost && { lost: options.lost }),
    cacheBytesMax: options.cacheBytesMax ?? LIMITS.cacheBytes,
    warn,
    runtimeText: options.runtimeText ?? (options.warn === undefined ? printRuntimeText : () => undefined),
    startInstance,
    shared: new SharedInstances(startInstance),
  })
  const codeAdmission = new Admission(admissionLimits, admission.memory)
  const startCode = createStartCode({
    clock: SYSTEM_CLOCK,
    admission: codeAdmission,
    startRunner,
    startProcess: startCodeProcess,
    cores: options.cores ?? usableCores(),
    queueMax: options.queueMax ?? LIMITS.queue,
    timeoutMs: options.timeoutMs ?? LIMITS.timeoutMs,
    loadMsMax: options.loadMsMax ?? LIMITS.loadMs,
    warn,
    lost: options.lost,
  })
  const mayRunCode = options.code ?? true
  const repository = new ModelRepository({ ...options, warn, startRunner, ...(mayRunCode && { startCode }) })
  const loaded = modelControl === 'poll' ? lookAt(options) : undefined
  const { table } = repository
  let hasStarted = false
  const started = repository.start().then(() => {
    hasStarted = true
    options.settled?.()
  })
  await within(started, options.waitMsMax)
  if (!hasStarted) void started.then(() => warnOfLate(repository, warn))
  const poller = loaded === undefined ? undefined : pollerOf(repository, loaded, { ...options, warn })
  const mayChange = () => {
    if (modelControl !== 'explicit') throw new VestalError('MODEL_CONTROL_OFF')
  }
  const stop = async () => {
    await Promise.all([poller?.stop(), repository.stop()])
  }
  return {
    memory: admission.memory,
    models: () => table.models(),
    model: (name) => table.model(name),
    subscribe: (listener) => table.subscribe(listener),
    permission: (name, action) => repository.permission(name, action),
    troubles: () => poller?.troubles() ?? [],
    isReady: () => hasStarted && !repository.isStopping,
    infer: (name, version, inputs, asked = {}) => repository.infer(name, version, inputs, asked),
    noteRejections(rejections) {
      for (const { model, version, reason, count } of rejections)
        table.get(model)?.versions.get(version)?.counters?.rejected(reason, count)
    },
    statistics: (name, version) => table.statistics(name, version),
    async load(name, asked) {
      mayChange()
      await repository.load(name, asked)
    },
    async unload(name, asked) {
      mayChange()
      return repository.unload(name, asked)
    },
    index: () => table.index(),
    configuration: (name, version) => table.configuration(name, version),
    limit(limits) {
      for (const each of [admission, codeAdmission]) each.limit(withShare(limits))
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Waits for the models, but no longer than that. */
async function within(started: Promise<void>, msMax: number | undefined): Promise<void> {
  if (msMax === undefined) return started
  const waited = Promise.withResolvers<void>()
  const timer = setTimeout(waited.resolve, msMax)
  await Promise.race([started, waited.promise])
  clearTimeout(timer)
}

/** Says which versions cannot be served, once that is known; who starts the engine has said so of the others. */
function warnOfLate({ table, isStopping }: ModelRepository, warn: (message: string) => void): void {
  if (isStopping) return
  for (const { name, versions } of table.models())
    for (const each of versions)
      if (each.state === 'unavailable' && !isOff(each)) warn(`${name}/${each.version}: it cannot be served: ${each.reason}`)
}

function pollerOf(
  repository: ModelRepository,
  loaded: Look,
  options: EngineOptions & { readonly warn: (message: string) => void },
): Poller {
  const reported = async (model: string, action: ModelChange['action'], change: () => Promise<void>) => {
    try {
      await change()
      options.changed?.({ model, action, outcome: 'done', reason: 'its files changed' })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      options.changed?.({ model, action, outcome: 'failed', reason })
      throw error
    }
  }
  return new Poller({
    intervalMs: options.pollMs ?? LIMITS.pollMs,
    loaded,
    look: () => lookAt(options),
    load: (name) => reported(name, 'load', () => repository.load(name)),
    remove: (name) => reported(name, 'unload', () => repository.remove(name)),
    warn: options.warn,
  })
}

function printRuntimeText({ model, version, during, text }: RuntimeText): void {
  if (during !== 'trial') console.warn(`${model}/${version}: ONNX Runtime says: ${text}`)
}
