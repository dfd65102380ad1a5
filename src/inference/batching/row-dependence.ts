/**
 * Says from a model's graph whether its rows depend on one another. Each value is followed from the inputs to the outputs: which axis
 * carries the rows, and whether an operator computes over that axis.
 */
import { type Attribute, type Graph, keyOf, type LocalFunction, type ModelGraph, type Node } from '../onnx/model-graph.ts'
import { ELEMENTWISE_OPERATORS, WHOLE_TENSOR } from './elementwise-operators.ts'
import { LAYER_OPERATORS } from './layer-operators.ts'
import { LEARNING_OPERATORS, TAKES_PADDING } from './learning-operators.ts'
import { Call, type Operator, RANK_MAX, Verdict } from './operator-call.ts'
import {
  ANY,
  causesOf,
  type Dependent,
  type Extent,
  FIXED,
  listOf,
  PER_ROW,
  type Rows,
  type RowValue,
  size,
  type Undecided,
} from './row-values.ts'
import { SHAPE_OPERATORS, SIZES_AT } from './shape-operators.ts'
import { foldSizes } from './size-operators.ts'

/** What the graph says of the rows of a run. */
export type RowDependence =
  | { readonly kind: 'independent' }
  /** For certain: the causes name the nodes. */
  | { readonly kind: 'dependent'; readonly causes: readonly string[] }
  /** It does not say: an operator that is not known, or one that is used in a way that is not followed. */
  | { readonly kind: 'undecided'; readonly causes: readonly string[] }

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...ELEMENTWISE_OPERATORS,
  ...SHAPE_OPERATORS,
  ...LAYER_OPERATORS,
  ...LEARNING_OPERATORS,
])

/** Domains whose operators give a constant for constant inputs. */
const KNOWN_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx.ml', 'com.microsoft'])
/** Nodes that are looked at, with those of functions each time these are called. */
const STEPS_MAX = 400_000
/** Functions and graphs inside one another. */
const DEPTH_MAX = 24
/** Rounds until what a loop carries is the same before and after it. */
const LOOP_ROUNDS_MAX = 4

/** Follows the rows through a model's graph; `outputs` are those that are served. */
export function rowDependence({ graph, opsets, functions }: ModelGraph, outputs: readonly string[]): RowDependence {
  const follower = new Follower(functions)
  const values = new Map<string, RowValue>()
  for (const input of graph.inputs) values.set(input.name, inputValue(input))
  try {
    follower.run(graph, { values, opsets }, 0)
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error
    return { kind: 'undecided', causes: [error.message] }
  }
  const given = outputs.map((name) => outputVerdict(name, values.get(name)))
  const dependent = given.filter((value): value is Dependent => value?.kind === 'dependent')
  if (dependent.length > 0) return { kind: 'dependent', causes: causesOf(dependent) }
  const undecided = given.filter((value): value is Undecided => value?.kind === 'undecided')
  return undecided.length > 0 ? { kind: 'undecided', causes: causesOf(undecided) } : { kind: 'independent' }
}

function inputValue({ name, shape }: Graph['inputs'][number]): RowValue {
  if (shape !== undefined && shape.length > RANK_MAX)
    return { kind: 'undecided', causes: [`the input "${name}" has too many dimensions`] }
  if (shape === undefined) return { kind: 'undecided', causes: [`the input "${name}" has no shape`] }
  const dims = shape.map(
    (own, index): Extent => (own === undefined ? { isPerRow: false, symbol: `${name}:${index}` } : size(own)),
  )
  if (shape.length > 0 && shape[0] === undefined) return { kind: 'rows', axis: 0, dims: [PER_ROW, ...dims.slice(1)] }
  return { kind: 'fixed', dims }
}

