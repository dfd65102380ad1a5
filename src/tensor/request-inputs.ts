import type { VestalError } from '../core/errors.ts'
import type { Blobs } from './binary.ts'
import { inputInvalid, show, tensorFromJson } from './decode.ts'
import { isObject, type JsonObject } from './exact-json.ts'
import { readCount, readParameters } from './parameters.ts'
import { describeShape, matchesShape, overflowText, RANK_MAX } from './shape.ts'
import { type InferTarget, namesOf, quote } from './target.ts'
import type { NamedTensors, Tensor, TensorSpec } from './tensor.ts'

/**
 * Reads the `inputs` of an inference request: each with its data in JSON, or in the next blob of the binary data.
 * @throws VestalError INPUT_INVALID, naming the input, what was expected and what came; UNSUPPORTED for shared memory
 */
export function decodeInputs(inputs: unknown, target: InferTarget, blobs: Blobs): NamedTensors {
  if (!Array.isArray(inputs)) throw inputInvalid(`"inputs" must be a list, got ${show(inputs)}`)
  const tensors = new Map<string, Tensor>()
  for (const input of inputs) {
    if (!isObject(input)) throw inputInvalid(`an element of "inputs" must be an object, got ${show(input)}`)
    const { name } = input
    if (typeof name !== 'string') throw inputInvalid(`the "name" of an input must be a text, got ${show(name)}`)
    const spec = specOf(name, target)
    if (tensors.has(name)) throw inputInvalid(`input '${name}' already exists in request`)
    tensors.set(name, readInput(input, spec, { model: target.model, blobs }))
  }
  if (tensors.size < target.inputs.length) throw incomplete(tensors, target)
  return tensors
}

function specOf(name: string, { model, inputs }: InferTarget): TensorSpec {
  for (const spec of inputs) if (spec.name === name) return spec
  throw inputInvalid(
    `unexpected inference input ${quote(name)} for model '${model}'. Expected input(s) ${namesOf(inputs.map((spec) => spec.name))}.`,
  )
}

function incomplete(tensors: NamedTensors, { model, inputs }: InferTarget): VestalError {
  const missing = inputs.filter(({ name }) => !tensors.has(name))
  return inputInvalid(
    `expected ${inputs.length} inputs but got ${tensors.size} inputs for model '${model}'. Got input(s) ${namesOf(tensors.keys())}, ` +
      `but missing required input(s) ${namesOf(missing.map(({ name }) => name))}. Please provide all required input(s).`,
  )
}

interface Source {
  readonly model: string
  readonly blobs: Blobs
}

function readInput(input: JsonObject, spec: TensorSpec, { model, blobs }: Source): Tensor {
  const { name } = spec
  const { datatype, shape, data } = input
  const parameters = input.parameters == null ? undefined : readParameters(input.parameters, `input '${name}'`)
  if (datatype !== spec.datatype) {
    const got = typeof datatype === 'string' ? quote(datatype) : show(datatype)
    throw inputInvalid(`inference input '${name}' data-type is ${got}, but model '${model}' expects '${spec.datatype}'`)
  }
  const dimensions = readShape(shape, name)
  if (!matchesShape(spec.shape, dimensions)) {
    const expected = describeShape(spec.shape)
    throw inputInvalid(
      `unexpected shape for input '${name}' for model '${model}'. Expected ${expected}, got ${describeShape(dimensions)}.`,
    )
  }
  const target = { name, datatype: spec.datatype, shape: dimensions }
  if (parameters?.binary_data_size === undefined) return tensorFromJson(target, data)
  if (data !== undefined && data !== null)
    throw inputInvalid(`input '${name}' has both "data" and 'binary_data_size'; it must have one of them`)
  return blobs.take(target, readCount(parameters, 'binary_data_size', `input '${name}'`))
}

function readShape(shape: unknown, name: string): readonly number[] {
  if (isShape(shape)) return shape
  if (isTooLarge(shape)) throw inputInvalid(overflowText(name, shape))
  throw inputInvalid(
    `Unable to parse 'shape' of input '${name}': it must be a list of at most ${RANK_MAX} integers from 0 up, got ${show(shape)}`,
  )
}

/** True for a shape with a dimension that is beyond what a number holds exactly. */
function isTooLarge(shape: unknown): shape is readonly (number | bigint)[] {
  if (!Array.isArray(shape) || shape.length > RANK_MAX) return false
  return shape.every((dimension) => (Number.isInteger(dimension) || typeof dimension === 'bigint') && dimension >= 0)
}

function isShape(shape: unknown): shape is readonly number[] {
  if (!Array.isArray(shape) || shape.length > RANK_MAX) return false
  for (const dimension of shape) if (!Number.isSafeInteger(dimension) || dimension < 0) return false
  return true
}
