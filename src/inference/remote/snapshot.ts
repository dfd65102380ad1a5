import { VestalError } from '../../core/errors.ts'
import type { Model, ModelConfiguration } from '../engine.ts'
import type { Described, FromEngine } from './protocol.ts'

/**
 * The models as the engine process sent them: what an HTTP process knows of them, also while that process is away. While its replacement
 * loads them, models that were ready are shown as before.
 */
export class Snapshot {
  readonly #models = new Map<string, Described>()
  /** Models that served before, and that the engine process has yet to load. */
  readonly #coming = new Map<string, Described>()
  readonly #listeners = new Set<(name: string) => void>()
  #sorted: readonly Model[] = []
  #isReady = false
  #troubles: readonly string[] = []

  take({ isWhole, models, isReady, troubles }: FromEngine & { readonly kind: 'state' }): void {
    const before = isWhole ? new Map([...this.#models, ...this.#coming]) : new Map(this.#coming)
    const changed = new Set([...models.map(([name]) => name), ...before.keys()])
    if (isWhole) this.#models.clear()
    for (const [name, described] of models) {
      if (described === undefined) this.#models.delete(name)
      else this.#models.set(name, described)
    }
    for (const [name, described] of before) {
      if (!isReady && isServed(described) && isToCome(this.#models.get(name))) this.#coming.set(name, described)
      else this.#coming.delete(name)
    }
    this.#isReady = isReady
    this.#troubles = troubles
    const shown = new Map([...this.#models, ...this.#coming])
    this.#sorted = [...shown.values()].map(({ model }) => model).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const name of changed) for (const listener of this.#listeners) listener(name)
  }

  /** Whether a model served before, and the engine process has yet to load it. */
  isComing(name: string): boolean {
    return this.#coming.has(name)
  }

  subscribe(listener: (name: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  get troubles(): readonly string[] {
    return this.#troubles
  }

  models(): readonly Model[] {
    return this.#sorted
  }

  model(name: string): Model | undefined {
    return this.#described(name)?.model
  }

  /** @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE */
  configuration(name: string, version?: string): ModelConfiguration {
    const described = this.#described(name)
    const found = described?.model.versions.find((each) =>
      version === undefined ? each.state === 'ready' : each.version === version,
    )
    if (described === undefined || (found === undefined && version !== undefined)) throw new VestalError('MODEL_UNKNOWN')
    const configuration = described.configurations.get(found?.version ?? '')
    if (configuration === undefined) throw new VestalError('MODEL_UNAVAILABLE')
    return configuration
  }

  #described(name: string): Described | undefined {
    return this.#coming.get(name) ?? this.#models.get(name)
  }
}

function isServed({ model }: Described): boolean {
  return model.versions.some(({ state }) => state === 'ready')
}

/** True of a model that was not loaded and not rejected. */
function isToCome(described: Described | undefined): boolean {
  const versions = described?.model.versions ?? []
  return (
    versions.length === 0 ||
    (versions.some(({ state }) => state === 'loading') && !versions.some(({ state }) => state === 'ready'))
  )
}
