import { inputInvalid, show } from './decode.ts'
import { isObject } from './exact-json.ts'
import { type RequestParameters, readCount, readFlag, readParameters } from './parameters.ts'
import { type InferTarget, quote } from './target.ts'
import type { TensorSpec } from './tensor.ts'
import { listOf, TRITON_TEXTS } from './triton-texts.ts'

/** An output that a request asks for, and in what form. */
export interface RequestedOutput {
  readonly name: string
  /** True when its data comes as binary data behind the JSON. */
  readonly isBinary: boolean
  /** How many of its largest elements to give as texts in place of its own; absent for its own. */
  readonly classCount?: number
}

/**
 * Reads the `outputs` of an inference request; none, or an empty list, asks for all. An output's own `binary_data` goes before the
 * request's `binary_data_output`, and without either it is JSON.
 * @throws VestalError INPUT_INVALID, naming the output; UNSUPPORTED for shared memory
 */
export function decodeOutputs(
  outputs: unknown,
  target: InferTarget,
  { isBinaryOutput }: RequestParameters,
): readonly RequestedOutput[] {
  if (outputs === undefined || outputs === null || (Array.isArray(outputs) && outputs.length === 0)) {
    return isBinaryOutput ? allOf(target.outputs, true) : allInJson(target.outputs)
  }
  if (!Array.isArray(outputs)) throw inputInvalid(`"outputs" must be a list, got ${show(outputs)}`)
  return readOutputs(outputs, target, isBinaryOutput)
}

/** By the specs of a version, which stay as they are. */
const allInJsonKnown = new WeakMap<readonly TensorSpec[], readonly RequestedOutput[]>()

/** What most requests ask for is made once. */
function allInJson(specs: readonly TensorSpec[]): readonly RequestedOutput[] {
  const known = allInJsonKnown.get(specs)
  if (known !== undefined) return known
  const outputs = allOf(specs, false)
  allInJsonKnown.set(specs, outputs)
  return outputs
}

function allOf(specs: readonly TensorSpec[], isBinary: boolean): readonly RequestedOutput[] {
  return specs.map(({ name }) => ({ name, isBinary }))
}

function readOutputs(outputs: readonly unknown[], target: InferTarget, isBinaryOutput: boolean): readonly RequestedOutput[] {
  const requested = new Map<string, RequestedOutput>()
  for (const output of outputs) {
    if (!isObject(output)) throw inputInvalid(`an element of "outputs" must be an object, got ${show(output)}`)
    const { name } = output
    if (typeof name !== 'string') throw inputInvalid(`the "name" of an output must be a string, got ${show(name)}`)
    if (!target.outputs.some((spec) => spec.name === name)) {
      const expected = listOf(target.outputs.map((spec) => spec.name))
      throw inputInvalid(`${TRITON_TEXTS.outputUnexpected(quote(name), target.model)}. Expected output(s) ${expected}.`)
    }
    if (requested.has(name)) throw inputInvalid(TRITON_TEXTS.outputTwice(name))
    const where = `output '${name}'`
    const parameters = readParameters(output.parameters, where)
    const classCount = readCount(parameters, 'classification', where)
    const isBinary = readFlag(parameters, 'binary_data', where) ?? isBinaryOutput
    requested.set(name, { name, isBinary, ...(classCount > 0 && { classCount }) })
  }
  return [...requested.values()]
}
