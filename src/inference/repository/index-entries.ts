import type { IndexEntry, Model, ModelState } from '../engine.ts'

/** Every version of every model, but for those that its version policy leaves out; a model without one has only its name. */
export function indexOf(models: readonly Model[]): readonly IndexEntry[] {
  return models.flatMap(({ name, versions }): readonly IndexEntry[] => {
    const listed = versions.filter((version) => version.offBy !== 'policy')
    if (listed.length === 0) return [{ name }]
    return listed.map(({ version, state, reason }) => ({
      name,
      version,
      state: state.toUpperCase() as Uppercase<ModelState>,
      ...(reason !== undefined && { reason }),
    }))
  })
}
