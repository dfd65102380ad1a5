import { SYSTEM_CLOCK } from '../core/clock.ts'
import { VestalError } from '../core/errors.ts'
import type { NamedTensors, TensorSpec } from '../tensor/tensor.ts'
import { bytesOf, checkInputs, createBucketOf, isInRows, type RunInput, rowsOf } from './batches.ts'
import type { InferOptions } from './engine.ts'
import type { StartInstance } from './instance/instance-process.ts'
import type { FromInstance, LoadedInstance } from './instance/messages.ts'
import type { SharedInstances } from './instance/shared-instances.ts'
import { WorkerDied, type WorkerLoss, WorkerPool } from './instance/worker-pool.ts'
import type { BatchDecision, BatchTrial } from './messages.ts'
import type { ModelSettings } from './model-settings.ts'
import { lengthOf, type Padding, type PaddingRule, paddingFor } from './padding.ts'
import type { Admission } from './queue/admission.ts'
import type { JobTimes } from './queue/job.ts'
import { Scheduler } from './queue/scheduler.ts'
import { type EngineDefaults, type ResolvedSettings, resolveSettings } from './resolve-settings.ts'
import { ResponseCache, throughCache } from './response-cache.ts'
import { createRuntimeTexts, type RuntimeText } from './runtime/runtime-texts.ts'
import { bytesWithWeights } from './runtime/weight-bytes.ts'
import type { Gauges, ModelCounters } from './statistics.ts'

/** Computes with one version of one model on workers of its own: ending them is what gives the model's memory back. */
export interface ModelRunner {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Names of the columns of an output, where the model's own file has them; absent where it has no file of its own. */
  readonly labels?: ReadonlyMap<string, readonly string[]>
  /** What it runs with, of its own settings and the engine's. */
  readonly settings: ResolvedSettings
  /** Whether requests may share a run, and why. */
  readonly batching: BatchDecision
  /** Served models that its code calls; absent where it has no code. */
  readonly calls?: readonly string[]
  /** False while its workers are being replaced. */
  isReady(): boolean
  /** Why it cannot serve for now, where that is for longer than a moment; absent where it has no workers of its own. */
  trouble?(): string | undefined
  /**
   * Runs the model when its turn comes. The inputs must not change meanwhile.
   * @throws VestalError INPUT_INVALID, QUEUE_FULL, SUBJECT_LIMIT, WORKER_LOST, SERVER_STOPPING, INFERENCE_FAILED, REQUEST_ABORTED,
   * QUEUE_TIMEOUT, REQUEST_TIMEOUT
   */
  run(inputs: NamedTensors, options: InferOptions): Promise<NamedTensors>
  /**
   * Computes inputs once in each of its workers, and in each that will take the place of one, beside the queue and the counters; absent
   * where it has no workers of its own.
   * @throws VestalError INPUT_INVALID, WorkerDied, WorkerGone, Error with the reason why one could not
   */
  warm?(inputs: NamedTensors): Promise<NamedTensors>
  /** What waits and runs, now. */
  gauges(): Gauges
  /** Rejects new runs, finishes pending ones, and ends the workers; resolves once their processes are gone. */
  stop(): Promise<void>
}

/** A model file to compute with. */
export interface RunnerSource {
  /** `<name>/<version>`, for messages. */
  readonly key: string
  readonly path: string
  readonly settings: ModelSettings
  /** Gives what to try with whether requests may share a run, for a model with these inputs. */
  readonly trialOf?: (inputs: readonly TensorSpec[]) => Pick<BatchTrial, 'samples' | 'shapes'>
  /** A tokenizer that a worker loads and tries with the model. */
  readonly tokenizer?: string | undefined
  /** Called with what a worker has loaded, before it is tried; what it throws is why the model cannot serve. */
  readonly described?: (loaded: LoadedInstance) => void
  /** Gives how inputs of different lengths are padded to share a run, for a model with these inputs and outputs. */
  readonly padding?: (model: Pick<LoadedInstance, 'inputs' | 'outputs'>) => PaddingRule | undefined
  /** Counts what the runner does. */
  readonly counters: ModelCounters
  /** Gives the start up: its workers are ended, and it fails. It counts until the version serves. */
  readonly signal?: AbortSignal
  /** Called when the `trouble` of the runner changes. */
  readonly changed?: () => void
  /** Whether files of the model are others than when this was made. */
  readonly hasChanged?: () => boolean
  /** Called where a worker would have to load changed files: none does, since what serves was tried as a whole. */
  readonly stale?: () => void
}

