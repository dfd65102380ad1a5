/** Decides whether requests may share a run: what the graph says first, and then a trial that computes rows separately and together. */
import { DATATYPES } from '../../tensor/datatypes.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../tensor/tensor.ts'
import { isInRows, joinRows } from '../batches.ts'
import type { BatchCheck } from '../messages.ts'
import type { RowDependence } from './row-dependence.ts'
import { recordedTrials, type Trial, type TrialRow, trialsOfMadeUpRows } from './trial-rows.ts'

/** What is tried: a session, or anything that computes as one does. */
export interface Computes {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  run(inputs: readonly Tensor[]): Promise<{ readonly outputs: readonly Tensor[] }>
}

export interface BatchCheckOptions {
  /** What the model's graph says of its rows. */
  readonly dependence: RowDependence
  /** Inputs that the model's files record, each as one request has them. */
  readonly samples: readonly NamedTensors[]
  /** Sizes of dimensions beside the rows, by input, for models without recorded inputs. */
  readonly shapes?: ReadonlyMap<string, readonly number[]> | undefined
  /** The model's settings ask for shared runs although rows may change each other's answers. */
  readonly mayMixRows: boolean
  /** Whether inputs may be made up. */
  readonly mayMakeUp: boolean
}

/**
 * By how much a number may differ when it is computed beside others, of the largest of its row: the order of additions changes. A half
 * float has 11 bits, and a model may compute with them inside.
 */
const TOLERANCE = 1e-3
const TOLERANCE_OF_HALF = 8e-3
/** Below this a number is zero for certain. */
const NOTHING = 1e-30
/** A trial whose first row takes longer has fewer rows. */
const SLOW_MS = 250
const ROWS_WHEN_SLOW = 3

/** What to do where the trial cannot be made, or does not count. */
export const REMEDY = 'record inputs as [[warmup]] or [[examples]] in model.toml'

/** Says whether rows of several requests may be computed together, and why. */
export async function checkBatches(model: Computes, options: BatchCheckOptions): Promise<BatchCheck> {
  const { dependence, mayMixRows } = options
  if (!isInRows(model.inputs)) return apart('an input does not begin with a dimension of any size')
  const said = dependence.kind === 'independent' ? '' : dependence.causes.join('; ')
  if (dependence.kind === 'dependent' && !mayMixRows) return apart(`rows depend on one another: ${said}`)
  const tried = await tryRows(model, options)
  const { rowOutputs } = tried
  if (tried.kind === 'not tried') return apart(`${tried.reason}; ${REMEDY}`)
  const inRows = model.outputs.every(({ name }) => rowOutputs.includes(name))
  if (!inRows)
    return { ...apart(tried.kind === 'differs' ? tried.reason : 'an output does not have the rows of its inputs'), rowOutputs }
  if (mayMixRows && (tried.kind === 'differs' || dependence.kind !== 'independent')) {
    const why = tried.kind === 'differs' && said === '' ? tried.reason : said
    return { isSafe: true, reason: `the model's settings ask for it (allow_dependent_rows), although ${why}`, rowOutputs }
  }
  if (tried.kind === 'differs') return { ...apart(tried.reason), rowOutputs }
  if (dependence.kind === 'undecided' && !tried.isRecorded) {
    return { ...apart(`${said}; only recorded inputs can show that rows are independent: ${REMEDY}`), rowOutputs }
  }
  const shown = `${tried.rows} ${tried.isRecorded ? 'recorded' : 'made-up'} rows had the same answers separately and together`
  const graph = dependence.kind === 'independent' ? 'the graph keeps rows apart, and ' : ''
  return { isSafe: true, reason: `${graph}${shown}`, rowOutputs }
}

function apart(reason: string): BatchCheck {
  return { isSafe: false, reason, rowOutputs: [] }
}

type Tried =
  | { readonly kind: 'same'; readonly rows: number; readonly isRecorded: boolean; readonly rowOutputs: readonly string[] }
  | { readonly kind: 'differs'; readonly reason: string; readonly rowOutputs: readonly string[] }
  | { readonly kind: 'not tried'; readonly reason: string; readonly rowOutputs: readonly string[] }

/** The recorded inputs, or else made-up ones in each of the sizes that may fit until one does. */
async function tryRows(model: Computes, { samples, shapes, mayMakeUp }: BatchCheckOptions): Promise<Tried> {
  const recorded = recordedTrials(model.inputs, samples, mayMakeUp)
  const madeUp = mayMakeUp ? trialsOfMadeUpRows(model.inputs, shapes) : []
  const trials = recorded.length > 0 ? recorded : madeUp
  let last: Tried = {
    kind: 'not tried',
    reason: mayMakeUp ? 'there are no inputs to try it with' : 'synthetic_inputs is off, and no inputs are recorded',
    rowOutputs: [],
  }
  for (const trial of trials) {
    const tried = await tryOne(model, trial)
    if (tried.kind === 'differs') return tried
    if (tried.kind === 'same' && !trial.isRecorded) return tried
    // Each recorded shape counts; one that cannot be computed says nothing.
    if (last.kind !== 'same' || tried.kind === 'same')
      last = last.kind === 'same' && tried.kind === 'same' ? both(last, tried) : tried
  }
  return last
}