/** An output must have one place a row on its first axis. */
function outputVerdict(name: string, value: RowValue | undefined): Dependent | Undecided | undefined {
  const shown = `the output "${name.slice(0, 60)}"`
  if (value === undefined) return { kind: 'undecided', causes: [`${shown} is not made by a node`] }
  if (value.kind === 'dependent' || value.kind === 'undecided') return value
  if (value.kind === 'sizes') return { kind: 'dependent', causes: [`${shown} says how many rows there are`] }
  if (value.kind === 'fixed') return { kind: 'dependent', causes: [`${shown} is the same for any number of rows`] }
  if (value.padding !== undefined) return { kind: 'dependent', causes: [`${shown} is filled up to the longest row of the run`] }
  const extent = value.dims[value.axis]
  if (value.axis === 0 && extent?.size === 1) return undefined
  if (value.axis !== 0) return { kind: 'dependent', causes: [`${shown} does not have the rows on its first axis`] }
  if (extent?.size === undefined) return { kind: 'undecided', causes: [`${shown} may have several places for each row`] }
  return { kind: 'dependent', causes: [`${shown} has ${extent.size} places for each row`] }
}

class TooMuch extends Error {}

interface Scope {
  readonly values: Map<string, RowValue>
  readonly opsets: ReadonlyMap<string, number>
  /** What a graph inside a node sees as well. */
  readonly outer?: Scope
}

function lookUp(scope: Scope | undefined, name: string): RowValue | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const value = at.values.get(name)
    if (value !== undefined) return value
  }
  return undefined
}

class Follower {
  readonly #functions: ReadonlyMap<string, LocalFunction>
  #steps = 0

  constructor(functions: ReadonlyMap<string, LocalFunction>) {
    this.#functions = functions
  }

  run({ constants, nodes }: Pick<Graph, 'constants' | 'nodes'>, scope: Scope, depth: number): void {
    if (depth > DEPTH_MAX) throw new TooMuch('its functions are too deep in one another to be followed')
    for (const [name, { dims, values }] of constants) scope.values.set(name, constantValue(dims, values))
    for (const node of nodes) {
      this.#steps += 1
      if (this.#steps > STEPS_MAX) throw new TooMuch('it has too many nodes to be followed')
      const given = this.#node(node, scope, depth)
      for (const [index, name] of node.outputs.entries()) {
        const value = Array.isArray(given) ? given[index] : given
        if (name !== '')
          scope.values.set(name, value ?? { kind: 'undecided', causes: [`${node.operator} has more outputs than are known`] })
      }
    }
  }

  #node(node: Node, scope: Scope, depth: number): RowValue | readonly RowValue[] {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (lookUp(scope, name) ?? unknownName(name))))
    const key = keyOf(node.domain, node.operator)
    const call = new Call(node, inputs, scope.opsets.get(node.domain) ?? 1)
    const own = this.#functions.get(key)
    // The runtime computes an operator of its own where there is one of that name.
    if (own !== undefined && KNOWN_DOMAINS.has(node.domain))
      return call.undecided('has the name of an operator, and is a function of the model').value
    if (own !== undefined) return this.#function(own, call, depth)
    const dependent = inputs.filter((input): input is Dependent => input?.kind === 'dependent')
    if (dependent.length > 0) return { kind: 'dependent', causes: causesOf(dependent) }
    const undecided = inputs.filter((input): input is Undecided => input?.kind === 'undecided')
    if (undecided.length > 0 && WHOLE_TENSOR.has(key)) return call.dependent('computes over all rows').value
    if (undecided.length > 0) return { kind: 'undecided', causes: causesOf(undecided) }
    try {
      return this.#operator(key, call, { scope, depth })
    } catch (error) {
      if (!(error instanceof Verdict)) throw error
      return call.isFixed && error.value.kind === 'undecided' && KNOWN_DOMAINS.has(node.domain) ? FIXED : error.value
    }
  }