/**
 * Loads a model file on workers of its own.
 * @throws Error with the reason why it cannot be loaded, safe to show
 */
export type StartRunner = (source: RunnerSource) => Promise<ModelRunner>

export interface RunnerOptions extends EngineDefaults {
  /** The limits that all models share. */
  readonly admission: Admission
  /** A run that takes longer ends with its worker. */
  readonly runMsMax: number
  /** Milliseconds that loading, the trial and the warm-up of a version may take in all. */
  readonly loadMsMax: number
  /** Bytes of answers that a model with a cache keeps, with their questions. */
  readonly cacheBytesMax: number
  /** Memory that a worker process may hold. */
  readonly memoryBytesMax: number
  readonly warn: (message: string) => void
  /** Called with what ONNX Runtime says where it does not load a model, or cannot compute. */
  readonly runtimeText: (text: RuntimeText) => void
  /** Called for each worker process that ended by itself or for a limit. */
  readonly lost?: (loss: ModelLoss) => void
  /** Starts a process that computes; a test may hand in its own. */
  readonly startInstance: StartInstance
  /** The process of the models that share one. */
  readonly shared: SharedInstances
}

/** A worker process of a model that ended by itself, or was killed for a limit. */
export interface ModelLoss extends WorkerLoss {
  /** `<name>/<version>`. */
  readonly key: string
}

/** Bytes of a shared run: joining copies them on the thread that answers HTTP, and larger inputs gain nothing from company. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024

/** Tells who watches how long a run took, and in which model. */
function watcherOf(watch: NonNullable<InferOptions['watch']>, key: string) {
  return (times: JobTimes) => watch({ ...times, key })
}

/** What an instance was at when the runtime said something. */
const DURING: Readonly<Partial<Record<FromInstance['kind'], RuntimeText['during']>>> = {
  refused: 'load',
  checked: 'trial',
  failed: 'run',
}

/** Starts workers whose failures are heard of as well, with the runtime's own text. */
function overheard(start: StartInstance, hear: (during: RuntimeText['during'], text: string) => void): StartInstance {
  return (events) =>
    start({
      ...events,
      message: (message) => {
        const during = DURING[message.kind]
        if ('runtimeText' in message && during !== undefined) hear(during, message.runtimeText ?? '')
        events.message(message)
      },
    })
}

