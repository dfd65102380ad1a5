/** Decides whether requests of different lengths may share a run: a trial computes them separately, and together with padding. */
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../../tensor/tensor.ts'
import { joinInputs } from '../batches.ts'
import type { BatchCheck, BatchTrial } from '../messages.ts'
import { cutTo, joinPadded, type PaddingRule } from '../padding.ts'
import { type Computes, differenceOf, REMEDY } from './batch-check.ts'

/** Rows that are tried with padding; of each its half is another. */
const ROWS_MAX = 4

interface TrialInputs {
  readonly inputs: NamedTensors
  readonly length: number
}

/** Rows of one length whose run is compared with that of one row, and how often each is computed. */
const [MEASURED_ROWS, MEASURED_TIMES] = [16, 3]
/** Bounds of what a run is taken to cost beside its elements, in elements: what is measured is not certain. */
const [RUN_ELEMENTS_MIN, RUN_ELEMENTS_MAX] = [8, 1024]

/**
 * Adds to a check whether inputs may be padded, and how much; where they may not, only requests of equal length share a run, and the reason
 * says so.
 */
export async function withPadding(
  model: Computes,
  check: BatchCheck,
  trial: BatchTrial,
  spentUs: () => number = processorUs,
): Promise<BatchCheck> {
  const { padding: rule, mayMixRows } = trial
  if (rule === undefined || !check.isSafe) return check
  const rows = rowsIn(model.inputs, rule, trial.samples)
  const hasLengths = new Set(rows.map(({ length }) => length)).size > 1
  const tried = hasLengths ? await tryRows(model, rule, rows) : NOT_TRIED
  if (tried.kind === 'same') {
    const reason = `${check.reason}; so had ${tried.rows} rows of different lengths, padded`
    return { ...check, reason, lengthOutputs: tried.outputs, runElements: await runElementsOf(model, rows, spentUs) }
  }
  if (mayMixRows && tried.kind === 'differs')
    return { ...check, reason: `${check.reason}; inputs are padded, although ${tried.fault}`, lengthOutputs: tried.outputs }
  return { ...check, reason: `${check.reason}; only requests of one length share a run: ${tried.fault}` }
}

/** Time of the processors that this process has used: unlike the time of the clock, others do not change it. */
function processorUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/**
 * What a run costs beside its elements, in elements: a run of one row takes longer than its share of a run of many. Of each the least of a few
 * times, since the first ones take longer.
 */
async function runElementsOf(model: Computes, rows: readonly TrialInputs[], spentUs: () => number): Promise<number> {
  const longest = rows.reduce((most, row) => (row.length > most.length ? row : most))
  const { inputs, length } = longest
  const least = async (tensors: readonly Tensor[]) => {
    let leastUs = Number.POSITIVE_INFINITY
    for (let time = 0; time < MEASURED_TIMES; time += 1) {
      const begun = spentUs()
      await model.run(tensors)
      leastUs = Math.min(leastUs, spentUs() - begun)
    }
    return leastUs
  }
  const oneUs = await least(inOrderOf(model.inputs, inputs))
  const manyUs = await least(
    joinInputs(
      model.inputs,
      Array.from({ length: MEASURED_ROWS }, () => inputs),
    ),
  )
  const elementUs = (manyUs - oneUs) / ((MEASURED_ROWS - 1) * length)
  const elements = elementUs > 0 ? Math.round(oneUs / elementUs - length) : RUN_ELEMENTS_MAX
  return Math.min(RUN_ELEMENTS_MAX, Math.max(RUN_ELEMENTS_MIN, elements))
}

/** `outputs` are those that have the length. */
type Tried =
  | { readonly kind: 'same'; readonly rows: number; readonly outputs: readonly string[] }
  | { readonly kind: 'differs'; readonly fault: string; readonly outputs: readonly string[] }
  | { readonly kind: 'not tried'; readonly fault: string }

const NOT_TRIED: Tried = { kind: 'not tried', fault: `there are no inputs of different lengths to try it with; ${REMEDY}` }

/** Computes rows separately and together, and compares. */
async function tryRows(model: Computes, rule: PaddingRule, rows: readonly TrialInputs[]): Promise<Tried> {
  const longest = Math.max(...rows.map(({ length }) => length))
  try {
    const separate: (readonly Tensor[])[] = []
    for (const { inputs } of rows) separate.push((await model.run(inOrderOf(model.inputs, inputs))).outputs)
    const shown = { rows, separate, specs: model.outputs }
    const found = lengthOutputsOf(shown)
    if ('fault' in found) return { kind: 'not tried', ...found }
    const { outputs } = found
    // Each row at another place, and beside others.
    for (const order of [rows.keys().toArray(), rows.keys().toArray().toReversed()]) {
      // The cast: the order has places that are there.
      const inputs = order.map((index) => (rows[index] as TrialInputs).inputs)
      const together = (await model.run(joinPadded(model.inputs, inputs, { rule, longest }))).outputs
      const fault = differenceIn(shown, together, { order, outputs, rule, longest })
      if (fault !== undefined) return { kind: 'differs', outputs, fault }
    }
    return { kind: 'same', rows: rows.length, outputs }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return {
      kind: 'not tried',
      fault: `the model does not compute inputs of different lengths (${text.slice(0, 120)}); ${REMEDY}`,
    }
  }
}

