import { VestalError } from '../core/errors.ts'
import { isDatatype } from './datatypes.ts'
import { inputInvalid, show, tensorFromJson } from './decode.ts'
import { describeShape, matchesShape, RANK_MAX } from './shape.ts'
import type { NamedTensors, Tensor, TensorSpec } from './tensor.ts'

/** What a model takes and gives, for the checks and their texts. */
export interface InferTarget {
  readonly model: string
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

/** An inference request that fits the model. */
export interface InferRequest {
  /** Told back in the answer; absent when it was empty. */
  readonly id?: string
  readonly inputs: NamedTensors
  /** Names of the outputs asked for, in their order; absent for all. */
  readonly outputs?: readonly string[]
}

type JsonObject = Readonly<Record<string, unknown>>

/** Characters of a request's id. */
const ID_LENGTH_MAX = 1024

/**
 * Reads the JSON of an inference request (Open Inference Protocol 2, "Inference Request JSON Object") against a model.
 * Members that the protocol does not know are ignored, as its clients expect.
 * @throws VestalError INPUT_INVALID; UNSUPPORTED for binary tensors, classification and shared memory
 */
export function decodeInferRequest(body: unknown, target: InferTarget): InferRequest {
  if (!isObject(body)) throw inputInvalid(`the body must be an object with "inputs", got ${show(body)}`)
  const { id, inputs, outputs, parameters } = body
  if (id !== undefined && (typeof id !== 'string' || id.length > ID_LENGTH_MAX)) {
    throw inputInvalid(`"id" must be a text of at most ${ID_LENGTH_MAX} characters, got ${show(id)}`)
  }
  refuseParameters(parameters, 'the request')
  const tensors = readInputs(inputs, target)
  const names = readOutputs(outputs, target)
  return { inputs: tensors, ...(id !== undefined && id !== '' && { id }), ...(names.length > 0 && { outputs: names }) }
}

function readInputs(inputs: unknown, target: InferTarget): NamedTensors {
  if (!Array.isArray(inputs)) throw inputInvalid(`"inputs" must be a list, got ${show(inputs)}`)
  const tensors = new Map<string, Tensor>()
  for (const input of inputs) {
    if (!isObject(input)) throw inputInvalid(`an element of "inputs" must be an object, got ${show(input)}`)
    const { name } = input
    if (typeof name !== 'string') throw inputInvalid(`the "name" of an input must be a text, got ${show(name)}`)
    const spec = target.inputs.find((candidate) => candidate.name === name)
    if (spec === undefined) {
      throw inputInvalid(
        `unexpected inference input ${quote(name)} for model '${target.model}'. Expected input(s) ${namesOf(target.inputs)}.`,
      )
    }
    if (tensors.has(name)) throw inputInvalid(`input '${name}' already exists in request`)
    tensors.set(name, readInput(input, spec, target.model))
  }
  const missing = target.inputs.filter(({ name }) => !tensors.has(name))
  if (missing.length > 0) {
    throw inputInvalid(
      `expected ${target.inputs.length} inputs but got ${tensors.size} inputs for model '${target.model}'. ` +
        `Missing required input(s) ${namesOf(missing)}.`,
    )
  }
  return tensors
}

function readInput(input: JsonObject, spec: TensorSpec, model: string): Tensor {
  const { name, datatype, shape, data, parameters } = input
  refuseParameters(parameters, `input '${spec.name}'`)
  if (!isDatatype(datatype))
    throw inputInvalid(`input '${spec.name}': "datatype" must be one of the protocol, got ${show(datatype)}`)
  if (datatype !== spec.datatype) {
    throw inputInvalid(`inference input '${name}' data-type is '${datatype}', but model '${model}' expects '${spec.datatype}'`)
  }
  const dimensions = readShape(shape, spec.name)
  if (!matchesShape(spec.shape, dimensions)) {
    const expected = describeShape(spec.shape)
    throw inputInvalid(
      `unexpected shape for input '${name}' for model '${model}'. Expected ${expected}, got ${describeShape(dimensions)}.`,
    )
  }
  return tensorFromJson({ name: spec.name, datatype, shape: dimensions }, data)
}

function readShape(shape: unknown, name: string): readonly number[] {
  const isShape =
    Array.isArray(shape) &&
    shape.length <= RANK_MAX &&
    shape.every((dimension) => Number.isSafeInteger(dimension) && (dimension as number) >= 0)
  if (!isShape) {
    throw inputInvalid(`input '${name}': "shape" must be a list of at most ${RANK_MAX} integers from 0 up, got ${show(shape)}`)
  }
  return shape as readonly number[]
}

function readOutputs(outputs: unknown, target: InferTarget): readonly string[] {
  if (outputs === undefined) return []
  if (!Array.isArray(outputs)) throw inputInvalid(`"outputs" must be a list, got ${show(outputs)}`)
  const names: string[] = []
  for (const output of outputs) {
    if (!isObject(output)) throw inputInvalid(`an element of "outputs" must be an object, got ${show(output)}`)
    const { name, parameters } = output
    if (typeof name !== 'string') throw inputInvalid(`the "name" of an output must be a text, got ${show(name)}`)
    if (!target.outputs.some((spec) => spec.name === name)) {
      throw inputInvalid(
        `unexpected inference output ${quote(name)} for model '${target.model}'. Expected output(s) ${namesOf(target.outputs)}.`,
      )
    }
    if (names.includes(name)) throw inputInvalid(`output '${name}' already exists in request`)
    refuseParameters(parameters, `output '${name}'`)
    names.push(name)
  }
  return names
}

/** Parameters that change what the bytes mean must not be ignored; all others may be. */
function refuseParameters(parameters: unknown, where: string): void {
  if (parameters === undefined) return
  if (!isObject(parameters)) throw inputInvalid(`the "parameters" of ${where} must be an object, got ${show(parameters)}`)
  const { binary_data_size, shared_memory_region, binary_data, binary_data_output, classification } = parameters
  if (shared_memory_region !== undefined) throw unsupported(`shared memory, asked for by ${where}, is not supported`)
  if (binary_data_size !== undefined || binary_data === true || binary_data_output === true) {
    throw unsupported(`binary tensor data, asked for by ${where}, is not supported by this version; use JSON "data"`)
  }
  if (classification !== undefined) throw unsupported(`classification, asked for by ${where}, is not supported by this version`)
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function namesOf(specs: readonly TensorSpec[]): string {
  return `[${specs.map(({ name }) => `'${name}'`).join(', ')}]`
}

function quote(name: string): string {
  return `'${name.length > 100 ? `${name.slice(0, 100)}…` : name}'`
}

function unsupported(detail: string): VestalError {
  return new VestalError('UNSUPPORTED', { detail })
}
