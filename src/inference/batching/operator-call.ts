/** A node of a graph with what is known of its inputs, and what its operator may answer. */
import type { Attribute, Node } from '../onnx/model-graph.ts'
import {
  ANY,
  type Dependent,
  dimsOf,
  type Extent,
  elementsOf,
  FIXED,
  isSameSize,
  known,
  ONE,
  type RowValue,
  rowsAt,
  type Undecided,
} from './row-values.ts'

/** A value with known dimensions; `axis` is that of the rows, where it carries any. */
export interface Shaped {
  readonly axis: number | undefined
  readonly dims: readonly Extent[]
}

/** What an operator makes of its inputs: one value for each output, or one for all of them. */
export type Operator = (call: Call) => RowValue | readonly RowValue[]

/** Thrown where an operator cannot say what it makes of its inputs, and answered with what it holds. */
export class Verdict extends Error {
  readonly value: Dependent | Undecided

  constructor(value: Dependent | Undecided) {
    super(value.kind)
    this.value = value
  }
}

/** One node, as its operator's rule sees it. No input of it is known to be dependent, or undecided. */
export class Call {
  readonly node: Node
  readonly inputs: readonly (RowValue | undefined)[]
  /** Version of the operators of the node's domain. */
  readonly opset: number

  constructor(node: Node, inputs: readonly (RowValue | undefined)[], opset: number) {
    this.node = node
    this.inputs = inputs
    this.opset = opset
  }

  get operator(): string {
    return this.node.operator
  }

  attribute(name: string): Attribute | undefined {
    return this.node.attributes.get(name)
  }

  integer(name: string, otherwise: number): number {
    return this.attribute(name)?.integer ?? otherwise
  }

  /** A list of integers; undefined where it is not written. */
  integers(name: string): readonly number[] | undefined {
    return this.attribute(name)?.integers
  }

  /** How the node is named to people. */
  get label(): string {
    const own = this.node.name === '' ? (this.node.outputs[0] ?? '') : this.node.name
    return `${this.operator} "${own.slice(0, 60)}"`
  }

  /** The rows depend on one another for certain. */
  dependent(why: string): Verdict {
    return new Verdict({ kind: 'dependent', causes: [`${this.label} ${why}`] })
  }

  /** The graph does not say. */
  undecided(why: string): Verdict {
    return new Verdict({ kind: 'undecided', causes: [`${this.label} ${why}`] })
  }

  /** True where no input carries rows, or anything of their number. */
  get isFixed(): boolean {
    return this.inputs.every((input) => input === undefined || input.kind === 'fixed')
  }

  /** True where all inputs are constants and the shape of the first is not known: so is that of the output. */
  get isOpen(): boolean {
    return this.isFixed && dimsOf(this.inputs[0]) === undefined
  }

  /** @throws Verdict always */
  notFollowed(): never {
    throw this.undecided('has dimensions that are not known')
  }

  /** An input with its dimensions. @throws Verdict where it has none that are known */
  shaped(index: number): Shaped {
    const input = this.inputs[index]
    const dims = dimsOf(input)
    if (input === undefined || dims === undefined) throw this.undecided('has an input whose dimensions are not known')
    if (input.kind === 'sizes') throw this.undecided('computes with the number of rows')
    return { axis: input.kind === 'rows' ? input.axis : undefined, dims }
  }

  /** Integers that an input has, whatever the rows are or computed from their number; undefined where they are not known. */
  elements(index: number): readonly Extent[] | undefined {
    const input = this.inputs[index]
    if (input?.kind === 'rows') throw this.dependent('takes sizes or places from the rows')
    return elementsOf(input)
  }

  /** The same as numbers. @throws Verdict where they are not known */
  knownElements(index: number): readonly number[] {
    const numbers = this.elements(index)?.map(known)
    if (numbers === undefined || numbers.includes(undefined)) throw this.undecided('has a size or an axis that is not known')
    // The cast: none is undefined.
    return numbers as readonly number[]
  }

