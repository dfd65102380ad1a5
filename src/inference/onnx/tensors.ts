import { withoutSequences } from './sequences.ts'
import { type ModelOfTensors, withoutZipMaps } from './zip-map.ts'

/** The model with tensors in the place of maps and sequences that are made of just these; undefined where there is none. */
export function withTensors(model: Uint8Array): ModelOfTensors | undefined {
  const mapped = withoutZipMaps(model)
  const spread = withoutSequences(mapped?.model ?? model)
  return spread === undefined ? mapped : { model: spread, labels: mapped?.labels ?? new Map() }
}