function both(a: Extract<Tried, { kind: 'same' }>, b: Extract<Tried, { kind: 'same' }>): Tried {
  return { ...a, rows: a.rows + b.rows, rowOutputs: a.rowOutputs.filter((name) => b.rowOutputs.includes(name)) }
}

interface Answered {
  readonly row: TrialRow
  readonly outputs: readonly Tensor[]
}

async function tryOne(model: Computes, trial: Trial): Promise<Tried> {
  const separate: Answered[] = []
  let fault = ''
  let isSlow = false
  for (const row of trial.rows) {
    if (isSlow && separate.length >= ROWS_WHEN_SLOW) break
    const begunMs = performance.now()
    try {
      separate.push({ row, outputs: (await model.run(row.inputs)).outputs })
    } catch (error) {
      // What is made up, or scaled, says nothing about the model.
      fault = error instanceof Error ? error.message : String(error)
    }
    isSlow ||= performance.now() - begunMs > SLOW_MS
  }
  const isRecorded = separate.some(({ row }) => row.isRecorded)
  const what = trial.isRecorded ? 'recorded' : 'made-up'
  if (separate.length < 2 || (trial.isRecorded && !isRecorded)) {
    return { kind: 'not tried', reason: `the model does not compute the ${what} inputs (${fault.slice(0, 120)})`, rowOutputs: [] }
  }
  // Each row at another place, beside others, and in another number of rows.
  const orders = [separate, [...separate.toReversed().slice(0, -1)]]
  let rowOutputs = model.outputs.map(({ name }) => name)
  let reason: string | undefined
  for (const order of isSlow ? orders.slice(0, 1) : orders) {
    let together: readonly Tensor[]
    try {
      together = (await model.run(joined(order))).outputs
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      return {
        kind: 'not tried',
        reason: `the model computes rows one by one, but not together (${text.slice(0, 120)})`,
        rowOutputs: [],
      }
    }
    rowOutputs = rowOutputs.filter((name) => hasRows(order, together, indexOf(model, name)))
    reason ??= differenceIn(model.outputs, order, together)
  }
  if (reason !== undefined) return { kind: 'differs', reason, rowOutputs }
  return { kind: 'same', rows: separate.length, isRecorded, rowOutputs }
}

function indexOf({ outputs }: Computes, name: string): number {
  return outputs.findIndex((output) => output.name === name)
}

function joined(order: readonly Answered[]): readonly Tensor[] {
  // The casts: every row has all inputs, and there is one row at least.
  const count = order[0]?.row.inputs.length ?? 0
  return Array.from({ length: count }, (_, index) =>
    joinRows(order.map(({ row }) => row.inputs[index] as Tensor) as [Tensor, ...Tensor[]]),
  )
}

function hasRows(order: readonly Answered[], together: readonly Tensor[], index: number): boolean {
  const isOne = order.every(({ outputs }) => outputs[index]?.shape[0] === 1)
  return isOne && together[index]?.shape[0] === order.length
}

/** The first output that is not the same, with the row and both values. */
function differenceIn(specs: readonly TensorSpec[], order: readonly Answered[], together: readonly Tensor[]): string | undefined {
  for (const [index, { name }] of specs.entries()) {
    const whole = together[index]
    if (whole === undefined || !hasRows(order, together, index)) {
      const rows = order.length
      return `the output "${name}" has the shape [${whole?.shape.join() ?? ''}] for ${rows} rows and [${order[0]?.outputs[index]?.shape.join() ?? ''}] for one`
    }
    const size = whole.data.length / order.length
    for (const [place, { outputs, row }] of order.entries()) {
      // The cast: the output has rows.
      const own = outputs[index] as Tensor
      const [expected, given] = [own.data, whole.data.slice(place * size, (place + 1) * size)]
      if (own.shape.slice(1).join() !== whole.shape.slice(1).join() || expected.length !== given.length)
        return `the output "${name}" has another shape for a row beside others`
      const differs = differenceOf(own, given as ArrayLike<unknown>)
      if (differs !== undefined) return `the output "${name}" of ${row.name} is ${differs} beside other rows`
    }
  }
  return undefined
}

/** Both values where they are not the same, as measured by the largest of the row. */
export function differenceOf({ datatype, data }: Tensor, given: ArrayLike<unknown>): string | undefined {
  const expected = data as ArrayLike<unknown>
  const isFloat = DATATYPES[datatype].kind === 'float'
  let largest = 0
  if (isFloat) {
    for (let index = 0; index < expected.length; index += 1) {
      const value = Math.abs(expected[index] as number)
      if (Number.isFinite(value) && value > largest) largest = value
    }
  }
  const allowed = Math.max(NOTHING, largest * (datatype === 'FP16' ? TOLERANCE_OF_HALF : TOLERANCE))
  for (let index = 0; index < expected.length; index += 1) {
    const [own, other] = [expected[index], given[index]]
    if (Object.is(own, other) || own === other) continue
    if (isFloat && Math.abs((own as number) - (other as number)) <= allowed) continue
    return `${shown(own)} separately and ${shown(other)}`
  }
  return undefined
}

function shown(value: unknown): string {
  return typeof value === 'number' ? value.toPrecision(6) : String(value).slice(0, 40)
}
