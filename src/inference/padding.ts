/** Requests of different lengths in one run: their inputs are padded to the longest, and each has its own length of the outputs. Pure. */
import type { TextInput } from '../tasks/task.ts'
import { DATATYPES } from '../tensor/datatypes.ts'
import type { NamedTensors, Tensor, TensorData, TensorSpec } from '../tensor/tensor.ts'
import { joinInputs, splitOutputs } from './batches.ts'

/**
 * Inputs whose second dimension is a length that may be padded, so that requests of different lengths share a run. Each of these inputs
 * is [rows, length]; outputs whose second dimension is the padded length are cut back to the request's own.
 */
export interface PaddingRule {
  readonly side: 'left' | 'right'
  /** The value that pads each input, by the input's name; those that the model does not have count for nothing. */
  readonly values: Readonly<Record<string, number>>
}

/** How a model's inputs are padded, and which outputs have the padded length. */
export interface Padding {
  readonly rule: PaddingRule
  readonly outputs: ReadonlySet<string>
}

/** The rule for a model that takes texts so; undefined where it has no mask, since it would take its padding for text. */
export function paddingOfTexts(text: TextInput | undefined): PaddingRule | undefined {
  if (text?.inputs.mask === undefined) return undefined
  const { ids, mask, types, positions } = text.inputs
  const values = {
    [ids]: text.padId,
    [mask]: 0,
    ...(types !== undefined && { [types]: 0 }),
    ...(positions !== undefined && { [positions]: 0 }),
  }
  return { side: text.paddingSide, values }
}

/** The rule for a model with these inputs; undefined where it cannot be followed: an input has no length of any size, or is of texts. */
export function paddingFor(rule: PaddingRule | undefined, specs: readonly TensorSpec[]): PaddingRule | undefined {
  const own = specs.filter(({ name }) => rule !== undefined && Object.hasOwn(rule.values, name))
  const isOpen = own.every(
    ({ datatype, shape }) => DATATYPES[datatype].kind !== 'text' && shape.length === 2 && shape[0] === -1 && shape[1] === -1,
  )
  if (rule === undefined || own.length === 0 || !isOpen) return undefined
  return { ...rule, values: Object.fromEntries(own.map(({ name }) => [name, rule.values[name] ?? 0])) }
}

/** The one length that the inputs of a request have; 0 where they disagree. */
export function lengthOf({ values }: PaddingRule, inputs: NamedTensors): number {
  let length: number | undefined
  for (const name in values) {
    const own = inputs.get(name)?.shape[1]
    if (own === undefined || (length !== undefined && own !== length)) return 0
    length = own
  }
  return length ?? 0
}

/** Puts the rows of several requests into one tensor for each input, padded to the longest. */
export function joinPadded(
  specs: readonly TensorSpec[],
  requests: readonly NamedTensors[],
  { rule: { side, values }, longest }: { readonly rule: PaddingRule; readonly longest: number },
): readonly Tensor[] {
  const padded = requests.map((inputs) => {
    const own = new Map(inputs)
    for (const name in values) {
      const tensor = inputs.get(name)
      if (tensor !== undefined) own.set(name, pad(tensor, { longest, side, value: values[name] ?? 0 }))
    }
    return own
  })
  return joinInputs(specs, padded)
}

function pad(
  tensor: Tensor,
  { longest, side, value }: { readonly longest: number; readonly side: PaddingRule['side']; readonly value: number },
): Tensor {
  const { datatype, shape, data } = tensor
  const [rows = 0, length = 0] = shape
  const facts = DATATYPES[datatype]
  if (length === longest || facts.kind === 'text') return tensor
  const padded = facts.kind === 'boolean' ? new Uint8Array(rows * longest) : new facts.array(rows * longest)
  // The casts here and below: the array is of the kind that the datatype has.
  if (value !== 0) padded.fill((facts.kind === 'big-integer' ? BigInt(value) : value) as never)
  const offset = side === 'left' ? longest - length : 0
  for (let row = 0; row < rows; row += 1) {
    const own = (data as Float32Array).subarray(row * length, (row + 1) * length)
    padded.set(own as never, row * longest + offset)
  }
  return { datatype, shape: [rows, longest], data: padded }
}

interface Parts {
  readonly padding: Padding
  /** Of each request. */
  readonly rows: readonly number[]
  readonly lengths: readonly number[]
  readonly longest: number
}

/** Gives each request its own rows of the outputs, in its own length; undefined where an output has not the rows or the length of the run. */
export function splitPadded(
  outputs: NamedTensors,
  { padding, rows, lengths, longest }: Parts,
): readonly NamedTensors[] | undefined {
  for (const [name, { shape }] of outputs) if (padding.outputs.has(name) && shape[1] !== longest) return undefined
  return splitOutputs(outputs, rows)?.map((own, index) => {
    const length = lengths[index] ?? longest
    if (length === longest) return own
    const cut = new Map(own)
    for (const [name, tensor] of own)
      if (padding.outputs.has(name)) cut.set(name, cutTo(tensor, { length, side: padding.rule.side }))
    return cut
  })
}

/** A tensor [rows, longest, …] without its padding. */
export function cutTo(
  { datatype, shape, data }: Tensor,
  { length, side }: { readonly length: number; readonly side: PaddingRule['side'] },
): Tensor {
  const [rows = 0, longest = 0, ...tail] = shape
  const size = tail.reduce((product, each) => product * each, 1)
  const begin = side === 'left' ? (longest - length) * size : 0
  const own = { datatype, shape: [rows, length, ...tail] }
  if (rows === 1) return { ...own, data: part(data, begin, begin + length * size) }
  if (!ArrayBuffer.isView(data)) {
    const texts = Array.from({ length: rows }, (_, row) =>
      data.slice(row * longest * size + begin, row * longest * size + begin + length * size),
    )
    return { ...own, data: texts.flat() }
  }
  const cut = data.slice(0, rows * length * size)
  for (let row = 0; row < rows; row += 1) {
    const from = row * longest * size + begin
    cut.set(data.subarray(from, from + length * size) as never, row * length * size)
  }
  return { ...own, data: cut }
}

function part(data: TensorData, begin: number, end: number): TensorData {
  return ArrayBuffer.isView(data) ? data.subarray(begin, end) : data.slice(begin, end)
}