  #operator(key: string, call: Call, at: { readonly scope: Scope; readonly depth: number }): RowValue | readonly RowValue[] {
    const { node, inputs } = call
    if (key === 'Constant') return constantOf(call)
    if (key === 'If') return this.#branches(call, at)
    if (key === 'Loop') return this.#loop(call, at)
    if ([...node.attributes.values()].some(({ graph }) => graph !== undefined))
      throw call.undecided('has a graph of its own that is not followed')
    const folded = inputs.every((input) => input === undefined || input.kind === 'fixed' || input.kind === 'sizes')
      ? foldSizes(call)
      : undefined
    if (folded !== undefined) return folded
    const operator = OPERATORS.get(key)
    if (operator === undefined) {
      if (call.isFixed && KNOWN_DOMAINS.has(node.domain)) return FIXED
      throw call.undecided('is not known to keep rows apart')
    }
    const places = SIZES_AT.get(key) ?? []
    if (inputs.some((input, index) => input?.kind === 'sizes' && !places.includes(index))) {
      if (inputs.some((input) => input?.kind === 'rows')) throw call.dependent('uses the number of rows as a value')
      throw call.undecided('computes with the number of rows')
    }
    const padded = inputs.find((input): input is Rows => input?.kind === 'rows' && input.padding !== undefined)
    if (padded === undefined) return operator(call)
    if (!TAKES_PADDING.has(key)) throw call.dependent('takes rows that are filled up to the longest of the run')
    const given = operator(call)
    const isPassed = key !== 'TfIdfVectorizer' && !Array.isArray(given) && (given as RowValue).kind === 'rows'
    return isPassed ? { ...(given as Rows), padding: padded.padding ?? '' } : given
  }

  #function({ inputs: names, outputs, nodes, defaults, opsets }: LocalFunction, call: Call, depth: number): readonly RowValue[] {
    const values = new Map<string, RowValue>()
    for (const [index, name] of names.entries()) {
      const value = call.inputs[index]
      if (value !== undefined) values.set(name, value)
    }
    const own = new Map([...defaults, ...call.node.attributes])
    const bound = nodes.map((node) => withAttributes(node, own))
    this.run({ constants: new Map(), nodes: bound }, { values, opsets }, depth + 1)
    return outputs.map((name) => values.get(name) ?? unknownName(name))
  }

  #branches(call: Call, { scope, depth }: { readonly scope: Scope; readonly depth: number }): readonly RowValue[] {
    if (call.inputs[0]?.kind !== 'fixed') throw call.dependent('takes its condition from the rows')
    const branches = ['then_branch', 'else_branch'].map((name) =>
      this.#inner(call.attribute(name)?.graph, { scope, depth, given: [] }),
    )
    const [yes, no] = branches
    if (yes === undefined || no === undefined) throw call.undecided('has no branches')
    return call.node.outputs.map((_, index) => either(call, yes[index], no[index]))
  }

  #loop(call: Call, { scope, depth }: { readonly scope: Scope; readonly depth: number }): readonly RowValue[] {
    const [count, condition, ...initial] = call.inputs
    if ([count, condition].some((input) => input !== undefined && input.kind !== 'fixed'))
      throw call.dependent('runs as often as the rows say')
    const body = call.attribute('body')?.graph
    let carried: readonly RowValue[] = initial.map((value) => value ?? FIXED)
    for (let round = 0; round < LOOP_ROUNDS_MAX; round += 1) {
      const given = this.#inner(body, { scope, depth, given: [FIXED, FIXED, ...carried.map(withoutSizes)] })
      if (given === undefined) throw call.undecided('has no body')
      const [again, ...rest] = given
      if (again?.kind === 'rows' || again?.kind === 'dependent') throw call.dependent('takes its condition from the rows')
      const next = carried.map((value, index) => either(call, value, rest[index]))
      const isSame = next.every((value, index) => isLike(value, carried[index]))
      carried = next
      if (isSame) return [...carried, ...rest.slice(carried.length).map((value) => stacked(call, value))]
    }
    throw call.undecided('changes what it carries from round to round')
  }

  #inner(
    graph: Graph | undefined,
    { scope, depth, given }: { readonly scope: Scope; readonly depth: number; readonly given: readonly RowValue[] },
  ): readonly RowValue[] | undefined {
    if (graph === undefined) return undefined
    const inner: Scope = { values: new Map(), opsets: scope.opsets, outer: scope }
    for (const [index, { name }] of graph.inputs.entries()) inner.values.set(name, given[index] ?? FIXED)
    this.run(graph, inner, depth + 1)
    return graph.outputs.map((name) => lookUp(inner, name) ?? unknownName(name))
  }
}