interface Separately {
  readonly specs: readonly TensorSpec[]
  readonly rows: readonly TrialInputs[]
  /** Of each row, in the order of the model's outputs. */
  readonly separate: readonly (readonly Tensor[])[]
}

/** The outputs whose second dimension is the length; the others must have one shape for all lengths. */
function lengthOutputsOf({ specs, rows, separate }: Separately): { outputs: readonly string[] } | { fault: string } {
  const outputs: string[] = []
  for (const [index, { name }] of specs.entries()) {
    // The cast: there is an output for each name.
    const shapes = separate.map((own) => (own[index] as Tensor).shape)
    const hasLength = shapes.every((shape, row) => shape[1] === rows[row]?.length)
    const begin = hasLength ? 2 : 1
    const isSame = shapes.every((shape) => shape.slice(begin).join() === shapes[0]?.slice(begin).join())
    if (!isSame) return { fault: `the output "${name}" has the length of the inputs elsewhere than in its second dimension` }
    if (hasLength) outputs.push(name)
  }
  return { outputs }
}

interface Together {
  readonly order: readonly number[]
  readonly outputs: readonly string[]
  readonly rule: PaddingRule
  readonly longest: number
}

function differenceIn(
  { specs, rows, separate }: Separately,
  together: readonly Tensor[],
  { order, outputs, rule, longest }: Together,
): string | undefined {
  for (const [index, { name }] of specs.entries()) {
    // The casts: the run gave an output for each name, and the order has places that are there.
    const whole = together[index] as Tensor
    const isLong = outputs.includes(name)
    if (whole.shape[0] !== order.length || (isLong && whole.shape[1] !== longest))
      return `the output "${name}" has the shape [${whole.shape.join()}] for ${order.length} padded rows`
    const size = whole.data.length / order.length
    for (const [place, row] of order.entries()) {
      const data = whole.data.slice(place * size, (place + 1) * size) as TensorData
      const beside = { ...whole, shape: [1, ...whole.shape.slice(1)], data }
      const { length } = rows[row] as TrialInputs
      const given = isLong ? cutTo(beside, { length, side: rule.side }) : beside
      const differs = differenceOf(separate[row]?.[index] as Tensor, given.data)
      if (differs !== undefined) return `the output "${name}" of a row of length ${length} is ${differs} beside longer ones`
    }
  }
  return undefined
}

function inOrderOf(specs: readonly TensorSpec[], inputs: NamedTensors): readonly Tensor[] {
  // The cast: a row has all inputs.
  return specs.map(({ name }) => inputs.get(name) as Tensor)
}

/** The first row of each sample, and the same cut to half. */
function rowsIn(specs: readonly TensorSpec[], rule: PaddingRule, samples: readonly NamedTensors[]): readonly TrialInputs[] {
  const [first = ''] = Object.keys(rule.values)
  return samples.slice(0, ROWS_MAX).flatMap((sample) => {
    const tensors = specs.map(({ name }) => sample.get(name))
    const length = sample.get(first)?.shape[1] ?? 0
    const isWhole = tensors.every((tensor) => tensor !== undefined && (tensor.shape[0] ?? 0) > 0)
    const isOne = Object.keys(rule.values).every((name) => sample.get(name)?.shape[1] === length)
    if (!isWhole || !isOne || length === 0) return []
    const row = new Map([...sample].map(([name, tensor]) => [name, firstRow(tensor)]))
    const half = Math.ceil(length / 2)
    // What has no padding of its own begins at the side that is not padded.
    const cut = ([name, tensor]: [string, Tensor]): [string, Tensor] =>
      Object.hasOwn(rule.values, name) ? [name, cutTo(tensor, { length: half, side: rule.side })] : [name, tensor]
    return [
      { inputs: row, length },
      { inputs: new Map([...row].map(cut)), length: half },
    ]
  })
}

function firstRow({ datatype, shape, data }: Tensor): Tensor {
  const size = data.length / (shape[0] ?? 1)
  return { datatype, shape: [1, ...shape.slice(1)], data: data.slice(0, size) as TensorData }
}
