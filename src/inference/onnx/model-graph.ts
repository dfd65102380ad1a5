/** Reads the parts of a model that say how values flow: nodes, attributes, shapes and the values of small constants. */
import { partsOf } from './fields.ts'
import { isOrtFormat } from './file-kind.ts'
import { integersIn } from './integers.ts'
import {
  GRAPH_INPUT,
  GRAPH_NODE,
  GRAPH_OUTPUT,
  MODEL_GRAPH,
  NODE_ATTRIBUTE,
  NODE_DOMAIN,
  NODE_INPUT,
  NODE_OPERATOR,
  NODE_OUTPUT,
  TYPE_TENSOR,
  VALUE_NAME,
  VALUE_TYPE,
} from './numbers.ts'

/** A constant of the model. */
export interface Constant {
  readonly name: string
  readonly dims: readonly number[]
  /** Its values where they are few and numbers. */
  readonly values?: readonly number[]
}

/** An attribute of a node; what is absent was not written. */
export interface Attribute {
  readonly name: string
  /** The attribute of the surrounding function that replaces it. */
  readonly reference?: string
  readonly integer?: number
  readonly text?: string
  readonly integers: readonly number[]
  readonly texts: readonly string[]
  readonly numbers: readonly number[]
  readonly constant?: Constant
  readonly graph?: Graph
}

export interface Node {
  readonly operator: string
  /** Empty for the operators of ONNX itself. */
  readonly domain: string
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
}

/** An input of a graph. A dimension is a number where the file has one; there is no shape where the file has none. */
export interface GraphInput {
  readonly name: string
  readonly shape?: readonly (number | undefined)[]
}

export interface Graph {
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  readonly inputs: readonly GraphInput[]
  readonly outputs: readonly string[]
}

/** A function that the model's own file defines. */
export interface LocalFunction extends Pick<Graph, 'nodes'> {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly defaults: ReadonlyMap<string, Attribute>
  readonly opsets: ReadonlyMap<string, number>
}

export interface ModelGraph {
  readonly graph: Graph
  /** Version by domain. */
  readonly opsets: ReadonlyMap<string, number>
  /** By domain and name, as `keyOf` joins them. */
  readonly functions: ReadonlyMap<string, LocalFunction>
}

/** Subgraphs inside one another. */
const DEPTH_MAX = 16
/** Nodes of all graphs of a model. */
const NODES_MAX = 200_000
/** Elements of a constant whose values are read. */
const VALUES_MAX = 64

/** The name of an operator with its domain; the operators of ONNX itself have none before them. */
export function keyOf(domain: string, operator: string): string {
  return domain === '' ? operator : `${domain}.${operator}`
}

/**
 * The graph of a model.
 * @throws Error where the bytes are no model, or one that is larger or deeper than the limits
 */
export function readModelGraph(model: Uint8Array): ModelGraph {
  if (isOrtFormat(model)) throw new Error('it is in ORT format')
  const reader = new Reader()
  let graph: Graph | undefined
  const opsets = new Map<string, number>()
  const functions = new Map<string, LocalFunction>()
  for (const field of partsOf(model)) {
    // Two would be merged into one by other readers.
    if (field.number === MODEL_GRAPH && graph !== undefined) throw new Error('the model has two graphs')
    if (field.number === MODEL_GRAPH) graph = reader.graph(field.content, 0)
    else if (field.number === 8) readOpset(field.content, opsets)
    else if (field.number === 25) reader.functionInto(field.content, functions)
  }
  if (graph === undefined) throw new Error('the model has no graph')
  return { graph, opsets, functions }
}

class Reader {
  #nodes = 0

