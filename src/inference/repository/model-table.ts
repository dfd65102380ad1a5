import { VestalError } from '../../core/errors.ts'
import type { IndexEntry, Model, ModelConfiguration, ModelVersion } from '../engine.ts'
import type { ModelStatistics } from '../statistics.ts'
import { configurationOf } from './configuration.ts'
import { describeModel, withoutRunner } from './describe.ts'
import { indexOf } from './index-entries.ts'
import type { FoundModel } from './scan.ts'
import type { ServedVersion } from './served-version.ts'

/** A model as it was found, and its versions by number. */
export interface Entry {
  readonly found: FoundModel
  readonly versions: ReadonlyMap<string, ServedVersion>
  readonly model: Model
}

/** A version that has a runner may be unable to serve for now. */
function shownNow({ version, runner }: ServedVersion): ModelVersion {
  const trouble = version.state === 'ready' ? runner?.trouble?.() : undefined
  return trouble === undefined ? version : withoutRunner(version.version, 'unavailable', trouble)
}

/** The models as they are now. What is read of it is made when something changes, not when it is read. */
export class ModelTable {
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<(name: string) => void>()
  #sorted: readonly Model[] = []

  /** Calls back with the name of each model that becomes another, comes or goes. Gives what ends that. */
  subscribe(listener: (name: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  get(name: string): Entry | undefined {
    return this.#entries.get(name)
  }

  entries(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  /** Puts a model with these versions in the place of what has its name. */
  put(found: FoundModel, versions: Iterable<readonly [string, ServedVersion]>): void {
    const map = new Map(versions)
    const shown = [...map.values()].map(shownNow)
    const fault = shown.length === 0 && found.reason !== undefined ? [withoutRunner('1', 'unavailable', found.reason)] : shown
    this.#entries.set(found.name, { found, versions: map, model: describeModel(found, fault) })
    this.#changed(found.name)
  }

  delete(name: string): void {
    this.#entries.delete(name)
    this.#changed(name)
  }

  /** Shows again what a model's versions are, where one of them cannot serve for now, or can again. */
  refresh(name: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) this.put(entry.found, entry.versions)
  }

  #changed(name: string): void {
    this.#sorted = [...this.#entries.values()].map(({ model }) => model).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const listener of this.#listeners) listener(name)
  }

  /** Models that a loaded model asks, whether it can serve or not: those that its code calls, or the steps of a pipeline. */
  askedBy(name: string): readonly string[] {
    const entry = this.#entries.get(name)
    const runners = [...(entry?.versions.values() ?? [])].map(({ runner }) => runner)
    return (
      runners.find((runner) => runner?.calls !== undefined)?.calls ?? entry?.found.pipeline?.steps.map(({ model }) => model) ?? []
    )
  }

  models(): readonly Model[] {
    return this.#sorted
  }

  model(name: string): Model | undefined {
    return this.#entries.get(name)?.model
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
    const runner = entry.versions.get(found?.version ?? '')?.runner
    if (found?.state !== 'ready' || runner === undefined) throw new VestalError('MODEL_UNAVAILABLE')
    return configurationOf(entry.found, found, runner)
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
}
