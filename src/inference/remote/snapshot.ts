import { VestalError } from '../../core/errors.ts'
import type { Model, ModelConfiguration } from '../engine.ts'
import type { Described, FromEngine } from './protocol.ts'

/** The models as the engine process sent them: what an HTTP process knows of them, also while that process is away. */
export class Snapshot {
  readonly #models = new Map<string, Described>()
  readonly #listeners = new Set<(name: string) => void>()
  #sorted: readonly Model[] = []
  #isReady = false
  #troubles: readonly string[] = []

  take({ isWhole, models, isReady, troubles }: FromEngine & { readonly kind: 'state' }): void {
    const changed = new Set(models.map(([name]) => name))
    if (isWhole) for (const name of this.#models.keys()) changed.add(name)
    if (isWhole) this.#models.clear()
    for (const [name, described] of models) {
      if (described === undefined) this.#models.delete(name)
      else this.#models.set(name, described)
    }
    this.#isReady = isReady
    this.#troubles = troubles
    this.#sorted = [...this.#models.values()].map(({ model }) => model).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const name of changed) for (const listener of this.#listeners) listener(name)
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
    return this.#models.get(name)?.model
  }

  /** @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE */
  configuration(name: string, version?: string): ModelConfiguration {
    const described = this.#models.get(name)
    const found = described?.model.versions.find((each) =>
      version === undefined ? each.state === 'ready' : each.version === version,
    )
    if (described === undefined || (found === undefined && version !== undefined)) throw new VestalError('MODEL_UNKNOWN')
    const configuration = described.configurations.get(found?.version ?? '')
    if (configuration === undefined) throw new VestalError('MODEL_UNAVAILABLE')
    return configuration
  }
}
