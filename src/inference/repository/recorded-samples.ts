import { decodeRows } from '../../tensor/rows.ts'
import type { NamedTensors, TensorSpec } from '../../tensor/tensor.ts'
import { checkInputs } from '../batches.ts'
import { declaredSpecs } from './declared.ts'
import { ownShapes } from './reshape.ts'
import type { FoundModel } from './scan.ts'
import { warmupTensors } from './synthetic.ts'

/** Recorded inputs that a trial reads. */
const SAMPLES_MAX = 16

/**
 * Inputs that a model's files record as warm-ups and examples, as its own file takes them. What does not fit is left out: a warm-up
 * that is wrong is reported when it is run.
 */
export function recordedSamples({ file, folder, config }: FoundModel, specs: readonly TensorSpec[]): readonly NamedTensors[] {
  const inputs = attempt(() => declaredSpecs(config, 'input', specs))
  if (inputs === undefined) return []
  const warmups = file.warmups.slice(0, SAMPLES_MAX).map((warmup) => () => {
    // Zeros and random numbers are as made up as our own.
    if (warmup.kind === 'rows') return decodeRows(warmup.input, inputs)
    const isMadeUp = warmup.inputs.every(({ data }) => typeof data === 'string')
    return isMadeUp ? undefined : warmupTensors(warmup, folder, inputs)
  })
  const examples = file.examples.slice(0, SAMPLES_MAX).map((example) => () => decodeRows(example, inputs))
  return [...warmups, ...examples].flatMap((read) => {
    const tensors = attempt(() => {
      const own = read()
      const tensors = own && ownShapes(config, own)
      if (tensors !== undefined) checkInputs(specs, tensors)
      return tensors
    })
    return tensors === undefined ? [] : [tensors]
  })
}

/** The shapes of the first warm-up that records no values, as the model itself takes them. */
export function recordedShapes({ file, config }: FoundModel): ReadonlyMap<string, readonly number[]> | undefined {
  const warmup = file.warmups.find((each) => each.kind === 'tensors')
  if (warmup?.kind !== 'tensors' || config?.inputs.some(({ reshape }) => reshape !== undefined)) return undefined
  return new Map(warmup.inputs.map(({ name, dims }) => [name, warmup.rows > 0 ? [-1, ...dims] : dims]))
}

/** The result, or undefined where it fails. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    // A trial without it says less, and nothing false.
    return undefined
  }
}
