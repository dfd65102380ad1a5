import { resolve } from 'node:path'
import { VestalError } from '../../core/errors.ts'
import type { IndexEntry, LoadOptions, Model, ModelState, ModelVersion, UnloadOptions } from '../engine.ts'
import type { ModelRunner, StartRunner } from '../runner.ts'
import { ModelCounters, type ModelStatistics } from '../statistics.ts'
import { describeModel, withoutRunner } from './describe.ts'
import { type FoundModel, type FoundVersion, findModel, findModels, type RepositoryOptions } from './scan.ts'
import { Turns } from './turns.ts'

export interface ModelRepositoryOptions extends RepositoryOptions {
  readonly startRunner: StartRunner
}

/** A version, and what computes it while it is ready. */
interface Served {
  readonly version: ModelVersion
  readonly runner?: ModelRunner
}

interface Entry {
  readonly found: FoundModel
  readonly versions: ReadonlyMap<string, Served>
  readonly model: Model
}

/** Models that are loaded at once. */
const LOADS_MAX = 4
/** What an index says of a version that somebody took off. */
const UNLOADED = 'unloaded'

/** The models and what computes them. A version is loaded beside the one that serves, and takes its place once it is ready. */
export class ModelRepository {
  readonly #options: ModelRepositoryOptions
  readonly #entries = new Map<string, Entry>()
  readonly #turns = new Turns(LOADS_MAX)
  /** Runners that serve no more and finish what they have. */
  readonly #draining = new Set<Promise<void>>()
  /** By `<name>/<version>`; they go on through a reload. */
  readonly #counters = new Map<string, ModelCounters>()
  #sorted: readonly Model[] = []
  #isStopping = false

  constructor(options: ModelRepositoryOptions) {
    this.#options = options
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Finds and loads every model; what cannot be loaded is there as unavailable, with its reason. */
  async start(): Promise<void> {
    const found = findModels(this.#options)
    for (const model of found) this.#put(model, new Map())
    await Promise.all(found.map((model) => this.#turns.take(model.name, () => this.#replace(model, model.versions))))
  }

  models(): readonly Model[] {
    return this.#sorted
  }

  model(name: string): Model | undefined {
    return this.#entries.get(name)?.model
  }

  /**
   * What computes that version.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE
   */
  runner(name: string, version: string): ModelRunner {
    const served = this.#entries.get(name)?.versions.get(version)
    if (served === undefined) throw new VestalError('MODEL_UNKNOWN')
    if (served.runner === undefined || served.version.state !== 'ready') throw new VestalError('MODEL_UNAVAILABLE')
    return served.runner
  }

  /** What the versions that are ready have done; of one model, or of one version of it, when named. */
  statistics(name?: string, version?: string): readonly ModelStatistics[] {
    const asked = [...this.#entries.values()].filter(({ model }) => name === undefined || model.name === name)
    return asked.flatMap(({ model, versions }) =>
      [...versions].flatMap(([number, { runner }]) => {
        if (runner === undefined || (version !== undefined && number !== version)) return []
        return this.#countersOf(`${model.name}/${number}`).snapshot(model.name, number, runner.gauges())
      }),
    )
  }

  index(): readonly IndexEntry[] {
    return this.#sorted.flatMap(({ name, versions }): readonly IndexEntry[] => {
      if (versions.length === 0) return [{ name }]
      return versions.map(({ version, state, reason }) => ({
        name,
        version,
        state: state.toUpperCase() as Uppercase<ModelState>,
        ...(reason !== undefined && { reason }),
      }))
    })
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
      const wanted = version === undefined ? found.versions : found.versions.filter((candidate) => candidate.version === version)
      if (version !== undefined && wanted.length === 0) throw unknown(name, version)
      const reason = await this.#replace(found, wanted)
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
    await Promise.all(this.#draining)
  }

  /**
   * Loads versions beside what serves and switches to them; gives the reason why that failed. A failure leaves what served as it
   * was; where nothing served, the versions that could be loaded serve.
   */
  async #replace(found: FoundModel, wanted: readonly FoundVersion[]): Promise<string | undefined> {
    const before = this.#entries.get(found.name)?.versions ?? new Map<string, Served>()
    const loading = wanted.filter(({ version }) => before.get(version)?.runner === undefined)
    this.#put(this.#entries.get(found.name)?.found ?? found, [
      ...before,
      ...loading.map(({ version }) => [version, { version: withoutRunner(version, 'loading') }] as const),
    ])
    const started = await Promise.all(wanted.map((version) => this.#startVersion(found, version)))
    const faults = started.flatMap(({ version: { version, reason } }) =>
      reason === undefined ? [] : [`version ${version}: ${reason}`],
    )
    const reason = found.reason ?? (faults.length > 0 ? faults.join('; ') : undefined)
    const serving = [...before].filter(([, { runner }]) => runner !== undefined)
    const isKept = reason !== undefined && serving.length > 0
    const versions = new Map(before)
    for (const next of started) {
      const old = before.get(next.version.version)?.runner
      if (isKept && (next.runner !== undefined || old !== undefined)) {
        if (next.runner !== undefined) this.#drain(next.runner)
        continue
      }
      versions.set(next.version.version, next)
      if (old !== undefined) this.#drain(old)
    }
    this.#put(isKept ? (this.#entries.get(found.name)?.found ?? found) : found, versions)
    return reason
  }

  async #startVersion(model: FoundModel, { version, path, reason }: FoundVersion): Promise<Served> {
    const fault = model.reason ?? reason
    if (fault !== undefined) return { version: withoutRunner(version, 'unavailable', fault) }
    try {
      const key = `${model.name}/${version}`
      const runner = await this.#options.startRunner({ key, path: resolve(path) }, this.#countersOf(key))
      const { inputs, outputs } = runner
      const labelled = [...model.file.labels.keys()].find((output) => !outputs.some(({ name }) => name === output))
      if (labelled === undefined) return { version: { version, state: 'ready', inputs, outputs }, runner }
      this.#drain(runner)
      return { version: withoutRunner(version, 'unavailable', `model.toml: the model has no output "${labelled}"`) }
    } catch (error) {
      return { version: withoutRunner(version, 'unavailable', error instanceof Error ? error.message : String(error)) }
    }
  }

  #countersOf(key: string): ModelCounters {
    const counters = this.#counters.get(key) ?? new ModelCounters()
    this.#counters.set(key, counters)
    return counters
  }

  #put(found: FoundModel, versions: Iterable<readonly [string, Served]>): void {
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

function unknown(name: string, version?: string): VestalError {
  const shown = name.slice(0, 100)
  const what = version === undefined ? 'no such model' : `no version ${version.slice(0, 20)}`
  return new VestalError('MODEL_UNKNOWN', { detail: `failed to load '${shown}', failed to poll from model repository: ${what}` })
}
