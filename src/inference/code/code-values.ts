/** The input and the output of a `model.ts` as requests in JSON have them. */
import { VestalError } from '../../core/errors.ts'
import { decodeRows, encodeRows, type RowForm } from '../../tensor/rows.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { CodeDescription, Model, ModelVersion } from '../engine.ts'

/** An input with what its answer is written by. */
export interface DecodedInput {
  readonly tensors: NamedTensors
  readonly form: RowForm
}

/**
 * What a model computes for the `input` of a request: tensors of rows, or the one input of a `model.ts`.
 * @throws VestalError INPUT_INVALID
 */
export function decodeInput(input: unknown, { inputs, code }: Pick<ModelVersion, 'inputs' | 'code'>): DecodedInput {
  const form = Array.isArray(input) ? 'rows' : 'columns'
  if (code === undefined || code.input.form === 'tensor') return { tensors: decodeRows(input, inputs), form }
  return { tensors: oneInput(input, code), form }
}

/** The one input of a `model.ts`. */
export function oneInput(input: unknown, { input: { form } }: CodeDescription): NamedTensors {
  if (form === 'text' && typeof input !== 'string')
    throw new VestalError('INPUT_INVALID', { detail: { input: 'must be a string' } })
  const text = form === 'text' ? String(input) : JSON.stringify(input)
  return new Map([['input', { datatype: 'BYTES', shape: [1], data: [text] }]])
}

/** What a request has as its `output`, as JSON. */
export function encodeOutput(
  results: NamedTensors,
  form: RowForm,
  { model, version }: { readonly model: Model; readonly version: ModelVersion },
): string {
  const { code } = version
  if (code === undefined || code.output.form === 'tensor')
    return encodeRows(results, version.outputs, { form, labels: version.labels ?? model.labels })
  // The cast: what is no tensor comes as BYTES, which are texts.
  const [answer = 'null'] = (results.get('output')?.data ?? []) as readonly string[]
  return code.output.form === 'text' ? JSON.stringify(answer) : answer
}
