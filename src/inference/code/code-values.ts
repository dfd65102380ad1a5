/** The input and the output of a `model.ts` as requests in JSON have them. */
import { VestalError } from '../../core/errors.ts'
import type { ImageInput, TaskDescription } from '../../tasks/task.ts'
import { isList } from '../../tensor/number-list.ts'
import { decodeRows, encodeRows, type RowForm } from '../../tensor/rows.ts'
import { describeShape } from '../../tensor/shape.ts'
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
  const form = isList(input) ? 'rows' : 'columns'
  if (code?.input.form === 'image' && !isList(input))
    throw new VestalError('UNSUPPORTED', {
      detail: `A picture is taken by POST of one request; send its bytes here, as rows of the shape ${describeShape(code.input.tensor?.shape ?? [])}`,
    })
  if (code === undefined || code.input.tensor !== undefined) return { tensors: decodeRows(input, inputs), form }
  return { tensors: oneInput(input, code), form }
}

/** The one input of a `model.ts`. */
export function oneInput(input: unknown, code: CodeDescription): NamedTensors {
  return inputsOf([input], code)
}

/** Several inputs of a `model.ts`, each of which is a request. */
export function inputsOf(values: readonly unknown[], { input: { form } }: CodeDescription): NamedTensors {
  if (form === 'text' && values.some((value) => typeof value !== 'string'))
    throw new VestalError('INPUT_INVALID', { detail: { input: 'must be a string' } })
  const data = values.map((value) => (form === 'text' ? String(value) : JSON.stringify(value)))
  return new Map([['input', { datatype: 'BYTES', shape: [data.length], data }]])
}

/** The outputs of a `model.ts`, each as JSON. */
export function outputsOf(results: NamedTensors, { output: { form } }: CodeDescription): readonly string[] {
  // The cast: what is no tensor comes as BYTES, which are texts.
  const data = (results.get('output')?.data ?? []) as readonly string[]
  return form === 'text' ? data.map((text) => JSON.stringify(text)) : data
}

/**
 * Name of the tensor by which outputs of `async *predict` are asked for one by one, of one element of BYTES: empty with the input, then the
 * name of the stream that came with the output before. It comes back empty with the end. No client can send it: it is no input of the model.
 */
export const STREAM = 'stream'

/** What begins a stream, or asks it for the next output. */
export function nextOf(stream: string, tensors: NamedTensors = new Map()): NamedTensors {
  return new Map([...tensors, [STREAM, { datatype: 'BYTES', shape: [1], data: [stream] }]])
}

/** The name of the stream that goes on; undefined at its end. */
export function streamOf(results: NamedTensors): string | undefined {
  const [name = ''] = (results.get(STREAM)?.data ?? []) as readonly string[]
  return name === '' ? undefined : name
}

/** What a request has as its `output`, as JSON. */
export function encodeOutput(
  results: NamedTensors,
  form: RowForm,
  {
    model,
    version,
  }: { readonly model: Pick<Model, 'labels'>; readonly version: Pick<ModelVersion, 'outputs' | 'code' | 'labels'> },
): string {
  const { code } = version
  if (code === undefined || code.output.form === 'tensor')
    return encodeRows(results, version.outputs, { form, labels: version.labels ?? model.labels })
  return outputsOf(results, code)[0] ?? 'null'
}

/** A picture as a `model.ts` gets it: its bytes, in its own size. */
const DECODED: ImageInput = {
  ...{ input: 'input', layout: 'NHWC', datatype: 'UINT8', channels: 'RGB', steps: [], scale: 1, mean: [], std: [] },
}

/** How pictures become the input of a version: by its task, or as they are for a `model.ts`. Undefined where it takes none. */
export function pictureInputOf({
  task,
  code,
}: Pick<ModelVersion, 'code'> & { readonly task?: Pick<TaskDescription, 'image'> }): ImageInput | undefined {
  return task?.image ?? (code?.input.form === 'image' ? DECODED : undefined)
}
