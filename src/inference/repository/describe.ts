import type { Model, ModelVersion } from '../engine.ts'
import { CLOSED } from './permissions.ts'
import type { FoundModel } from './scan.ts'

/** A model as its folder describes it, with what became of its versions. */
export function describeModel({ name, file, permissions = CLOSED }: FoundModel, versions: Iterable<ModelVersion>): Model {
  const { priorityLevels: levels = 0, priorityDefault = 1 } = file.settings
  return {
    name,
    description: file.description,
    permissions,
    ...(levels > 0 && { priorities: { levels, default: priorityDefault } }),
    labels: file.labels,
    examples: file.examples,
    versions: [...versions].sort((a, b) => Number(b.version) - Number(a.version)),
  }
}

/** A version that does not answer, and why. */
export function withoutRunner(version: string, state: Exclude<ModelVersion['state'], 'ready'>, reason?: string): ModelVersion {
  return { version, state, ...(reason !== undefined && { reason }), inputs: [], outputs: [] }
}

/** A version that a request unloads: `unloading` until its last run is done, then `unavailable`. */
export function unloadedVersion(version: string, state: 'unloading' | 'unavailable'): ModelVersion {
  return { ...withoutRunner(version, state, 'unloaded'), offBy: 'request' }
}

/** True for a version that is off on purpose, and so no fault. */
export function isOff({ state, offBy }: ModelVersion): boolean {
  return state === 'unloading' || offBy !== undefined
}
