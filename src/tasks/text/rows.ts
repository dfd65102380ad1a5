import { VestalError } from '../../core/errors.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../tensor/tensor.ts'
import { breathe } from '../breath.ts'
import type { TaskCall } from '../call.ts'
import { type TextRow, textInputOf } from './texts.ts'

/** Rows of one request that are queued or computed at once: the engine joins them, with those of other requests. */
const AT_ONCE_MAX = 32

export interface ReadOptions<Result> {
  /** Names of the outputs to compute. */
  readonly outputs: readonly string[]
  /** Reads what is asked for of the outputs of one row. */
  readonly read: (results: NamedTensors, row: TextRow) => Result | Promise<Result>
  /** Rows that are queued or computed at once; default 32. */
  readonly atOnceMax?: number
}

/**
 * Computes rows, each as a request of its own, and reads of each what is asked for; the results are in the order of the rows. The longest
 * go first and near lengths one after the other, so that those which share a run need little padding.
 * @throws VestalError as the engine, and as `read`
 */
export async function computeRows<Result>(
  call: TaskCall,
  rows: readonly TextRow[],
  { outputs, read, atOnceMax = AT_ONCE_MAX }: ReadOptions<Result>,
): Promise<readonly Result[]> {
  const order = rows.map((_, index) => index).sort((a, b) => lengthOf(rows, b) - lengthOf(rows, a))
  const results: Result[] = []
  let next = 0
  let isFailed = false
  const work = async () => {
    while (next < order.length && !isFailed) {
      const index = order[next++] ?? 0
      const row = rows[index]
      if (row === undefined) continue
      try {
        const computed = await call.infer(tensorsOf(call, row), { outputs })
        await breathe()
        results[index] = await read(computed, row)
      } catch (error) {
        isFailed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnceMax, rows.length) }, work))
  return results
}

function lengthOf(rows: readonly TextRow[], index: number): number {
  return rows[index]?.ids.length ?? 0
}

/** The tensors of one row: [1, tokens] each. */
export function tensorsOf({ task, inputs: specs }: Pick<TaskCall, 'task' | 'inputs'>, { ids, types }: TextRow): NamedTensors {
  const { inputs } = textInputOf(task)
  const tensors = new Map<string, Tensor>()
  const add = (name: string | undefined, values: readonly number[] | ((place: number) => number)) => {
    if (name !== undefined) tensors.set(name, integers(specs, { name, values, length: ids.length }))
  }
  add(inputs.ids, ids)
  add(inputs.mask, () => 1)
  add(inputs.types, types)
  add(inputs.positions, (place) => place)
  return tensors
}

interface Integers {
  readonly name: string
  readonly values: readonly number[] | ((place: number) => number)
  readonly length: number
}

function integers(specs: readonly TensorSpec[], { name, values, length }: Integers): Tensor {
  const isInt32 = specs.find((spec) => spec.name === name)?.datatype === 'INT32'
  const data = isInt32 ? new Int32Array(length) : new BigInt64Array(length)
  for (let place = 0; place < length; place += 1) {
    const value = typeof values === 'function' ? values(place) : (values[place] ?? 0)
    // The cast: the two kinds of arrays take different kinds of numbers.
    ;(data as Record<number, number | bigint>)[place] = isInt32 ? value : BigInt(value)
  }
  return { datatype: isInt32 ? 'INT32' : 'INT64', shape: [1, length], data }
}

/**
 * The numbers of an output of one row, with the sizes behind the row: `[1, …]`.
 * @throws VestalError INFERENCE_FAILED where the output is missing, no floats or of another number of dimensions
 */
export function floatsOf(
  results: NamedTensors,
  output: string,
  dimensions: number,
): { readonly data: ArrayLike<number>; readonly sizes: readonly number[] } {
  const tensor = results.get(output)
  if (tensor !== undefined && /^FP/.test(tensor.datatype) && tensor.shape.length === dimensions + 1 && tensor.shape[0] === 1)
    // The cast: these datatypes are arrays of numbers.
    return { data: tensor.data as Float32Array, sizes: tensor.shape.slice(1) }
  const got = tensor === undefined ? 'missing' : `${tensor.datatype} [${tensor.shape}]`
  throw new VestalError('INFERENCE_FAILED', {
    detail: `The output "${output}" of the model is ${got}; its task needs floats of ${dimensions + 1} dimensions with one row`,
  })
}

/**
 * The numbers of an output that has some for each token of a row: `size` for each.
 * @throws VestalError INFERENCE_FAILED as `floatsOf`, and where it has another number of tokens
 */
export function tokenFloatsOf(
  results: NamedTensors,
  output: string,
  { ids }: TextRow,
): { readonly data: ArrayLike<number>; readonly tokens: number; readonly size: number } {
  const { data, sizes } = floatsOf(results, output, 2)
  const [tokens = 0, size = 0] = sizes
  if (tokens !== ids.length)
    throw new VestalError('INFERENCE_FAILED', { detail: `The output "${output}" has ${tokens} tokens of ${ids.length}` })
  return { data, tokens, size }
}