  has(index: number): boolean {
    return this.inputs[index] !== undefined
  }

  /** @throws Verdict where one of these inputs carries rows */
  mustBeFixed(indexes: readonly number[], why: string): void {
    for (const index of indexes) {
      const kind = this.inputs[index]?.kind
      if (kind === 'rows') throw this.dependent(why)
      if (kind === 'sizes') throw this.dependent('uses the number of rows as a value')
    }
  }

  /** An axis as it counts from the front. @throws Verdict */
  axisOf(axis: number, rank: number): number {
    const own = axis < 0 ? axis + rank : axis
    if (own < 0 || own >= Math.max(1, rank)) throw this.undecided('has an axis that its input does not have')
    return own
  }

  /** Inputs that are spread to one shape, as elementwise operators do. @throws Verdict where rows would meet other rows */
  broadcast(indexes: readonly number[]): RowValue {
    const present = indexes.filter((index) => this.inputs[index] !== undefined)
    if (this.isFixedAll(present) && present.some((index) => dimsOf(this.inputs[index]) === undefined)) return FIXED
    const values = present.map((index) => this.shapedOrScalar(index))
    return shapedValue(this.joined(values))
  }

  isFixedAll(indexes: readonly number[]): boolean {
    return indexes.every((index) => this.inputs[index] === undefined || this.inputs[index]?.kind === 'fixed')
  }

  private shapedOrScalar(index: number): Shaped {
    if (this.inputs[index]?.kind === 'sizes') throw this.dependent('uses the number of rows as a value')
    return this.shaped(index)
  }

  /** The shape that all are spread to, counted from the last dimension. */
  joined(values: readonly Shaped[]): Shaped {
    const rank = Math.max(0, ...values.map(({ dims }) => dims.length))
    const carriers = values.filter((value) => value.axis !== undefined)
    const place = carriers[0] && carriers[0].dims.length - (carriers[0].axis ?? 0)
    const dims = Array.from({ length: rank }, (_, index) => this.#joinedAt(values, rank - index))
    if (place === undefined) return { axis: undefined, dims }
    const own = carriers[0]?.dims.at(-place) ?? ANY
    for (const { axis, dims: others } of values) {
      const there = others.at(-place)
      if (others.length < place || there === undefined) continue
      if (axis === undefined && known(there) === undefined) throw this.undecided('meets a constant whose size is not known')
      if (axis === undefined && known(there) !== 1) throw this.dependent('meets a constant with a row of its own for each')
      if (axis === undefined) continue
      if (others.length - axis !== place) throw this.dependent('combines each row with every other')
      if (own.size === undefined || own.size !== there.size) throw this.undecided('meets rows in another form')
    }
    for (const { axis, dims: others } of carriers) {
      if (others.length - (axis ?? 0) !== place) throw this.dependent('combines each row with every other')
    }
    return { axis: rank - place, dims: dims.map((extent, index) => (index === rank - place ? own : extent)) }
  }

  #joinedAt(values: readonly Shaped[], place: number): Extent {
    const there = values.flatMap(({ dims }) => (dims.length < place ? [] : [dims.at(-place) ?? ANY]))
    const others = there.filter((extent) => known(extent) !== 1)
    const [first] = others
    if (first === undefined) return ONE
    const counted = others.find((extent) => known(extent) !== undefined)
    return counted ?? (others.every((extent) => isSameSize(first, extent)) ? first : ANY)
  }
}

/** Dimensions of a value that is followed. */
export const RANK_MAX = 32

/** A value of that shape: rows where it has their axis. */
export function shapedValue({ axis, dims }: Shaped): RowValue {
  if (dims.length > RANK_MAX) return { kind: 'undecided', causes: [`a value has more than ${RANK_MAX} dimensions`] }
  return axis === undefined ? { kind: 'fixed', dims } : rowsAt(axis, dims)
}
