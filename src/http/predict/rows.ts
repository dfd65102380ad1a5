import { VestalError } from '../../core/errors.ts'
import { didYouMean } from '../../core/nearest.ts'
import { decodeInput, encodeOutput, oneInput } from '../../inference/code/code-values.ts'
import type { ModelVersion } from '../../inference/engine.ts'
import { hasLongIntegers, listKindOf } from '../../tensor/datatypes.ts'
import { decodeJson, isObject, type JsonObject, type JsonOptions } from '../../tensor/exact-json.ts'
import { decodeRows, type RowForm } from '../../tensor/rows.ts'
import type { NamedTensors, TensorSpec } from '../../tensor/tensor.ts'
import type { BodyCodec, Codec, Question } from './codec.ts'

/** A body of rows, the Flama form: `{"input": rows}` is answered with `{"output": …}`. */
export const rows: BodyCodec<RowForm> = {
  name: 'rows',
  jsonLengthOf: () => undefined,
  tooLarge: () => undefined,
  hasCompression: false,
  decode: (bytes, { version }) => decodeJson(bytes, rowsOptions(version), (body) => decodeInput(inputOf(body), version)),
  elementsInJson,
  encode: (results, form, target) => ({ json: `{"output":${encodeOutput(results, form, target)}}`, blobs: NO_BLOBS }),
}

/** Elements of all outputs; 0 where some are texts, which other threads would have to be given one by one. */
function elementsInJson(results: NamedTensors): number {
  let count = 0
  for (const { datatype, data } of results.values()) {
    if (datatype === 'BYTES') return 0
    count += data.length
  }
  return count
}

/** How a body of rows is read. */
export function rowsOptions({ inputs, code }: Pick<ModelVersion, 'inputs' | 'code'>): JsonOptions {
  // Other inputs of a `model.ts` are handed on as the JSON that they are.
  const isOfTensors = code === undefined || code.input.form === 'tensor'
  return { exactIntegers: hasLongIntegers(inputs), lists: isOfTensors ? listKindOf(inputs) : undefined }
}

/** A row of a stream: the value of the one input, or an object with the value of each. The answer is only the row's output. */
export const row: Codec<RowForm> = {
  taskIn: (bytes) =>
    decodeJson(bytes, {}, (value) =>
      isObject(value) && value.input !== undefined
        ? { input: value.input, parameters: value.parameters ?? {}, write: (json) => json }
        : { input: value, parameters: {}, write: (json) => json },
    ),
  decode: (bytes, { version: { inputs, code } }) =>
    decodeJson(bytes, { exactIntegers: hasLongIntegers(inputs) }, (value) => ({
      tensors: code === undefined || code.input.tensor !== undefined ? decodeRow(value, inputs) : oneInput(value, code),
      form: 'rows',
    })),
  encode(results, form, target) {
    const text = encodeOutput(results, form, target)
    const { code } = target.version
    if (code !== undefined && code.output.form !== 'tensor') return { json: text, blobs: NO_BLOBS }
    // A list of the one row, where each output has one; the brackets are what makes it a list.
    return { json: text.startsWith('[') && hasOneRow(results) ? text.slice(1, -1) : text, blobs: NO_BLOBS }
  },
}

/** Reads `input` of a message, whatever stands beside it. @throws VestalError BODY_INVALID, INPUT_INVALID */
export function decodeRowsMessage(message: unknown, version: Pick<ModelVersion, 'inputs' | 'code'>): Question<RowForm> {
  if (isObject(message) && message.input !== undefined) return decodeInput(message.input, version)
  throw new VestalError('BODY_INVALID', { detail: 'a message must be an object with "input" or "inputs"' })
}

const NO_BLOBS: readonly Uint8Array[] = []

/** The fields of a body of rows. */
const FIELDS = ['input'] as const

function inputOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new VestalError('BODY_INVALID', { detail: { body: 'must be an object with "input"' } })
  }
  const { input, ...others } = body as JsonObject
  const other = Object.keys(others)[0]
  if (other !== undefined)
    throw new VestalError('BODY_INVALID', {
      detail: { [other.slice(0, 64)]: `is not a field of this body${didYouMean(other, FIELDS)}` },
    })
  if (input === undefined) throw new VestalError('BODY_INVALID', { detail: { input: 'is missing' } })
  return input
}

function decodeRow(value: unknown, inputs: readonly TensorSpec[]): NamedTensors {
  if (!isObject(value)) return decodeRows([value], inputs)
  return decodeRows(Object.fromEntries(Object.entries(value).map(([name, each]) => [name, [each]])), inputs)
}

function hasOneRow(results: NamedTensors): boolean {
  return [...results.values()].every(({ shape }) => shape.length === 0 || shape[0] === 1)
}
