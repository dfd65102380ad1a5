import type { PermissionCheck } from '../../auth/permissions.ts'
import { invariant } from '../../core/invariant.ts'
import type { Engine, InferOptions as EngineOptions, Model, ModelVersion } from '../../inference/engine.ts'
import { classify } from '../../tensor/classification.ts'
import { hasLongIntegers } from '../../tensor/datatypes.ts'
import { decodeJson, JSON_DEPTH_MAX } from '../../tensor/exact-json.ts'
import { decodeRawRequest } from '../../tensor/raw-request.ts'
import { decodeInferRequest, type InferRequest } from '../../tensor/request.ts'
import type { RequestedOutput } from '../../tensor/request-outputs.ts'
import { type AnsweredOutput, type EncodedAnswer, encodeInferResponse, type InferAnswer } from '../../tensor/response.ts'
import type { NamedTensors, Tensor } from '../../tensor/tensor.ts'
import { deadlineOf, leftOf } from '../deadline.ts'
import { type Coding, encode, preferredCoding } from '../encodings.ts'
import { jsonTextResponse } from '../json.ts'
import { findModel, findReadyVersion, labelsOf, refuseUrgent } from '../model-access.ts'
import type { RequestHold, RequestMemory } from '../request-memory.ts'
import { HEADER_LENGTH, type InferBody, readInferBody } from './infer-body.ts'

/** Data may be nested as deep as other JSON, and lies in the body, its list of inputs and one of these. A number ends its nesting. */
export const BODY_LEVELS_MAX = 3 + JSON_DEPTH_MAX - 1

export interface AskedModel {
  readonly name: string
  readonly version?: string
}

export interface AskedBy {
  readonly request: Request
  readonly memory: RequestMemory
  /** The key of the principal. */
  readonly subject: string
  /** What the token grants. */
  readonly allows: PermissionCheck
}

/**
 * Answers an inference request (Open Inference Protocol 2) with its extensions for binary tensor data, classification and parameters.
 * @throws VestalError for everything that the client can do wrong
 */
export async function infer(engine: Engine, asked: AskedModel, askedBy: AskedBy): Promise<Response> {
  const { request, memory, subject, allows } = askedBy
  const model = findModel(engine, asked.name)
  const version = findReadyVersion(model, asked.version)
  const deadline = deadlineOf(request)
  const held = memory.open(request, subject)
  try {
    const question = decodeQuestion(await readInferBody(request, held), model, version)
    refuseUrgent(question.parameters.priority, model, allows)
    const requestId = memory.idOf(request)
    const options = {
      signal: () => request.signal,
      subject,
      requestId,
      timeoutMs: leftOf(deadline, question.parameters.timeoutMs),
    }
    held.handOver()
    const results = await engine.infer(model.name, version.version, question.inputs, optionsOf(question, { version, options }))
    held.computed(results)
    const answer = respond(encodeInferResponse(answerOf(question, { results, model, version })), { request, held })
    return answer instanceof Promise ? await answer : answer
  } finally {
    held.close()
  }
}

export interface Question {
  readonly model: Model
  readonly version: ModelVersion
  /** Who asks, and for how long. */
  readonly options: EngineOptions
  readonly allows: PermissionCheck
}

/** Computes what a request asks for, and gives what is to be answered. */
export async function computeQuestion(
  engine: Engine,
  request: InferRequest,
  { model, version, options, allows }: Question,
): Promise<InferAnswer> {
  refuseUrgent(request.parameters.priority, model, allows)
  const results = await engine.infer(model.name, version.version, request.inputs, optionsOf(request, { version, options }))
  return answerOf(request, { results, model, version })
}

function optionsOf(
  { outputs, parameters }: InferRequest,
  { version, options }: Pick<Question, 'version' | 'options'>,
): EngineOptions {
  const { signal, subject, requestId, timeoutMs } = options
  const names = areAll(outputs, version) ? undefined : outputs.map(({ name }) => name)
  return { signal, subject, requestId, timeoutMs, priority: parameters.priority, outputs: names }
}

/** True for all outputs in the order of the model's, which nobody has to name. */
function areAll(asked: readonly RequestedOutput[], { outputs }: ModelVersion): boolean {
  for (let index = 0; index < outputs.length; index += 1) if (asked[index]?.name !== outputs[index]?.name) return false
  return asked.length === outputs.length
}

