import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { IndexEntry, InferOptions, LoadOptions, Model, ModelConfiguration, ModelVersion, UnloadOptions } from '../engine.ts'
import type { ModelRunner } from '../runner.ts'
import type { ModelStatistics } from '../statistics.ts'
import { configurationOf } from './configuration.ts'
import { describeModel, withoutRunner } from './describe.ts'
import { indexOf } from './index-entries.ts'
import { Lingering } from './lingering.ts'
import { refuseManyRows } from './row-limit.ts'
import { type FoundModel, type FoundVersion, findModel, findModels, type RepositoryOptions } from './scan.ts'
import { type ServedVersion, type StartVersionOptions, startVersion } from './served-version.ts'
import { Turns } from './turns.ts'

export interface ModelRepositoryOptions extends RepositoryOptions, StartVersionOptions {
  /** How long a version that is listed no more still answers requests that began before; default 10 s. */
  readonly lingerMs?: number
}

interface Entry {
  readonly found: FoundModel
  readonly versions: ReadonlyMap<string, ServedVersion>
  readonly model: Model
}

/** Models that are loaded at once. */
const LOADS_MAX = 4
/** What an index says of a version that somebody took off. */
const UNLOADED = 'unloaded'
const LINGER_MS = 10_000

/** The models and what computes them. A version is loaded beside the one that serves, and takes its place once it is ready. */
export class ModelRepository {
  readonly #options: ModelRepositoryOptions
  readonly #entries = new Map<string, Entry>()
  readonly #turns = new Turns(LOADS_MAX)
  /** Runners that serve no more and finish what they have. */
  readonly #draining = new Set<Promise<void>>()
  readonly #lingering: Lingering
  #sorted: readonly Model[] = []
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
    const found = findModels(this.#options)
    for (const model of found) this.#put(model, new Map())
    await Promise.all(found.map((model) => this.#turns.take(model.name, () => this.#replace(model, chosen(model), true))))
  }

  models(): readonly Model[] {
    return this.#sorted
  }

  model(name: string): Model | undefined {
    return this.#entries.get(name)?.model
  }

  /**
   * Computes with that version.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, INPUT_INVALID, and what the runner throws
   */
  infer(name: string, version: string, inputs: NamedTensors, options: InferOptions): Promise<NamedTensors> {
    const entry = this.#entries.get(name)
    const served = entry?.versions.get(version)
    const runner = served?.runner ?? this.#lingering.get(keyOf(name, version))
    if (runner === undefined) throw new VestalError(served === undefined ? 'MODEL_UNKNOWN' : 'MODEL_UNAVAILABLE')
    const rowsMax = entry?.found.file.settings.rowsMax
    if (rowsMax !== undefined) refuseManyRows(inputs, runner, { name, rowsMax })
    return runner.run(inputs, options)
  }

  /**
   * How that version is served, or the one that answers.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE
   */
  configuration(name: string, version?: string): ModelConfiguration {
    const entry = this.#entries.get(name)
    const isAsked = (each: ModelVersion) => (version === undefined ? each.state === 'ready' : each.version === version)
    const found = entry?.model.versions.find(isAsked)
    if (entry === undefined || (found === undefined && version !== undefined)) throw new VestalError('MODEL_UNKNOWN')
    if (found?.state !== 'ready') throw new VestalError('MODEL_UNAVAILABLE')
    return configurationOf(entry.found, found)
  }

  /** What the versions that are ready have done; of one model, or of one version of it, when named. */
  statistics(name?: string, version?: string): readonly ModelStatistics[] {
    const asked = [...this.#entries.values()].filter(({ model }) => name === undefined || model.name === name)
    return asked.flatMap(({ model, versions }) =>
      [...versions].flatMap(([number, { runner, counters }]) => {
        if (runner === undefined || (version !== undefined && number !== version)) return []
        return counters?.snapshot(model.name, number, runner.gauges()) ?? []
      }),
    )
  }

  index(): readonly IndexEntry[] {
    return indexOf(this.#sorted)
  }

  /**
   * Loads a model from its folder, or loads it again.
   * @throws VestalError MODEL_UNKNOWN, MODEL_LOAD_FAILED, UNSUPPORTED, SERVER_STOPPING
   */
  async load(name: string, { version, config, files }: LoadOptions = {}): Promise<void> {
    if (config !== undefined || files !== undefined) {
      throw new VestalError('UNSUPPORTED', {
        detail: `failed to load '${name}': a configuration in the request is not supported`,
      })
    }
    await this.#turns.take(name, async () => {
      if (this.#isStopping) throw new VestalError('SERVER_STOPPING')
      const found = findModel(name, this.#options)
      if (found === undefined) throw unknown(name)
      const wanted = version === undefined ? chosen(found) : found.versions.filter((candidate) => candidate.version === version)
      if (version !== undefined && wanted.length === 0) throw unknown(name, version)
      const reason = await this.#replace(found, wanted, version === undefined)
      if (reason === undefined) return
      throw new VestalError('MODEL_LOAD_FAILED', { detail: `failed to load '${name}', ${reason}` })
    })
  }

  /**
   * Takes a model or one of its versions off; what it has at hand is finished.
   * @throws VestalError MODEL_UNKNOWN
   */
  async unload(name: string, { version }: UnloadOptions = {}): Promise<void> {
    await this.#turns.take(name, async () => {
      const entry = this.#entries.get(name)
      if (entry === undefined) throw unknown(name)
      if (version !== undefined && !entry.versions.has(version)) throw unknown(name, version)
      const versions = new Map(entry.versions)
      for (const [number, { runner }] of entry.versions) {
        if (version !== undefined && number !== version) continue
        versions.set(number, { version: withoutRunner(number, runner === undefined ? 'unavailable' : 'unloading', UNLOADED) })
        if (runner !== undefined) this.#drain(runner, () => this.#unloaded(name, number))
        this.#lingering.end(keyOf(name, number))
      }
      this.#put(entry.found, versions)
    })
  }

  /** Refuses new work, finishes what is at hand, and ends all workers. */
  async stop(): Promise<void> {
    this.#isStopping = true
    const runners = [...this.#entries.values()].flatMap(({ versions }) =>
      [...versions.values()].flatMap(({ runner }) => runner ?? []),
    )
    await Promise.all(runners.map((runner) => runner.stop()))
    await this.#turns.settled()
    this.#lingering.endAll()
    await Promise.all(this.#draining)
  }

  /**
   * Loads versions beside what serves and switches to them; gives the reason why that failed. A failure leaves what served as it
   * was; where nothing served, the versions that could be loaded serve.
   */
  async #replace(found: FoundModel, wanted: readonly FoundVersion[], isWhole: boolean): Promise<string | undefined> {
    const { found: known = found, versions: before = new Map<string, ServedVersion>() } = this.#entries.get(found.name) ?? {}
    const loading = wanted.filter(({ version }) => before.get(version)?.runner === undefined)
    this.#put(known, [
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
      this.#put(known, [...before, ...failed.map((each) => [each.version.version, each] as const)])
      return reason
    }
    const next = new Map(isWhole ? leftOut(found) : before)
    for (const each of started) next.set(each.version.version, each)
    this.#put(found, next)
    this.#retire(found.name, before, next)
    return reason
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

  #put(found: FoundModel, versions: Iterable<readonly [string, ServedVersion]>): void {
    const map = new Map(versions)
    const shown = [...map.values()].map(({ version }) => version)
    const fault = shown.length === 0 && found.reason !== undefined ? [withoutRunner('1', 'unavailable', found.reason)] : shown
    this.#entries.set(found.name, { found, versions: map, model: describeModel(found, fault) })
    this.#sorted = [...this.#entries.values()].map(({ model }) => model).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #drain(runner: ModelRunner, done: () => void = () => undefined): void {
    const end = runner.stop().finally(() => {
      this.#draining.delete(end)
      done()
    })
    this.#draining.add(end)
  }

  #unloaded(name: string, version: string): void {
    const entry = this.#entries.get(name)
    if (entry?.versions.get(version)?.version.state !== 'unloading') return
    this.#put(entry.found, new Map(entry.versions).set(version, { version: withoutRunner(version, 'unavailable', UNLOADED) }))
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
