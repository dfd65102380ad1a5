import type { PermissionCheck } from '../../auth/permissions.ts'
import { VestalError } from '../../core/errors.ts'
import type { Engine } from '../../inference/engine.ts'
import { hasLongIntegers } from '../../tensor/datatypes.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import { encodeInferResponse } from '../../tensor/response.ts'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import { findModel, findReadyVersion, labelsOf } from '../model-access.ts'
import { BODY_LEVELS_MAX, computeQuestion, decodeQuestion, joined } from '../open-inference/infer.ts'
import type { MessagePredictor } from './live-connection.ts'
import { withPatience } from './patience.ts'

export interface MessagePredictorOptions {
  readonly engine: Engine
  readonly name: string
  readonly subject: string | undefined
  /** What the token grants. */
  readonly allows: PermissionCheck
  readonly signal: AbortSignal
}

/** Bytes of the JSON's length, little-endian, at the beginning of a binary message. */
const LENGTH_BYTES = 4

/**
 * Prepares to answer messages. A text is JSON: `{"input": rows}` is answered with `{"output"}`, `{"inputs": tensors}` as the Open Inference
 * Protocol has it. A binary message is such a request with binary tensor data: the length of its JSON, the JSON, the data; the answer has
 * the same form.
 */
export function createMessagePredictor({ engine, name, subject, allows, signal }: MessagePredictorOptions): MessagePredictor {
  const who = { signal, subject }
  const predictText = async (message: string): Promise<string> => {
    const model = findModel(engine, name)
    const version = findReadyVersion(model)
    const { inputs, outputs } = version
    const bytes = Buffer.from(message)
    const options = { exactIntegers: hasLongIntegers(inputs), hasBareFloats: true, levelsMax: BODY_LEVELS_MAX }
    const rows = decodeJson(bytes, options, (body) => rowsOf(body, inputs))
    if (rows === undefined) {
      const question = decodeQuestion({ bytes, jsonLength: bytes.length, isRaw: false }, model, version)
      const asJson = { ...question, outputs: question.outputs.map((output) => ({ ...output, isBinary: false })) }
      const answer = await withPatience(() => computeQuestion(engine, asJson, { model, version, options: who, allows }), signal)
      return encodeInferResponse(answer).json
    }
    const { tensors, form } = rows
    const results = await withPatience(() => engine.infer(name, version.version, tensors, who), signal)
    return `{"output":${encodeRows(results, outputs, { form, labels: labelsOf(model, version) })}}`
  }
  const predictBinary = async (message: Uint8Array): Promise<Uint8Array> => {
    const model = findModel(engine, name)
    const version = findReadyVersion(model)
    const question = decodeQuestion(bodyOf(message), model, version)
    const answer = await withPatience(() => computeQuestion(engine, question, { model, version, options: who, allows }), signal)
    const { json, blobs } = encodeInferResponse(answer)
    return framed(json, blobs)
  }
  return Object.assign(
    (message: string | Uint8Array) => (typeof message === 'string' ? predictText(message) : predictBinary(message)),
    {
      failure: (message: string | Uint8Array, { status, detail }: VestalError) => {
        const json = JSON.stringify({ status_code: status, detail, error: null })
        return typeof message === 'string' ? json : framed(json, [])
      },
    },
  )
}

/** The rows of a message, and the form of their answer; undefined where it asks as the Open Inference Protocol has it. */
function rowsOf(body: unknown, specs: readonly TensorSpec[]) {
  if (isObject(body) && 'inputs' in body) return undefined
  if (!isObject(body) || body.input === undefined) {
    throw new VestalError('BODY_INVALID', { detail: 'a message must be an object with "input" or "inputs"' })
  }
  const { input } = body
  return { tensors: decodeRows(input, specs), form: Array.isArray(input) ? ('rows' as const) : ('columns' as const) }
}

function bodyOf(message: Uint8Array) {
  if (message.length < LENGTH_BYTES) {
    throw new VestalError('BODY_INVALID', {
      detail: `a binary message must begin with the length of its JSON, in ${LENGTH_BYTES} bytes`,
    })
  }
  const jsonLength = new DataView(message.buffer, message.byteOffset).getUint32(0, true)
  const bytes = message.subarray(LENGTH_BYTES)
  if (jsonLength > bytes.length) {
    throw new VestalError('BODY_INVALID', {
      detail: TRITON_TEXTS.headerRange(bytes.length, jsonLength),
    })
  }
  return { bytes, jsonLength, isRaw: jsonLength === 0 }
}

function framed(json: string, blobs: readonly Uint8Array[]): Uint8Array {
  const length = new Uint8Array(LENGTH_BYTES)
  const { bytes, jsonLength } = joined(json, blobs)
  new DataView(length.buffer).setUint32(0, jsonLength, true)
  return Buffer.concat([length, bytes])
}