  graph(bytes: Uint8Array, depth: number): Graph {
    if (depth > DEPTH_MAX) throw new Error(`the model has graphs more than ${DEPTH_MAX} deep in one another`)
    const nodes: Node[] = []
    const constants = new Map<string, Constant>()
    const inputs: GraphInput[] = []
    const outputs: string[] = []
    for (const { number, content } of partsOf(bytes)) {
      if (number === GRAPH_NODE) nodes.push(this.node(content, depth))
      else if (number === 5) addTo(constants, constantOf(content))
      else if (number === 15) addTo(constants, sparseConstantOf(content))
      else if (number === GRAPH_INPUT) inputs.push(inputOf(content))
      else if (number === GRAPH_OUTPUT) outputs.push(textOf(content, VALUE_NAME))
    }
    return { nodes, constants, inputs, outputs }
  }

  functionInto(bytes: Uint8Array, functions: Map<string, LocalFunction>): void {
    const [inputs, outputs]: [string[], string[]] = [[], []]
    const nodes: Node[] = []
    const defaults = new Map<string, Attribute>()
    const opsets = new Map<string, number>()
    let [name, domain, overload] = ['', '', '']
    for (const { number, content } of partsOf(bytes)) {
      if (number === 1) name = decode(content)
      else if (number === 13) overload = `:${decode(content)}`
      else if (number === 4) inputs.push(decode(content))
      else if (number === 5) outputs.push(decode(content))
      else if (number === 7) nodes.push(this.node(content, 1))
      else if (number === 9) readOpset(content, opsets)
      else if (number === 10) domain = decode(content)
      else if (number === 11) addTo(defaults, this.#attribute(content, 1))
    }
    functions.set(keyOf(plainDomain(domain), name + overload), { inputs, outputs, nodes, defaults, opsets })
  }

  node(bytes: Uint8Array, depth: number): Node {
    this.#nodes += 1
    if (this.#nodes > NODES_MAX) throw new Error(`the model has more than ${NODES_MAX} nodes`)
    const [inputs, outputs]: [string[], string[]] = [[], []]
    const attributes = new Map<string, Attribute>()
    let [operator, domain, name, overload] = ['', '', '', '']
    for (const { number, content } of partsOf(bytes)) {
      if (number === 8) overload = `:${decode(content)}`
      else if (number === NODE_INPUT) inputs.push(decode(content))
      else if (number === NODE_OUTPUT) outputs.push(decode(content))
      else if (number === 3) name = decode(content)
      else if (number === NODE_OPERATOR) operator = decode(content)
      else if (number === NODE_ATTRIBUTE) addTo(attributes, this.#attribute(content, depth))
      else if (number === NODE_DOMAIN) domain = decode(content)
    }
    return { operator: operator + overload, domain: plainDomain(domain), name, inputs, outputs, attributes }
  }

  #attribute(bytes: Uint8Array, depth: number): Attribute {
    let attribute: Attribute = { name: '', integers: [], texts: [], numbers: [] }
    const [integers, texts, numbers]: [number[], string[], number[]] = [[], [], []]
    for (const part of partsOf(bytes)) {
      const { number, content } = part
      if (number === 1) attribute = { ...attribute, name: decode(content) }
      else if (number === 2) attribute = { ...attribute, numbers: floatsIn(content) }
      else if (number === 3) attribute = { ...attribute, integer: Number(integersIn(content)[0] ?? 0n) }
      else if (number === 4) attribute = { ...attribute, text: decode(content) }
      else if (number === 5) attribute = { ...attribute, constant: constantOf(content) }
      else if (number === 6) attribute = { ...attribute, graph: this.graph(content, depth + 1) }
      else if (number === 21) attribute = { ...attribute, reference: decode(content) }
      else if (number === 22) attribute = { ...attribute, constant: sparseConstantOf(content) }
      else if (number === 7 && numbers.length < VALUES_MAX) numbers.push(...floatsIn(content.subarray(0, 4 * VALUES_MAX)))
      else if (number === 8 && integers.length < VALUES_MAX)
        integers.push(...integersIn(content.subarray(0, 10 * VALUES_MAX)).map(Number))
      else if (number === 9 && texts.length < TEXTS_MAX) texts.push(decode(content))
    }
    if (attribute.numbers.length > 0) numbers.push(...attribute.numbers)
    return { ...attribute, integers, texts, numbers }
  }
}

/** Texts of an attribute that are read. */
const TEXTS_MAX = 1_000_000

function addTo<T extends { readonly name: string }>(map: Map<string, T>, item: T): void {
  map.set(item.name, item)
}

function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

function readOpset(bytes: Uint8Array, opsets: Map<string, number>): void {
  let [domain, version] = ['', 1]
  for (const { number, content } of partsOf(bytes)) {
    if (number === 1) domain = decode(content)
    else if (number === 2) version = Number(integersIn(content)[0] ?? 1n)
  }
  opsets.set(plainDomain(domain), version)
}

function inputOf(bytes: Uint8Array): GraphInput {
  const name = textOf(bytes, VALUE_NAME)
  const shape = partOf(partOf(partOf(bytes, VALUE_TYPE), TYPE_TENSOR), 2)
  if (shape === undefined) return { name }
  const dims: (number | undefined)[] = []
  for (const { number, content } of partsOf(shape)) {
    if (number !== 1) continue
    const value = partOf(content, 1)
    const size = value === undefined ? -1 : Number(integersIn(value)[0] ?? -1n)
    dims.push(size > 0 ? size : undefined)
  }
  return { name, shape: dims }
}

const [FLOAT, INT32, INT64, BOOL, DOUBLE] = [1, 6, 7, 9, 11]

function constantOf(bytes: Uint8Array): Constant {
  const dims: number[] = []
  let name = ''
  let type = 0
  let raw: Uint8Array | undefined
  const written: number[] = []
  for (const { number, content } of partsOf(bytes)) {
    if (number === 1 && dims.length < VALUES_MAX) dims.push(...integersIn(content.subarray(0, 10 * VALUES_MAX)).map(Number))
    else if (number === 2) type = Number(integersIn(content)[0] ?? 0n)
    else if (number === 8) name = decode(content)
    else if (number === 9) raw = content
    else if (number === 4 && written.length < VALUES_MAX) written.push(...floatsIn(content.subarray(0, 4 * VALUES_MAX)))
    else if ((number === 5 || number === 7) && written.length < VALUES_MAX)
      written.push(...integersIn(content.subarray(0, 10 * VALUES_MAX)).map(Number))
  }
  const count = dims.reduce((product, size) => product * size, 1)
  const isFew = count <= VALUES_MAX && [FLOAT, INT32, INT64, BOOL, DOUBLE].includes(type)
  const values = isFew ? (raw === undefined ? written : rawValues(raw, type)) : undefined
  return { name, dims, ...(values?.length === count && { values }) }
}

function sparseConstantOf(bytes: Uint8Array): Constant {
  const values = partOf(bytes, 1)
  const dims: number[] = []
  for (const { number, content } of partsOf(bytes)) {
    if (number === 3 && dims.length < VALUES_MAX) dims.push(...integersIn(content.subarray(0, 10 * VALUES_MAX)).map(Number))
  }
  return { name: values === undefined ? '' : textOf(values, 8), dims }
}

function rawValues(raw: Uint8Array, type: number): readonly number[] {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const size = type === BOOL ? 1 : type === INT64 || type === DOUBLE ? 8 : 4
  return Array.from({ length: Math.floor(raw.length / size) }, (_, index) => {
    const at = index * size
    if (type === INT64) return Number(view.getBigInt64(at, true))
    if (type === INT32) return view.getInt32(at, true)
    if (type === BOOL) return view.getUint8(at)
    return type === FLOAT ? view.getFloat32(at, true) : view.getFloat64(at, true)
  })
}

function floatsIn(bytes: Uint8Array): readonly number[] {
  return rawValues(bytes, FLOAT)
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

function textOf(bytes: Uint8Array, number: number): string {
  return decode(partOf(bytes, number) ?? new Uint8Array(0))
}

function partOf(bytes: Uint8Array | undefined, number: number): Uint8Array | undefined {
  if (bytes === undefined) return undefined
  for (const part of partsOf(bytes)) if (part.number === number) return part.content
  return undefined
}
