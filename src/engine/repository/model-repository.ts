import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { InferOptions, LoadOptions, UnloadOptions } from '../engine.ts'
import type { ModelRunner } from '../runner.ts'
import { withoutRunner } from './describe.ts'
import { Lingering } from './lingering.ts'
import { ModelTable } from './model-table.ts'
import { Overrides } from './override.ts'
import {
  type FoundModel,
  type FoundVersion,
  findModel,
  findModels,
  isModelName,
  modelIn,
  type RepositoryOptions,
} from './scan.ts'
import { type ServedVersion, type StartVersionOptions, startVersion } from './served-version.ts'
import { Turns } from './turns.ts'

export interface ModelRepositoryOptions extends RepositoryOptions, StartVersionOptions {
  /** How long a version that is listed no more still answers requests that began before; default 10 s. */
  readonly lingerMs?: number
  /** Models that are loaded at the start; all of them when absent. */
  readonly loadAtStart?: ReadonlySet<string>
  /** Whether a request to load may bring a configuration and files; default false. */
  readonly mayOverride?: boolean
}

/** Models that are loaded at once. */
const LOADS_MAX = 4
/** What an index says of a version that somebody took off. */
const UNLOADED = 'unloaded'
const LINGER_MS = 10_000

/** The models and what computes them. A version is loaded beside the one that serves, and takes its place once it is ready. */
export class ModelRepository {
  readonly #options: ModelRepositoryOptions
  readonly table = new ModelTable()
  readonly #turns = new Turns(LOADS_MAX)
  /** Runners that serve no more and finish what they have. */
  readonly #draining = new Set<Promise<void>>()
  readonly #lingering: Lingering
  readonly #overrides = new Overrides()
  #isStopping = false