/** Gives what starts a runner with these options. */
export function createStartRunner(options: RunnerOptions): StartRunner {
  return async ({ key, path, settings: own, counters, trialOf, signal, ...source }) => {
    const settings = resolveSettings(own, options, source.tokenizer === undefined ? {} : { textBytes: bytesWithWeights(path) })
    const { threads, arena, optimization, instances } = settings
    let misfits = 0
    const hearRuntime = createRuntimeTexts(key, options.runtimeText, SYSTEM_CLOCK.now)
    const warn = (message: string) => options.warn(`${key}: ${message}`)
    const startInstance = settings.isolation === 'shared' ? options.shared.starterOf(key, warn) : options.startInstance
    const pool = new WorkerPool({
      clock: SYSTEM_CLOCK,
      startInstance: overheard(startInstance, hearRuntime),
      load: { path, options: { threads, arena, optimization }, tokenizer: source.tokenizer },
      described: source.described,
      instances,
      runMsMax: options.runMsMax,
      loadMsMax: options.loadMsMax,
      memoryBytesMax: options.memoryBytesMax,
      changed: source.changed ?? (() => undefined),
      hasChanged: source.hasChanged ?? (() => false),
      stale: source.stale ?? (() => undefined),
      lost: (loss) => {
        counters.ended(loss.label)
        options.lost?.({ ...loss, key })
      },
      warn,
      misfit: () => {
        misfits += 1
        warn(`its outputs had not the rows of its inputs; requests share no run any more`)
      },
    })
    signal?.addEventListener('abort', () => void pool.stop())
    const { loaded, batching, padding, runElements } = await startPool(pool, settings, {
      trialOf,
      paddingOf: source.padding,
      warn,
    })
    if (padding !== undefined) pool.pad(padding)
    const {
      batchRowsMax: rowsMax,
      batchTokensMax: tokensMax,
      batchDelayMs: delayMs,
      batchPaddingMax: paddingMax = runElements,
    } = settings
    const scheduler = new Scheduler<RunInput, NamedTensors>({
      ...options,
      ...settings,
      clock: SYSTEM_CLOCK,
      counters,
      mayRunAhead: instances === 1,
      batches: { rowsMax, tokensMax, paddingMax, bytesMax: BATCH_BYTES_MAX, delayMs },
    })
    pool.serve(scheduler)
    const isInOwnRows = isInRows(loaded.inputs)
    const isPadded = (name: string) => padding !== undefined && Object.hasOwn(padding.rule.values, name)
    const bucketOf = createBucketOf(loaded.inputs.filter(({ name }) => !isPadded(name)))
    const cache = own.isCached === true ? new ResponseCache(options.cacheBytesMax) : undefined
    const outputsOf = createOutputsOf(loaded)
    const compute = (input: RunInput, { subject, priority, timeoutMs, signal, watch }: InferOptions) => {
      const rows = isInOwnRows ? rowsOf(input.inputs) : undefined
      checkRows(input.inputs, isInOwnRows ? (rows ?? 'different') : 1, { settings, key })
      const length = padding === undefined ? 0 : lengthOf(padding.rule, input.inputs)
      const mayShare = batching.isSafe && misfits === 0 && rows !== undefined && rows > 0 && (padding === undefined || length > 0)
      const bucket = mayShare ? bucketOf(input) : undefined
      const [rowCount, bytes] = [Math.max(1, rows ?? 1), bytesOf(input.inputs)]
      // Made elsewhere: a closure here would cost each unwatched run an object.
      const watcher = watch && watcherOf(watch, key)
      const cost = Math.max(rowCount, (rowCount * length * rowsMax) / tokensMax)
      return scheduler.submit({
        input,
        rows: rowCount,
        cost,
        length,
        bytes,
        bucket,
        subject,
        priority,
        timeoutMs,
        signal,
        watch: watcher,
      })
    }
    const lookUp = (cache: ResponseCache, input: RunInput, asked: InferOptions) =>
      throughCache(input, { cache, counters, compute: () => compute(input, asked) })
    let isStopping = false
    return {
      inputs: loaded.inputs,
      outputs: loaded.outputs,
      labels: loaded.labels,
      settings,
      batching,
      isReady: () => !isStopping && pool.alive > 0,
      trouble: () => pool.trouble,
      run(inputs, asked) {
        checkInputs(loaded.inputs, inputs)
        const input = { inputs, outputs: outputsOf(asked.outputs), requestId: asked.requestId, subject: asked.subject }
        if (cache === undefined || asked.cache === 'skip' || isStopping) return compute(input, asked)
        return lookUp(cache, input, asked)
      },
      async warm(inputs) {
        checkInputs(loaded.inputs, inputs)
        return pool.warm(inputs)
      },
      gauges: () => ({
        waiting: scheduler.waiting,
        running: scheduler.running,
        workersAlive: pool.alive,
        ...(cache && { cache: cache.statistics }),
      }),
      async stop() {
        isStopping = true
        await scheduler.stop()
        await pool.stop()
      },
    }
  }
}

