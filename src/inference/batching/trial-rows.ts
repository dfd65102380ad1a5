/** The rows that a trial computes separately and together. */
import { DATATYPES } from '../../tensor/datatypes.ts'
import { elementCount } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../../tensor/tensor.ts'

/** One row of all inputs, in the order of the model's. */
export interface TrialRow {
  readonly inputs: readonly Tensor[]
  /** True where the model's files record it: it is what the model is made for. */
  readonly isRecorded: boolean
  /** What it is, for a message. */
  readonly name: string
}

/** Rows of one shape. */
export interface Trial {
  readonly rows: readonly TrialRow[]
  readonly isRecorded: boolean
}

/** Sizes that are tried for a dimension of any size behind the rows: one that the model takes is enough. */
const SIZES = [8, 1, 32, 224] as const
/** Recorded rows of one trial, and shapes that are tried. */
const RECORDED_MAX = 4
const SHAPES_MAX = 4
/** Elements of the inputs of one row. */
const ELEMENTS_MAX = 2 ** 24

/** What numbers are made of 0 to 1: rows of several magnitudes show a scale that they share. */
const MAGNITUDES = [
  { name: 'a row of 0 to 1', of: (value: number) => value },
  { name: 'a row of large numbers', of: (value: number) => 20_000 * value - 10_000 },
  { name: 'a row of -1 to 0', of: (value: number) => -value },
  { name: 'a row of tiny numbers', of: (value: number) => 1e-4 * value },
  { name: 'another row of 0 to 1', of: (value: number) => value },
  { name: 'a row of zeros', of: () => 0 },
] as const

/** Trials of what a model's files record, one for each shape: its rows, and numbers of other magnitudes beside them. */
export function recordedTrials(
  specs: readonly TensorSpec[],
  samples: readonly NamedTensors[],
  mayMakeUp: boolean,
): readonly Trial[] {
  const byShape = new Map<string, TrialRow[]>()
  for (const sample of samples) {
    for (const inputs of rowsIn(specs, sample)) {
      const key = inputs.map(({ shape }) => shape.join()).join(';')
      const rows = byShape.get(key) ?? []
      if (byShape.size >= SHAPES_MAX && !byShape.has(key)) continue
      if (rows.length < RECORDED_MAX) rows.push({ inputs, isRecorded: true, name: `recorded row ${rows.length + 1}` })
      byShape.set(key, rows)
    }
  }
  return [...byShape.values()].map((rows) => ({ rows: mayMakeUp ? [...rows, ...besides(rows)] : rows, isRecorded: true }))
}

/** The rows of one recorded request; none where it is too large, or does not fit the inputs. */
function* rowsIn(specs: readonly TensorSpec[], sample: NamedTensors): Generator<readonly Tensor[]> {
  const tensors = specs.map(({ name }) => sample.get(name))
  const rows = tensors[0]?.shape[0] ?? 0
  if (tensors.some((tensor) => tensor === undefined || tensor.shape[0] !== rows)) return
  for (let index = 0; index < Math.min(rows, RECORDED_MAX); index += 1) {
    const row = tensors.map((tensor) => rowOf(tensor as Tensor, index, rows))
    if (row.some(({ data }) => data.length > ELEMENTS_MAX)) return
    yield row
  }
}

function rowOf({ datatype, shape, data }: Tensor, index: number, rows: number): Tensor {
  const size = data.length / rows
  return { datatype, shape: [1, ...shape.slice(1)], data: data.slice(index * size, (index + 1) * size) as TensorData }
}

/** Rows made of the first recorded one, where it has floats; of one without, made-up rows of its shape. */
function besides([first]: readonly TrialRow[]): readonly TrialRow[] {
  if (first === undefined) return []
  const hasFloats = first.inputs.some(({ datatype }) => DATATYPES[datatype].kind === 'float')
  if (!hasFloats) {
    return [1, 2].map((seed) => ({
      inputs: first.inputs.map(({ datatype, shape }, index) => ({
        datatype,
        shape,
        data: madeUp(datatype, elementCount(shape), { seed: seed * 100 + index, of: (value) => value }),
      })),
      isRecorded: false,
      name: 'a made-up row',
    }))
  }
  const scales = [
    ['a recorded row times 10000', 10_000],
    ['a recorded row times -1', -1],
    ['a recorded row times 0.0001', 1e-4],
    ['a row of zeros', 0],
  ] as const
  return scales.map(([name, scale]) => ({ inputs: first.inputs.map((tensor) => scaled(tensor, scale)), isRecorded: false, name }))
}

function scaled(tensor: Tensor, scale: number): Tensor {
  const { datatype, data } = tensor
  const facts = DATATYPES[datatype]
  if (facts.kind !== 'float') return tensor
  // The cast: floats are numbers in an array of their own.
  const scaled = new facts.array(data.length) as Float32Array
  for (let index = 0; index < data.length; index += 1) scaled[index] = (data[index] as number) * scale
  return { ...tensor, data: scaled }
}

/** Trials of made-up rows, in each of the sizes that dimensions of any size may have, or in the shapes that are given. */
export function trialsOfMadeUpRows(
  specs: readonly TensorSpec[],
  shapes: ReadonlyMap<string, readonly number[]> | undefined,
): readonly Trial[] {
  const isFixed = specs.every(({ name, shape }) => shapes?.has(name) === true || !shape.includes(-1, 1))
  return (isFixed ? SIZES.slice(0, 1) : SIZES).map((size) => ({
    rows: MAGNITUDES.map(({ name, of }, row) => ({
      inputs: specs.map((spec, index) =>
        madeUpRow(spec, { shape: shapes?.get(spec.name), size, seed: row * 100 + index + 1, of }),
      ),
      isRecorded: false,
      name,
    })),
    isRecorded: false,
  }))
}

interface MadeUp {
  readonly seed: number
  readonly of: (value: number) => number
}

function madeUpRow(
  { datatype, shape }: TensorSpec,
  { shape: given, size, ...how }: MadeUp & { readonly shape: readonly number[] | undefined; readonly size: number },
): Tensor {
  const tail = (given ?? shape).slice(1).map((dimension) => (dimension === -1 ? size : dimension))
  const own = [1, ...tail]
  return { datatype, shape: own, data: madeUp(datatype, elementCount(own), how) }
}

/** 0 and 1 for integers, which are often indices, and floats of one magnitude. */
function madeUp(datatype: Tensor['datatype'], count: number, { seed, of }: MadeUp): TensorData {
  const facts = DATATYPES[datatype]
  let state = seed
  const draw = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 0x80000000
  }
  if (facts.kind === 'text') return Array.from({ length: count }, () => (draw() < 0.5 ? 'a' : 'b'))
  if (facts.kind === 'boolean') return new Uint8Array(count).map(() => (draw() < 0.5 ? 0 : 1))
  const values = new facts.array(count)
  for (let index = 0; index < count; index += 1) {
    if (facts.kind === 'big-integer') values[index] = draw() < 0.5 ? 0n : 1n
    else values[index] = facts.kind === 'float' ? of(draw()) : Math.round(draw())
  }
  return values
}