  constructor(options: ModelRepositoryOptions) {
    this.#options = options
    this.#lingering = new Lingering(options.lingerMs ?? LINGER_MS, (runner) => this.#drain(runner))
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Finds and loads every model; what cannot be loaded is there as unavailable, with its reason. */
  async start(): Promise<void> {
    const { loadAtStart } = this.#options
    const found = findModels(this.#options)
    for (const model of found) this.table.put(model, new Map())
    const wanted = loadAtStart === undefined ? found : found.filter(({ name }) => loadAtStart.has(name))
    for (const name of loadAtStart ?? []) {
      if (this.table.get(name) === undefined)
        this.#options.warn(`the model ${name} is to be loaded at the start, and is not there`)
    }
    await Promise.all(wanted.map((model) => this.#turns.take(model.name, () => this.#replace(model, chosen(model), true))))
  }

  /**
   * Computes with that version.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, and what the runner throws
   */
  infer(name: string, version: string, inputs: NamedTensors, options: InferOptions): Promise<NamedTensors> {
    const served = this.table.get(name)?.versions.get(version)
    const runner = served?.runner ?? this.#lingering.get(keyOf(name, version))
    if (runner === undefined) throw new VestalError(served === undefined ? 'MODEL_UNKNOWN' : 'MODEL_UNAVAILABLE')
    return runner.run(inputs, options)
  }

  /**
   * Loads a model from its folder, or from what the request brings, or loads it again.
   * @throws VestalError MODEL_UNKNOWN, MODEL_LOAD_FAILED, UNSUPPORTED, BODY_INVALID, SERVER_STOPPING
   */
  async load(name: string, options: LoadOptions = {}): Promise<void> {
    const { version, config, files } = options
    const isOverride = config !== undefined || (files?.size ?? 0) > 0
    if (isOverride && this.#options.mayOverride !== true) {
      throw new VestalError('UNSUPPORTED', {
        detail: `failed to load '${name.slice(0, 100)}': a configuration or files in the request are not allowed (model_override)`,
      })
    }
    await this.#turns.take(name, async () => {
      if (this.#isStopping) throw new VestalError('SERVER_STOPPING')
      const found = isOverride ? this.#findOverride(name, options) : findModel(name, this.#options)
      if (found === undefined) throw unknown(name)
      const wanted = version === undefined ? chosen(found) : found.versions.filter((candidate) => candidate.version === version)
      if (version !== undefined && wanted.length === 0) throw unknown(name, version)
      const reason = await this.#replace(found, wanted, version === undefined)
      this.#sweep(name)
      if (reason === undefined) return
      throw new VestalError('MODEL_LOAD_FAILED', { detail: `failed to load '${name}', ${reason}` })
    })
  }

  /** Takes off a model whose files are gone. */
  async remove(name: string): Promise<void> {
    await this.unload(name)
    this.table.delete(name)
  }

  /**
   * Takes a model or one of its versions off; what it has at hand is finished.
   * @throws VestalError MODEL_UNKNOWN
   */
  async unload(name: string, { version }: UnloadOptions = {}): Promise<void> {
    await this.#turns.take(name, async () => {
      const entry = this.table.get(name)
      if (entry === undefined) throw unknown(name)
      if (version !== undefined && !entry.versions.has(version)) throw unknown(name, version)
      const versions = new Map(entry.versions)
      for (const [number, { runner }] of entry.versions) {
        if (version !== undefined && number !== version) continue
        versions.set(number, { version: withoutRunner(number, runner === undefined ? 'unavailable' : 'unloading', UNLOADED) })
        if (runner !== undefined) this.#drain(runner, () => this.#unloaded(name, number))
        this.#lingering.end(keyOf(name, number))
      }
      this.table.put(entry.found, versions)
      this.#sweep(name)
    })
  }

  /** Refuses new work, finishes what is at hand, and ends all workers. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const runners = this.table.entries().flatMap(({ versions }) => [...versions.values()].flatMap(({ runner }) => runner ?? []))
    await Promise.all(runners.map((runner) => runner.stop()))
    await this.#turns.settled()
    this.#lingering.endAll()
    await Promise.all(this.#draining)
    this.#overrides.removeAll()
  }

  /**
   * Loads versions beside what serves and switches to them; gives the reason why that failed. A failure leaves what served as it
   * was; where nothing served, the versions that could be loaded serve.
   */
  async #replace(found: FoundModel, wanted: readonly FoundVersion[], isWhole: boolean): Promise<string | undefined> {
    const { found: known = found, versions: before = new Map<string, ServedVersion>() } = this.table.get(found.name) ?? {}
    const loading = wanted.filter(({ version }) => before.get(version)?.runner === undefined)
    this.table.put(known, [
      ...before,
      ...loading.map(({ version }) => [version, { version: withoutRunner(version, 'loading') }] as const),
    ])
    for (const warning of found.config?.warnings ?? []) this.#options.warn(`${found.name}: ${warning}`)
    const started = await Promise.all(wanted.map((version) => startVersion(found, version, this.#options)))
    const faults = started
      .filter(({ runner }) => runner === undefined)
      .map(({ version: { version, reason } }) => `version ${version}: ${reason}`)
    const reason = found.reason ?? (faults.length > 0 ? faults.join('; ') : undefined)
    const isKept = reason !== undefined && [...before.values()].some(({ runner }) => runner !== undefined)
    if (isKept) {
      for (const { runner } of started) if (runner !== undefined) this.#drain(runner)
      const failed = started.filter(
        ({ version: { version }, runner }) => runner === undefined && before.get(version)?.runner === undefined,
      )
      this.table.put(known, [...before, ...failed.map((each) => [each.version.version, each] as const)])
      return reason
    }
    const next = new Map(isWhole ? leftOut(found) : before)
    for (const each of started) next.set(each.version.version, each)
    this.table.put(found, next)
    this.#retire(found.name, before, next)
    return reason
  }

  /** Of a request that brings files, the model they make; of one that brings a configuration alone, the folder with that. */
  #findOverride(name: string, options: LoadOptions): FoundModel | undefined {
    const { config, files } = options
    if (files === undefined || files.size === 0) return findModel(name, this.#options, config)
    if (!isModelName(name)) return undefined
    return modelIn(this.#overrides.write(name, options), name, config)
  }

  #sweep(name: string): void {
    const versions = this.table.get(name)?.versions.values() ?? []
    this.#overrides.sweep(name, new Set([...versions].flatMap(({ folder }) => folder ?? [])))
  }

  /** Versions that another took the place of end; one that is listed no more still answers requests that began before. */
  #retire(name: string, before: ReadonlyMap<string, ServedVersion>, next: ReadonlyMap<string, ServedVersion>): void {
    for (const [version, { runner }] of before) {
      const now = next.get(version)?.runner
      if (runner === undefined || runner === now) continue
      if (now !== undefined) this.#drain(runner)
      else this.#lingering.add(keyOf(name, version), runner)
    }
  }

  #drain(runner: ModelRunner, done: () => void = () => undefined): void {
    const end = runner.stop().finally(() => {
      this.#draining.delete(end)
      done()
    })
    this.#draining.add(end)
  }

  #unloaded(name: string, version: string): void {
    const entry = this.table.get(name)
    if (entry?.versions.get(version)?.version.state !== 'unloading') return
    this.table.put(
      entry.found,
      new Map(entry.versions).set(version, { version: withoutRunner(version, 'unavailable', UNLOADED) }),
    )
  }
}

/** What a whole load loads. */
function chosen({ versions }: FoundModel): readonly FoundVersion[] {
  return versions.filter(({ leftOut }) => leftOut === undefined)
}

/** The versions that the policy leaves out, as they are listed. */
function leftOut({ versions }: FoundModel): readonly (readonly [string, ServedVersion])[] {
  return versions.flatMap(({ version, leftOut: reason }) =>
    reason === undefined ? [] : [[version, { version: withoutRunner(version, 'unavailable', reason) }] as const],
  )
}

function keyOf(name: string, version: string): string {
  return `${name}/${version}`
}

function unknown(name: string, version?: string): VestalError {
  const shown = name.slice(0, 100)
  const what = version === undefined ? 'no such model' : `no version ${version.slice(0, 20)}`
  return new VestalError('MODEL_UNKNOWN', { detail: `failed to load '${shown}', failed to poll from model repository: ${what}` })
}
