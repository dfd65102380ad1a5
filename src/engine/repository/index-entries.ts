import type { IndexEntry, Model, ModelState } from '../engine.ts'

/** Every version of every model; a model without one has its name alone. */
export function indexOf(models: readonly Model[]): readonly IndexEntry[] {
  return models.flatMap(({ name, versions }): readonly IndexEntry[] => {
    if (versions.length === 0) return [{ name }]
    return versions.map(({ version, state, reason }) => ({
      name,
      version,
      state: state.toUpperCase() as Uppercase<ModelState>,
      ...(reason !== undefined && { reason }),
    }))
  })
}
