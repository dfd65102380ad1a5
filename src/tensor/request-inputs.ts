import type { VestalError } from '../core/errors.ts'
import type { Blobs } from './binary.ts'
import { inputInvalid, show, tensorFromJson } from './decode.ts'
import { isObject, type JsonObject } from './exact-json.ts'
import { readCount, readParameters } from './parameters.ts'
import { describeShape, ELEMENTS_MAX, elementCount, ownShape, RANK_MAX, tooManyElements } from './shape.ts'
import { type InferTarget, quote } from './target.ts'
import type { NamedTensors, Tensor, TensorSpec } from './tensor.ts'
import { listOf, TRITON_TEXTS } from './triton-texts.ts'

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
    if (typeof name !== 'string') throw inputInvalid(`the "name" of an input must be a string, got ${show(name)}`)
    const spec = specOf(name, target)
    if (tensors.has(name)) throw inputInvalid(TRITON_TEXTS.inputTwice(name))
    tensors.set(name, readInput(input, spec, { model: target.model, blobs }))
  }
  if (tensors.size < target.inputs.length) throw incomplete(tensors, target)
  return tensors
}

function specOf(name: string, { model, inputs }: InferTarget): TensorSpec {
  for (const spec of inputs) if (spec.name === name) return spec
  const expected = listOf(inputs.map((spec) => spec.name))
  throw inputInvalid(`${TRITON_TEXTS.inputUnexpected(quote(name), model)}. Expected input(s) ${expected}.`)
}

function incomplete(tensors: NamedTensors, { model, inputs }: InferTarget): VestalError {
  const missing = inputs.map(({ name }) => name).filter((name) => !tensors.has(name))
  return inputInvalid(TRITON_TEXTS.inputsMissing(inputs.length, [...tensors.keys()], { model, missing }))
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
    throw inputInvalid(TRITON_TEXTS.datatypeWrong(got, { input: name, model, expected: spec.datatype }))
  }
  const size =
    parameters?.binary_data_size === undefined ? undefined : readCount(parameters, 'binary_data_size', `input '${name}'`)
  if (!isShape(shape) || elementCount(shape) > ELEMENTS_MAX) throw wrongShape(shape, spec, { size, blobs })
  const own = ownShape(spec.shape, shape)
  if (own === undefined) {
    const expected = describeShape(spec.shape.length === 0 ? [1] : spec.shape)
    throw inputInvalid(TRITON_TEXTS.shapeWrong(describeShape(shape), { input: name, model, expected }))
  }
  const target = { name, datatype: spec.datatype, shape: own, model }
  if (size === undefined) return tensorFromJson(target, data)
  if (data !== undefined && data !== null) throw inputInvalid(`${TRITON_TEXTS.dataTwice()} in input '${name}'`)
  return blobs.take(target, size)
}

/** Why a shape cannot be one of a tensor, whose data is a blob of that size, or in the JSON. */
function wrongShape(
  shape: unknown,
  { name, datatype }: TensorSpec,
  { size, blobs }: Pick<Source, 'blobs'> & { readonly size: number | undefined },
): VestalError {
  if (!isTooLarge(shape)) {
    const rule = `the shape of input '${name}' must be a list of at most ${RANK_MAX} integers from 0 up, got ${show(shape)}`
    return inputInvalid(`${TRITON_TEXTS.shapeNegative()}; ${rule}`)
  }
  return size === undefined ? inputInvalid(tooManyElements(name, datatype, shape)) : blobs.misfit({ name, datatype, shape }, size)
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
