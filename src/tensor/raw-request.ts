import { Blobs, textOf } from './binary.ts'
import { elementBytes } from './datatypes.ts'
import { inputInvalid } from './decode.ts'
import type { InferRequest } from './request.ts'
import { elementCount, shownShape } from './shape.ts'
import type { InferTarget } from './target.ts'
import type { Tensor, TensorSpec } from './tensor.ts'

/**
 * Reads a raw binary request: the body is the one input's tensor and nothing else, and its shape follows from its length. Where the
 * model takes rows and more than one dimension is of any size, it is one row. All outputs are asked for, as binary data.
 * @throws VestalError INPUT_INVALID when the shape does not follow
 */
export function decodeRawRequest(bytes: Uint8Array, { model, inputs, outputs }: InferTarget): InferRequest {
  const [input] = inputs
  if (input === undefined || inputs.length !== 1) {
    throw inputInvalid(
      `Raw request must only have 1 input (found 1) to be deduced but got ${inputs.length} inputs in '${model}' model configuration`,
    )
  }
  return {
    inputs: new Map([[input.name, rawTensor(bytes, input, model)]]),
    outputs: outputs.map(({ name }) => ({ name, isBinary: true })),
    parameters: { isBinaryOutput: true },
  }
}

function rawTensor(bytes: Uint8Array, { name, datatype, shape }: TensorSpec, model: string): Tensor {
  const each = elementBytes(datatype)
  if (each === undefined) {
    const own = shownShape(shape)
    if (own.some((dimension) => dimension !== 1 && dimension !== -1)) {
      throw inputInvalid(`For BYTE datatype raw input '${name}', the model must have input shape [1]`)
    }
    return { datatype, shape: own.map(() => 1), data: [textOf(bytes, { name, index: 0 })] }
  }
  const blobs = new Blobs(bytes, model)
  const tensor = blobs.take({ name, datatype, shape: deduce(shape, bytes.length / each, name) }, bytes.length)
  blobs.end()
  return tensor
}

/** The shape of that many elements; a dimension that does not come out whole is rounded, and the length is then found wrong. */
function deduce(spec: readonly number[], elements: number, name: string): readonly number[] {
  const shape = shownShape(spec)
  const isOpen = (dimension: number) => dimension === -1
  const openCount = shape.filter(isOpen).length
  const known = openCount > 1 && shape[0] === -1 ? [1, ...shape.slice(1)] : shape
  if (known.filter(isOpen).length > 1) {
    throw inputInvalid(
      `The shape of the raw input '${name}' can not be deduced because there are more than one variable-sized dimension`,
    )
  }
  const rest = elementCount(known.filter((dimension) => !isOpen(dimension)))
  return known.map((dimension) => (isOpen(dimension) ? (rest === 0 ? 0 : Math.floor(elements / rest)) : dimension))
}
