import { Blobs, textOf } from './binary.ts'
import { elementBytes } from './datatypes.ts'
import { inputInvalid } from './decode.ts'
import type { InferRequest } from './request.ts'
import { elementCount, shownShape } from './shape.ts'
import type { InferTarget } from './target.ts'
import type { Tensor, TensorSpec } from './tensor.ts'
import { TRITON_TEXTS } from './triton-texts.ts'

/**
 * Reads a raw binary request: the body is the one input's tensor and nothing else, and its shape follows from its length. Where the
 * model takes rows and more than one dimension is of any size, it is one row. All outputs are asked for, as binary data.
 * @throws VestalError INPUT_INVALID when the shape does not follow
 */
export function decodeRawRequest(bytes: Uint8Array, target: InferTarget): InferRequest {
  const { model, inputs, outputs } = target
  const [input] = inputs
  if (input === undefined || inputs.length !== 1) {
    throw inputInvalid(TRITON_TEXTS.rawInputs(inputs.length, model))
  }
  return {
    inputs: new Map([[input.name, rawTensor(bytes, input, target)]]),
    outputs: outputs.map(({ name }) => ({ name, isBinary: true })),
    parameters: { isBinaryOutput: true },
  }
}

function rawTensor(bytes: Uint8Array, spec: TensorSpec, { model, hasRows = true }: InferTarget): Tensor {
  const { name, datatype } = spec
  const each = elementBytes(datatype)
  const shape = shownShape(spec.shape)
  if (each === undefined) {
    const row = hasRows && shape[0] === -1 ? shape.slice(1) : shape
    if (row.filter(isOpen).length > 1) throw inputInvalid(TRITON_TEXTS.rawOpen(name))
    if (row.some((dimension) => dimension !== 1)) throw inputInvalid(TRITON_TEXTS.rawText(name))
    return { datatype, shape: shape.map(() => 1), data: [textOf(bytes, { name, index: 0 })] }
  }
  const blobs = new Blobs(bytes, model)
  const tensor = blobs.take({ name, datatype, shape: deduce(shape, bytes.length / each, { name, hasRows }) }, bytes.length)
  blobs.end()
  return tensor
}

/** The shape of that many elements; a dimension that does not come out whole is rounded, and the length is then found wrong. */
function deduce(
  shape: readonly number[],
  elements: number,
  { name, hasRows }: { readonly name: string; readonly hasRows: boolean },
): readonly number[] {
  // Where the first dimension is not open, more than one of the others stays so.
  const known = hasRows && shape.filter(isOpen).length > 1 ? [1, ...shape.slice(1)] : shape
  if (known.filter(isOpen).length > 1) throw inputInvalid(TRITON_TEXTS.rawOpen(name))
  const rest = elementCount(known.filter((dimension) => !isOpen(dimension)))
  return known.map((dimension) => (isOpen(dimension) ? (rest === 0 ? 0 : Math.floor(elements / rest)) : dimension))
}

function isOpen(dimension: number): boolean {
  return dimension === -1
}