/** What a run costs beside its elements where it was not measured (decision 081). */
const RUN_ELEMENTS = 16

interface StartedPool {
  readonly loaded: LoadedInstance
  readonly batching: BatchDecision
  readonly padding?: Padding | undefined
  /** What a run costs beside its elements, in elements. */
  readonly runElements?: number
}

/** Loads the model, and finds out whether requests may share its runs. */
async function startPool(
  pool: WorkerPool,
  { batchRowsMax, allowDependentRows: mayMixRows, syntheticInputs: mayMakeUp }: ResolvedSettings,
  {
    trialOf = () => ({ samples: [] }),
    paddingOf,
    warn,
  }: { trialOf: RunnerSource['trialOf']; paddingOf: RunnerSource['padding']; warn: RunnerOptions['warn'] },
): Promise<StartedPool> {
  const loaded = await pool.start()
  const isOff = batchRowsMax <= 1
  const off = { isSafe: false, reason: 'its settings let no requests share a run' }
  if (isOff && isInRows(loaded.outputs)) return { loaded, batching: off }
  try {
    const rule = isOff ? undefined : paddingFor(paddingOf?.(loaded), loaded.inputs)
    const {
      rowOutputs,
      lengthOutputs,
      runElements = RUN_ELEMENTS,
      ...decision
    } = await pool.check({
      ...trialOf(loaded.inputs),
      ...{ mayMixRows, mayMakeUp, padding: rule },
    })
    const padding = rule && lengthOutputs && { rule, outputs: new Set(lengthOutputs) }
    // What a run gave counts more than what the file declares.
    const outputs = loaded.outputs.map((spec) =>
      rowOutputs.includes(spec.name) ? { ...spec, shape: [-1, ...spec.shape.slice(1)] } : spec,
    )
    return { loaded: { ...loaded, outputs }, batching: isOff ? off : decision, padding, runElements }
  } catch (error) {
    if (error instanceof WorkerDied) {
      const reason = 'the model ends its process when rows are tried separately and together'
      warn(`requests are computed separately: ${error.message} when rows were tried separately and together`)
      return { loaded, batching: { isSafe: false, reason } }
    }
    await pool.stop()
    throw error
  }
}

/** Checks the names of outputs, and leaves out a list of all in their order: no list asks for the same. */
function createOutputsOf({
  outputs,
}: Pick<LoadedInstance, 'outputs'>): (asked: readonly string[] | undefined) => readonly string[] | undefined {
  const names = outputs.map(({ name }) => name)
  const check = (asked: readonly string[]): readonly string[] | undefined => {
    const other = asked.find((name) => !names.includes(name))
    if (other !== undefined) throw new VestalError('INPUT_INVALID', { detail: `the model has no output '${other.slice(0, 64)}'` })
    return asked.length === names.length && asked.every((name, index) => name === names[index]) ? undefined : asked
  }
  return (asked) => (asked === undefined ? undefined : check(asked))
}

/** Rows of inputs that disagree are no batch, where the model's settings say that it takes one. */
function checkRows(
  inputs: NamedTensors,
  rows: number | 'different',
  { settings: { rowsMax }, key }: { readonly settings: ResolvedSettings; readonly key: string },
): void {
  if (rowsMax === undefined || (rows !== 'different' && rows <= rowsMax)) return
  const model = key.split('/')[0]
  if (rows !== 'different')
    throw new VestalError('INPUT_INVALID', {
      detail: `inference request batch-size must be <= ${rowsMax} for '${model}', and is ${rows}`,
    })
  const [[, first] = [], ...others] = [...inputs]
  const [name] = others.find(([, { shape }]) => shape[0] !== first?.shape[0]) ?? []
  throw new VestalError('INPUT_INVALID', { detail: `input '${name}' batch size does not match other inputs for '${model}'` })
}
