import { statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { TaskDescription } from '../../tasks/task.ts'
import { carriedBy } from '../carried-state.ts'
import type { CodeCalls } from '../code/calls.ts'
import type { StartCode } from '../code/code-runner.ts'
import type { ModelVersion } from '../engine.ts'
import { type StartPipelineOptions, startPipeline } from '../pipelines/start-pipeline.ts'
import type { ModelRunner, RunnerSource, StartRunner } from '../runner.ts'
import { ModelCounters } from '../statistics.ts'
import { startCodeVersion } from './code-version.ts'
import { declaredSpecs } from './declared.ts'
import { withoutRunner } from './describe.ts'
import { watchFiles } from './fingerprint.ts'
import { isInnerPath } from './inner-path.ts'
import { recordedSamples, recordedShapes } from './recorded-samples.ts'
import { reshapedRunner } from './reshape.ts'
import type { FoundModel, FoundVersion } from './scan.ts'
import { VersionTask } from './version-task.ts'
import { warmUp } from './warm-up.ts'

/** A version, and what computes it while it is ready. */
export interface ServedVersion {
  readonly version: ModelVersion
  readonly runner?: ModelRunner
  readonly counters?: ModelCounters
  /** Where its model's files are, where they are in a folder. */
  readonly folder?: string
}

export interface StartVersionOptions {
  readonly startRunner: StartRunner
  /** What pipelines compute with. */
  readonly pipelineEngine: StartPipelineOptions['engine'] & CodeCalls
  /** Starts a `model.ts`; absent where code is off. */
  readonly startCode?: StartCode
  readonly warn: (message: string) => void
  /** Gives up versions that do not serve yet. */
  readonly signal?: AbortSignal
  /** Called when a loaded version becomes unavailable for now, or available again. */
  readonly runnerChanged?: (name: string) => void
  /** Called when files of a version have changed: a worker that ended is replaced only once they are loaded. */
  readonly stale?: (model: FoundModel, version: string) => void
  /** Called with the findings about a model that was loaded. */
  readonly note?: (message: string) => void
}

/** True where a config.pbtxt says that no dimension counts rows: an ensemble's does so by leaving `max_batch_size` out. */
function isWhole({ config, pipeline }: FoundModel): boolean {
  return config?.batchSizeMax === 0 || (config !== undefined && pipeline !== undefined && config.batchSizeMax === undefined)
}

/** Loads one version of a model and tries it; what cannot serve is unavailable, with the reason. */
export async function startVersion(model: FoundModel, found: FoundVersion, options: StartVersionOptions): Promise<ServedVersion> {
  const { version } = found
  let runner: ModelRunner | undefined
  const starting = new AbortController()
  const giveUp = () => starting.abort()
  options.signal?.addEventListener('abort', giveUp)
  try {
    // Before anything is read: what changes meanwhile is a change.
    const hasChanged = watchFiles(resolve(found.path), found.folder)
    const fault = model.reason ?? found.reason
    if (fault !== undefined) throw new Error(fault)
    const { folder, file, config, pipeline } = model
    const task = new VersionTask(model, found)
    if (folder !== undefined && found.folder !== undefined && pipeline === undefined) {
      const files = [relative(found.folder, found.path), ...task.files]
      await verifyChecksums(file.checksums, { folder, inside: relative(folder, found.folder), files })
    }
    const counters = new ModelCounters()
    const key = `${model.name}/${version}`
    if (model.code !== undefined) return await codeVersion(model, found, { counters, signal: starting.signal, options })
    runner =
      pipeline === undefined
        ? await options.startRunner({
            key,
            path: resolve(found.path),
            settings: file.settings,
            counters,
            signal: starting.signal,
            changed: () => options.runnerChanged?.(model.name),
            hasChanged,
            stale: () => options.stale?.(model, version),
            ...askedOf(task, model),
          })
        : startPipeline({ name: model.name, definition: pipeline, engine: options.pipelineEngine, counters })
    const inputs = declaredSpecs(config, 'input', runner.inputs)
    const outputs = declaredSpecs(config, 'output', runner.outputs)
    runner = reshapedRunner(runner, config, { inputs, outputs })
    const labelled = [...file.labels.keys()].find((output) => !outputs.some(({ name }) => name === output))
    if (labelled !== undefined) throw new Error(`model.toml: the model has no output "${labelled}"`)
    const labels = new Map([...(runner.labels ?? []), ...file.labels])
    await warmUp(runner, {
      file: { ...file, labels },
      folder,
      madeUp: task.warmUpInputs(),
      warn: (message) => options.warn(`${key}: ${message}`),
    })
    counters.forgetRuns()
    const hasOwnLabels = runner.labels !== undefined && runner.labels.size > 0
    const batching = { runs: runner.batching.isSafe ? 'shared' : 'separate', reason: runner.batching.reason } as const
    if (task.note !== undefined) options.note?.(`${key}: ${task.note}`)
    options.note?.(`${key}: requests ${runner.batching.isSafe ? 'share runs' : 'are computed separately'}: ${batching.reason}`)
    const ready = {
      ...({ version, state: 'ready', inputs, outputs, batching } as const),
      ...(runner.settings.isolation === 'shared' && { isolation: 'shared' as const }),
      ...(isWhole(model) && { hasRows: false as const }),
      ...(hasOwnLabels && { labels }),
      ...carriedBy(file.carried, { inputs, outputs }),
      ...(task.description && { task: withBatching(task.description, batching) }),
      ...(pipeline !== undefined && { steps: pipeline.steps.map((step) => step.model) }),
    } as const
    return { version: ready, runner, counters, ...(folder !== undefined && { folder }) }
  } catch (error) {
    await runner?.stop()
    return { version: withoutRunner(version, 'unavailable', error instanceof Error ? error.message : String(error)) }
  } finally {
    options.signal?.removeEventListener('abort', giveUp)
  }
}

/** What the folder of a version adds to its file. */
function askedOf(task: VersionTask, model: FoundModel): Pick<RunnerSource, 'tokenizer' | 'described' | 'padding' | 'trialOf'> {
  return {
    tokenizer: task.tokenizer,
    described: (loaded) => task.describe(loaded),
    padding: () => task.padding(),
    trialOf: (own) => ({
      samples: [...recordedSamples(model, own), ...task.samples()],
      shapes: model.shapes ?? recordedShapes(model) ?? task.shapes(),
    }),
  }
}

interface CodeVersionOptions {
  readonly counters: ModelCounters
  readonly signal: AbortSignal
  readonly options: StartVersionOptions
}

async function codeVersion(
  model: FoundModel,
  found: FoundVersion,
  { options, ...of }: CodeVersionOptions,
): Promise<ServedVersion> {
  const { startCode, pipelineEngine: engine, runnerChanged } = options
  const started = await startCodeVersion(model, found, { ...of, startCode, engine, changed: () => runnerChanged?.(model.name) })
  of.counters.forgetRuns()
  return { ...started, counters: of.counters, ...(model.folder !== undefined && { folder: model.folder }) }
}

/** A model whose requests are computed separately says why. */
function withBatching(task: TaskDescription, { runs, reason }: NonNullable<ModelVersion['batching']>): TaskDescription {
  return runs === 'shared' ? task : { ...task, aloneReason: reason }
}

/**
 * Compares the files of a version, and those beside the versions, with the checksums that the model's file names.
 * @throws Error naming the file, when one differs, is missing or has no checksum
 */
async function verifyChecksums(
  checksums: ReadonlyMap<string, string>,
  { folder, inside, files }: { readonly folder: string; readonly inside: string; readonly files: readonly string[] },
): Promise<void> {
  if (checksums.size === 0) return
  // Empty for a version whose files are the model's own.
  const own = inside === '' ? '' : `${inside}/`
  // Once checksums exist, a file without one is not trusted.
  const open = files.find((file) => !checksums.has(own + file))
  if (open !== undefined) throw new Error(`model.toml: "sha256" has no checksum of ${own}${open}`)
  for (const [path, expected] of checksums) {
    if (!isInnerPath(path))
      throw new Error(`model.toml: "sha256" names ${JSON.stringify(path)}, which is not a path inside the folder`)
    const isOther = /^\d+\//.test(path) && (own === '' || !path.startsWith(own))
    if (!isOther && (await sha256Of(join(folder, path))) !== expected) {
      throw new Error(`${path} is not the file whose SHA-256 model.toml names`)
    }
  }
}

async function sha256Of(path: string): Promise<string | undefined> {
  // A pipe would be waited for, and a device may have no end.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const hasher = new Bun.CryptoHasher('sha256')
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk)
  return hasher.digest('hex')
}
