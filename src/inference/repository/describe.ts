import type { Model, ModelVersion } from '../engine.ts'
import { CLOSED } from './permissions.ts'
import type { FoundModel } from './scan.ts'
import { LEFT_OUT } from './version-policy.ts'

/** The reason that an index gives for a version that was unloaded by request. */
export const UNLOADED = 'unloaded'

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

/** True for a version that its model's version policy does not name. */
export function isLeftOut({ state, reason = '' }: ModelVersion): boolean {
  return state === 'unavailable' && reason.startsWith(LEFT_OUT)
}

/** True for a version that is unloaded by request or by policy. */
export function isOff(version: ModelVersion): boolean {
  const { state, reason } = version
  return state === 'unloading' || (state === 'unavailable' && reason === UNLOADED) || isLeftOut(version)
}
