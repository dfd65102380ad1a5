import { Blobs } from './binary.ts'
import { inputInvalid, show } from './decode.ts'
import { isObject } from './exact-json.ts'
import { type RequestParameters, readRequestParameters } from './parameters.ts'
import { decodeInputs } from './request-inputs.ts'
import { decodeOutputs, type RequestedOutput } from './request-outputs.ts'
import type { InferTarget } from './target.ts'
import type { NamedTensors } from './tensor.ts'

/** An inference request that fits the model. */
export interface InferRequest {
  /** Told back in the answer; absent when it was empty. */
  readonly id?: string
  readonly inputs: NamedTensors
  /** The outputs asked for, in their order: all of the model's where the request names none. */
  readonly outputs: readonly RequestedOutput[]
  readonly parameters: RequestParameters
}

/** Characters of a request's id. */
const ID_LENGTH_MAX = 1024

/**
 * Reads an inference request (Open Inference Protocol 2, "Inference Request JSON Object") against a model: its JSON, and the binary
 * tensor data behind it. Members that the protocol does not know are ignored, as its clients expect, and one that may be absent may be null.
 * @throws VestalError INPUT_INVALID; UNSUPPORTED for shared memory and sequences
 */
export function decodeInferRequest(body: unknown, target: InferTarget, binary?: Uint8Array): InferRequest {
  if (!isObject(body)) throw inputInvalid(`the body must be an object with "inputs", got ${show(body)}`)
  const { id, inputs, outputs, parameters } = body
  if (id !== undefined && id !== null && (typeof id !== 'string' || id.length > ID_LENGTH_MAX)) {
    throw inputInvalid(`"id" must be a string of at most ${ID_LENGTH_MAX} characters, got ${show(id)}`)
  }
  const asked = readRequestParameters(parameters)
  // What needs no data is read first: an output that there is not is no reason to decode the inputs.
  const requested = decodeOutputs(outputs, target, asked)
  const blobs = new Blobs(binary, target.model)
  const tensors = decodeInputs(inputs, target, blobs)
  blobs.end()
  return { inputs: tensors, outputs: requested, parameters: asked, ...(typeof id === 'string' && id !== '' && { id }) }
}
