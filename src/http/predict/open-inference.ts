import { VestalError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import { pictureInputOf } from '../../inference/code/code-values.ts'
import type { ModelVersion } from '../../inference/engine.ts'
import { classify } from '../../tensor/classification.ts'
import { hasLongIntegers, listKindOf } from '../../tensor/datatypes.ts'
import { decodeJson, JSON_DEPTH_MAX, type JsonOptions } from '../../tensor/exact-json.ts'
import { decodeRawRequest } from '../../tensor/raw-request.ts'
import { decodeInferRequest, type InferRequest } from '../../tensor/request.ts'
import type { RequestedOutput } from '../../tensor/request-outputs.ts'
import { type AnsweredOutput, encodeInferResponse } from '../../tensor/response.ts'
import type { InferTarget } from '../../tensor/target.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import type { TooLargeText } from '../encodings.ts'
import { labelsOf } from '../model-access.ts'
import { type BodyCodec, type Codec, type DecodeTarget, type EncodeTarget, HEADER_LENGTH, type Question } from './codec.ts'
import { takePictures } from './picture-inputs.ts'

/** Data may be nested as deep as other JSON, and lies in the body, its list of inputs and one of these. A number ends its nesting. */
const BODY_LEVELS_MAX = 3 + JSON_DEPTH_MAX - 1
const INT32_MAX = 2 ** 31 - 1
const REMEDY = 'Use --body-bytes-max to increase the limit.'

/** What a client reads about a body of JSON that is larger than `body_bytes_max`. */
export const jsonTooLarge: TooLargeText = (...sizes) => `${TRITON_TEXTS.jsonTooLarge(...sizes)} ${REMEDY}`
const rawTooLarge: TooLargeText = (...sizes) => `${TRITON_TEXTS.rawTooLarge(...sizes)} ${REMEDY}`

/**
 * An inference request (Open Inference Protocol 2) with its extensions for binary tensor data, classification and parameters. Media types
 * are not looked at: clients of this protocol send none, or a wrong one.
 */
export const openInference: Codec<InferRequest> & BodyCodec<InferRequest> = {
  name: 'open-inference',
  jsonLengthOf({ headers }) {
    const header = headers.get(HEADER_LENGTH)
    if (header === null) return undefined
    const length = /^\d{1,10}$/.test(header) ? Number(header) : Number.NaN
    if (length <= INT32_MAX) return length
    throw invalid(TRITON_TEXTS.headerLength(header.replaceAll(/[^\w.+-]/g, '?').slice(0, 40)))
  },
  tooLarge: (jsonLength) => (jsonLength === undefined ? jsonTooLarge : jsonLength === 0 ? rawTooLarge : undefined),
  hasCompression: true,
  decode(bytes, target, jsonLength) {
    if (jsonLength === 0) return questionOf(decodeRawRequest(bytes, expectedBy(target)), target)
    const options = jsonOptions(target)
    if (jsonLength === undefined || jsonLength === bytes.length)
      return decodeJson(bytes, options, (json) => decodeTensors(json, target))
    if (jsonLength > bytes.length) throw invalid(TRITON_TEXTS.headerRange(bytes.length, jsonLength))
    const binary = bytes.subarray(jsonLength)
    return decodeJson(bytes.subarray(0, jsonLength), options, (json) => decodeTensors(json, target, binary))
  },
  elementsInJson(results, { outputs }) {
    let count = 0
    for (const { name, isBinary } of outputs) {
      const tensor = results.get(name)
      if (isBinary || tensor?.datatype === 'BYTES') return 0
      count += tensor?.data.length ?? 0
    }
    return count
  },
  encode(results, { id, outputs }, target) {
    const answers: AnsweredOutput[] = []
    for (const output of outputs) answers.push(answered(output, results, target))
    return encodeInferResponse({ modelName: target.model.name, modelVersion: target.version.version, id, outputs: answers })
  },
}

/** How the JSON of a request is read. */
export function jsonOptions({ version }: Pick<DecodeTarget, 'version'>): JsonOptions {
  const { inputs } = version
  return { exactIntegers: hasLongIntegers(inputs), hasBareFloats: true, levelsMax: BODY_LEVELS_MAX, lists: listKindOf(inputs) }
}

/**
 * Reads the JSON of a request, and the binary tensor data behind it.
 * @throws VestalError INPUT_INVALID, UNSUPPORTED
 */
export function decodeTensors(json: unknown, target: DecodeTarget, binary?: Uint8Array): Question<InferRequest> {
  const image = pictureInputOf(target.version)
  const taken = image && takePictures(json, image, binary)
  if (taken === undefined) return questionOf(decodeInferRequest(json, expectedBy(target), binary), target)
  const { inputs, ...expected } = expectedBy(target)
  const others = inputs.filter(({ name }) => name !== image?.input)
  const request = decodeInferRequest(taken.json, { ...expected, inputs: others }, taken.binary)
  return { ...questionOf(request, target), pictures: taken.pictures }
}

function questionOf(request: InferRequest, { version }: DecodeTarget): Question<InferRequest> {
  const { inputs, outputs, parameters } = request
  const names = areAll(outputs, version) ? undefined : outputs.map(({ name }) => name)
  return { tensors: inputs, outputs: names, priority: parameters.priority, timeoutMs: parameters.timeoutMs, form: request }
}

function expectedBy({ model, version: { inputs, outputs, hasRows } }: DecodeTarget): InferTarget {
  return { model: model.name, inputs, outputs, hasRows }
}

/** True for all outputs in the model's order, which is the default. */
function areAll(asked: readonly RequestedOutput[], { outputs }: Pick<ModelVersion, 'outputs'>): boolean {
  for (let index = 0; index < outputs.length; index += 1) if (asked[index]?.name !== outputs[index]?.name) return false
  return asked.length === outputs.length
}

function answered({ name, isBinary, classCount }: RequestedOutput, results: NamedTensors, target: EncodeTarget): AnsweredOutput {
  const tensor = results.get(name)
  invariant(tensor !== undefined, 'the engine gives every output that was asked for')
  if (classCount === undefined) return { name, tensor: shown(tensor), isBinary }
  return { name, tensor: classified(name, tensor, classCount, target), isBinary }
}

/** A tensor as the metadata shows it: a scalar has one dimension there. */
function shown(tensor: Tensor): Tensor {
  return tensor.shape.length === 0 ? { ...tensor, shape: [1] } : tensor
}

function classified(name: string, tensor: Tensor, count: number, { model, version }: EncodeTarget): Tensor {
  const labels = labelsOf(model, version).get(name)
  const [first, second] = version.outputs.find((spec) => spec.name === name)?.shape ?? []
  // A single dimension is one list of classes: one number a row has nothing to rank.
  const hasRows = version.hasRows !== false && first === -1 && second !== undefined
  return classify(name, tensor, { count, hasRows, ...(labels && { labels }) })
}

function invalid(detail: string): VestalError {
  return new VestalError('BODY_INVALID', { detail })
}
