import { type Datatype, elementBytes } from './datatypes.ts'
import type { TensorSpec } from './tensor.ts'
import { INT64_MAX, TRITON_TEXTS } from './triton-texts.ts'

/** Elements in one tensor; a larger one is rejected before memory is allocated for it. */
export const ELEMENTS_MAX = 2 ** 26
/** Dimensions of one tensor. */
export const RANK_MAX = 16

/** The shape of an input or output of which a model says none: whatever comes is of it. */
export const ANY_SHAPE: readonly number[] = [-2]

/** True for that shape, also where it came from another thread. */
export function isAnyShape(spec: readonly number[]): boolean {
  return spec[0] === -2
}

/** A shape as clients of the protocol read it, which has nothing for one of any rank. */
export function shownShape(spec: readonly number[]): readonly number[] {
  return isAnyShape(spec) ? [-1] : spec
}

/** Inputs and outputs as clients of the protocol read them. */
export function shownSpecs({ inputs, outputs }: Record<'inputs' | 'outputs', readonly TensorSpec[]>) {
  return { inputs: inputs.map(shownSpec), outputs: outputs.map(shownSpec) }
}

function shownSpec({ name, datatype, shape }: TensorSpec): TensorSpec {
  return { name, datatype, shape: shownShape(shape) }
}

/**
 * A shape as the protocol's clients send it, which all expect a dimension that is no batch: of a scalar one of 1, and of a list of rows,
 * where requests share runs, one of 1 for each row.
 */
export function sentShape(spec: readonly number[], { isInBatches }: { readonly isInBatches: boolean }): readonly number[] {
  if (spec.length === 0) return [1]
  return isInBatches && spec.length === 1 && spec[0] === -1 ? [-1, 1] : shownShape(spec)
}

/** The model's own shape of a tensor that was sent so, or in its own shape; undefined where it does not fit. */
export function ownShape(spec: readonly number[], sent: readonly number[]): readonly number[] | undefined {
  if (matchesShape(spec, sent)) return sent
  if (spec.length === 0) return sent.every((dimension) => dimension === 1) ? [] : undefined
  const isOfRows = spec.length === 1 && spec[0] === -1 && sent.length === 2 && sent[1] === 1
  return isOfRows ? sent.slice(0, 1) : undefined
}

/** The product of the dimensions, 1 for a scalar; Infinity once it exceeds the limit. */
export function elementCount(shape: readonly number[]): number {
  // A zero anywhere makes the tensor empty, however large the other dimensions are.
  if (shape.includes(0)) return 0
  let count = 1
  for (const dimension of shape) {
    count *= dimension
    if (count > ELEMENTS_MAX) return Number.POSITIVE_INFINITY
  }
  return count
}

/** True when a shape is one that the spec takes; a dimension of -1 there may be of any size. */
export function matchesShape(spec: readonly number[], shape: readonly number[]): boolean {
  if (isAnyShape(spec)) return true
  if (spec.length !== shape.length) return false
  for (let index = 0; index < spec.length; index += 1) {
    const dimension = spec[index]
    if (dimension !== -1 && dimension !== shape[index]) return false
  }
  return true
}

/** The same for a shape of any size, exact. */
export function exactCount(shape: readonly (number | bigint)[]): bigint {
  return shape.reduce((product: bigint, dimension) => product * BigInt(dimension), 1n)
}

/** Why data in JSON of more than `ELEMENTS_MAX` elements is rejected: as in Triton, by the first limit that it exceeds. */
export function tooManyElements(name: string, datatype: Datatype, shape: readonly (number | bigint)[]): string {
  const count = exactCount(shape)
  // Each element of BYTES has a length in front.
  const size = elementBytes(datatype) ?? 4
  // One dimension may exceed what a tensor can have while another is 0.
  if (count > INT64_MAX || count === 0n) return TRITON_TEXTS.elementsOverflow(name, `[${shape.join(',')}]`)
  if (count * BigInt(size) > INT64_MAX) return TRITON_TEXTS.bytesOverflow(name, count, size)
  const limit = `a tensor has at most ${ELEMENTS_MAX} elements`
  return `${TRITON_TEXTS.inputTooLarge(name, count * BigInt(size), ELEMENTS_MAX * size)}: ${limit}`
}

/** The shape as messages show it: `[-1,4]`. */
export function describeShape(shape: readonly number[]): string {
  return isAnyShape(shape) ? '[…]' : `[${shape.join(',')}]`
}