function answerOf({ id, outputs }: InferRequest, computed: Computed): InferAnswer {
  const { model, version } = computed
  const answers: AnsweredOutput[] = []
  for (const output of outputs) answers.push(answered(output, computed))
  return { modelName: model.name, modelVersion: version.version, id, outputs: answers }
}

/**
 * Reads an inference request against the version that is to answer it.
 * @throws VestalError BODY_INVALID, INPUT_INVALID, UNSUPPORTED
 */
export function decodeQuestion(body: InferBody, model: Model, { inputs, outputs, hasRows }: ModelVersion): InferRequest {
  const target = { model: model.name, inputs, outputs, hasRows }
  const { bytes, jsonLength } = body
  if (body.isRaw) return decodeRawRequest(bytes, target)
  const options = { exactIntegers: hasLongIntegers(inputs), hasBareFloats: true, levelsMax: BODY_LEVELS_MAX }
  if (jsonLength === bytes.length) return decodeJson(bytes, options, (json) => decodeInferRequest(json, target))
  const binary = bytes.subarray(jsonLength)
  return decodeJson(bytes.subarray(0, jsonLength), options, (json) => decodeInferRequest(json, target, binary))
}

interface Computed {
  readonly results: NamedTensors
  readonly model: Model
  readonly version: ModelVersion
}

function answered({ name, isBinary, classCount }: RequestedOutput, { results, model, version }: Computed): AnsweredOutput {
  const tensor = results.get(name)
  invariant(tensor !== undefined, 'the engine gives every output that was asked for')
  if (classCount === undefined) return { name, tensor: sent(tensor), isBinary }
  return { name, tensor: classified(name, tensor, { classCount, model, version }), isBinary }
}

/** A tensor as the metadata shows it: a scalar has one dimension there. */
function sent(tensor: Tensor): Tensor {
  return tensor.shape.length === 0 ? { ...tensor, shape: [1] } : tensor
}

function classified(
  name: string,
  tensor: Tensor,
  { classCount: count, model, version }: Omit<Computed, 'results'> & { readonly classCount: number },
): Tensor {
  const labels = labelsOf(model, version).get(name)
  const [first, second] = version.outputs.find((spec) => spec.name === name)?.shape ?? []
  // One number a row has nothing to be the largest of: one dimension alone is one list of classes.
  const hasRows = version.hasRows !== false && first === -1 && second !== undefined
  return classify(name, tensor, { count, hasRows, ...(labels && { labels }) })
}

interface Answering {
  readonly request: Request
  readonly held: RequestHold
}

function respond({ json, blobs }: EncodedAnswer, { request, held }: Answering): Response | Promise<Response> {
  const coding = preferredCoding(request.headers.get('accept-encoding'))
  if (blobs.length === 0 && coding === undefined) return held.answer(jsonTextResponse(json), json.length)
  return respondInBytes({ json, blobs }, coding, held)
}

async function respondInBytes({ json, blobs }: EncodedAnswer, coding: Coding | undefined, held: RequestHold): Promise<Response> {
  const { bytes, jsonLength } = joined(json, blobs)
  const headers: Record<string, string> =
    blobs.length === 0
      ? { 'content-type': 'application/json' }
      : { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(jsonLength) }
  if (coding === undefined) return held.answer(new Response(bytes, { headers }), bytes.length)
  held.make(bytes.length)
  const encoded = await encode(bytes, coding)
  const encodedHeaders = { ...headers, 'content-encoding': coding, vary: 'accept-encoding' }
  return held.answer(new Response(encoded, { headers: encodedHeaders }), encoded.length)
}

/** The two parts of an answer in one piece, each copied once. */
export function joined(json: string, blobs: readonly Uint8Array[]) {
  const jsonLength = Buffer.byteLength(json)
  const bytes = Buffer.allocUnsafe(blobs.reduce((sum, { length }) => sum + length, jsonLength))
  bytes.write(json, 0, 'utf8')
  let position = jsonLength
  for (const blob of blobs) {
    bytes.set(blob, position)
    position += blob.length
  }
  return { bytes, jsonLength }
}