function unknownName(name: string): Undecided {
  return { kind: 'undecided', causes: [`the value "${name.slice(0, 60)}" is not made by a node`] }
}

function constantValue(dims: readonly number[], values: readonly number[] | undefined): RowValue {
  if (values !== undefined && dims.length <= 1) return listOf(values.map(size), dims.length === 0)
  return dims.length > RANK_MAX ? FIXED : { kind: 'fixed', dims: dims.map(size) }
}

function constantOf(call: Call): RowValue {
  for (const name of ['value', 'sparse_value']) {
    const constant = call.attribute(name)?.constant
    if (constant !== undefined) return constantValue(constant.dims, constant.values)
  }
  const [list, one] = [call.attribute('value_ints'), call.attribute('value_int')]
  if (list !== undefined) return listOf(list.integers.map(size))
  if (one?.integer !== undefined) return listOf([size(one.integer)], true)
  const isList = call.attribute('value_floats') !== undefined || call.attribute('value_strings') !== undefined
  return { kind: 'fixed', dims: isList ? [ANY] : [] }
}

/** A function's node with the attributes that the call gives it, in the graphs inside it as well. */
function withAttributes(node: Node, given: ReadonlyMap<string, Attribute>): Node {
  if (![...node.attributes.values()].some(({ reference, graph }) => reference !== undefined || graph !== undefined)) return node
  const attributes = new Map<string, Attribute>()
  for (const [name, attribute] of node.attributes) {
    const own = attribute.reference === undefined ? attribute : given.get(attribute.reference)
    if (own?.graph === undefined || own !== attribute) {
      if (own !== undefined) attributes.set(name, own)
      continue
    }
    const nodes = own.graph.nodes.map((inner) => withAttributes(inner, given))
    attributes.set(name, { ...own, graph: { ...own.graph, nodes } })
  }
  return { ...node, attributes }
}

/** What is known where it may be the one or the other. */
function either(call: Call, a: RowValue | undefined, b: RowValue | undefined): RowValue {
  const both = [a, b]
  const dependent = both.filter((value): value is Dependent => value?.kind === 'dependent')
  if (dependent.length > 0) return { kind: 'dependent', causes: causesOf(dependent) }
  const undecided = both.filter((value): value is Undecided => value?.kind === 'undecided')
  if (undecided.length > 0) return { kind: 'undecided', causes: causesOf(undecided) }
  if (a?.kind === 'fixed' && b?.kind === 'fixed') return FIXED
  const isAlike = a?.kind === 'rows' && b?.kind === 'rows' && a.axis === b.axis && a.dims.length === b.dims.length
  if (!isAlike || a.padding !== undefined || b.padding !== undefined)
    return call.undecided('gives rows in one form or another').value
  const [own, other] = [a.dims[a.axis], b.dims[a.axis]]
  if (own?.size !== other?.size) return call.undecided('gives rows in one form or another').value
  return {
    kind: 'rows',
    axis: a.axis,
    dims: a.dims.map((extent, index) => (index === a.axis || extent.size === b.dims[index]?.size ? extent : ANY)),
  }
}

function isLike(a: RowValue | undefined, b: RowValue | undefined): boolean {
  if (a?.kind !== 'rows' || b?.kind !== 'rows') return a?.kind === b?.kind
  return a.axis === b.axis && a.dims.every((extent, index) => extent.size === b.dims[index]?.size)
}

/** Inside a loop a size may be another one each round. */
function withoutSizes(value: RowValue): RowValue {
  return value.kind === 'fixed' ? FIXED : value
}

/** What each round gives, one behind the other on a new first axis. */
function stacked(call: Call, value: RowValue | undefined): RowValue {
  if (value?.kind === 'rows') return { kind: 'rows', axis: value.axis + 1, dims: [ANY, ...value.dims] }
  if (value === undefined || value.kind === 'sizes') return call.undecided('gives what is not followed').value
  return value.kind === 'fixed' ? FIXED : value
}
