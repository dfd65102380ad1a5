import { describeShape, isAnyShape, matchesShape } from '../../tensor/shape.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import type { DeclaredTensor, ModelConfig } from './pbtxt/interpret.ts'

/**
 * What a model takes or gives as its configuration declares it: no wider than the model itself.
 * @throws Error naming the tensor, when the two do not agree
 */
export function declaredSpecs(
  config: ModelConfig | undefined,
  kind: 'input' | 'output',
  specs: readonly TensorSpec[],
): readonly TensorSpec[] {
  if (config === undefined) return specs
  const declared = kind === 'input' ? config.inputs : config.outputs
  const names = specs.map(({ name }) => `'${name}'`).join(', ')
  const other = declared.find(({ name }) => !specs.some((spec) => spec.name === name))
  if (other !== undefined) throw new Error(`config.pbtxt: the model has no ${kind} '${other.name}'; it has ${names}`)
  const isInBatches = (config.batchSizeMax ?? 0) > 0
  return specs.map((spec) => {
    if (isInBatches && spec.shape[0] !== -1 && !isAnyShape(spec.shape)) {
      throw new Error(
        `config.pbtxt: max_batch_size needs a first dimension of any size, and the ${kind} '${spec.name}' is ${describeShape(spec.shape)}`,
      )
    }
    const own = declared.find(({ name }) => name === spec.name)
    return own === undefined ? spec : narrowed(spec, own, { kind, isInBatches })
  })
}

interface NarrowOptions {
  readonly kind: string
  readonly isInBatches: boolean
}

function narrowed(
  spec: TensorSpec,
  { datatype, dims, reshape, isOptional }: DeclaredTensor,
  { kind, isInBatches }: NarrowOptions,
): TensorSpec {
  const where = `config.pbtxt: the ${kind} '${spec.name}'`
  if (isOptional) throw new Error(`${where} is optional there, and the model needs it: ONNX Runtime runs with all its inputs`)
  if (datatype !== undefined && datatype !== spec.datatype)
    throw new Error(`${where} is ${datatype}, but the model has ${spec.datatype}`)
  if (dims === undefined) return spec
  // A scalar has dims of 1 there, as Triton completes them.
  if (spec.shape.length === 0 && !isInBatches && [...dims, ...(reshape ?? [])].every((size) => size === 1)) return spec
  const shape = isInBatches ? [-1, ...dims] : dims
  const own = reshape ?? dims
  const inner = isInBatches ? [-1, ...own] : own
  if (matchesShape(spec.shape, inner)) return { ...spec, shape }
  const batch = isInBatches ? ' (its first dimension is the batch)' : ''
  throw new Error(`${where} has dims ${describeShape(own)}, but the model has ${describeShape(spec.shape)}${batch}`)
}
