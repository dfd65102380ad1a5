import type { Engine, Model } from '../../inference/engine.ts'
import { hasLongIntegers } from '../../tensor/datatypes.ts'
import { decodeJson, isObject } from '../../tensor/exact-json.ts'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import type { NamedTensors, TensorSpec } from '../../tensor/tensor.ts'
import { deadlineOf, leftOf } from '../deadline.ts'
import { findModel, findReadyVersion, labelsOf } from '../model-access.ts'
import { withPatience } from './patience.ts'

export interface RowPredictorOptions {
  readonly engine: Engine
  readonly model: Model
  /** Says who asks, and how long each row may take. */
  readonly request: Request
  readonly subject: string | undefined
  readonly signal: AbortSignal
}

/**
 * Prepares to predict row by row: gives the JSON of one row's answer for the JSON of one row. The version that answers is looked up for
 * each row, so that a reload while rows come is no failure.
 * @throws VestalError for everything that can be wrong with a row
 */
export function createRowPredictor({ engine, model, request, subject, signal }: RowPredictorOptions) {
  return async (row: Uint8Array): Promise<string> => {
    const answering = findReadyVersion(findModel(engine, model.name))
    const { version, inputs, outputs } = answering
    const tensors = decodeJson(row, { exactIntegers: hasLongIntegers(inputs) }, (value) => decodeRow(value, inputs))
    const options = { signal, subject, timeoutMs: leftOf(deadlineOf(request)) }
    const results = await withPatience(() => engine.infer(model.name, version, tensors, options), signal)
    const text = encodeRows(results, outputs, { form: 'rows', labels: labelsOf(model, answering) })
    // A list of the one row, where each output has one; the brackets are what makes it a list.
    return text.startsWith('[') && hasOneRow(results) ? text.slice(1, -1) : text
  }
}

/** One row is the value of the one input, or an object with the value of each. */
function decodeRow(row: unknown, inputs: readonly TensorSpec[]): NamedTensors {
  if (!isObject(row)) return decodeRows([row], inputs)
  return decodeRows(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, [value]])), inputs)
}

function hasOneRow(results: NamedTensors): boolean {
  return [...results.values()].every(({ shape }) => shape.length === 0 || shape[0] === 1)
}
