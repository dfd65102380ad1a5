/** What is known of a value in a model's graph: whether it carries the rows of a run, and along which axis. */

/** A size: the same whatever the rows are, or so many times their number. */
export interface Extent {
  readonly isPerRow: boolean
  /** The size, or how often it has the number of rows; undefined where it is not known. */
  readonly size?: number | undefined
  /** Tells sizes apart whose numbers are not known: the same symbol is the same size. */
  readonly symbol?: string | undefined
}

/** The same whatever the rows are; `elements` are its integers, where it is a short list of them or one. */
export interface Fixed {
  readonly kind: 'fixed'
  readonly dims?: readonly Extent[] | undefined
  readonly elements?: readonly Extent[] | undefined
  readonly isScalar?: boolean
}

/** Integers that are computed only from the number of rows. */
export interface Sizes {
  readonly kind: 'sizes'
  readonly elements: readonly Extent[]
  readonly isScalar: boolean
}

/**
 * Row i stands at place i of `axis`, or in block i where the axis has several places a row, and depends on nothing of the others; the
 * other dimensions are the same for any number of rows.
 */
export interface Rows {
  readonly kind: 'rows'
  readonly axis: number
  readonly dims: readonly Extent[]
  /** The text that fills the last dimension up to the longest row of the run: an operator that reads it reads other rows. */
  readonly padding?: string
}

/** Rows that depend on one another, and the nodes that make them so. */
export interface Dependent {
  readonly kind: 'dependent'
  readonly causes: readonly string[]
}

/** Nobody can say from the graph. */
export interface Undecided {
  readonly kind: 'undecided'
  readonly causes: readonly string[]
}

export type RowValue = Fixed | Sizes | Rows | Dependent | Undecided

export const ANY: Extent = { isPerRow: false }
export const ONE: Extent = { isPerRow: false, size: 1 }
export const PER_ROW: Extent = { isPerRow: true, size: 1 }
export const FIXED: Fixed = { kind: 'fixed' }

const CAUSES_MAX = 3

/** A size that does not grow with the rows. */
export function size(value: number): Extent {
  return { isPerRow: false, size: value }
}

/** A known size that does not grow with the rows; undefined for others. */
export function known(extent: Extent | undefined): number | undefined {
  return extent === undefined || extent.isPerRow ? undefined : extent.size
}

/** True where both are the same size for certain. */
export function isSameSize(a: Extent, b: Extent): boolean {
  if (a.isPerRow !== b.isPerRow) return false
  if (a.size !== undefined || b.size !== undefined) return a.size === b.size
  return a.symbol !== undefined && a.symbol === b.symbol
}

/** One times the other; undefined where it grows with the square of the rows. */
export function times(a: Extent, b: Extent): Extent | undefined {
  if (a.isPerRow && b.isPerRow) return undefined
  const isPerRow = a.isPerRow || b.isPerRow
  if (a.size !== undefined && b.size !== undefined) return { isPerRow, size: a.size * b.size }
  if (!a.isPerRow && a.size === 1) return b
  if (!b.isPerRow && b.size === 1) return a
  return { isPerRow, ...(!isPerRow && { symbol: symbolOf([a, b]) }) }
}

/** The name of a product of sizes that are not known; undefined where one has no name. */
function symbolOf(extents: readonly Extent[]): string | undefined {
  const names = extents.map(({ size: own, symbol }) => symbol ?? own?.toString())
  const name = names.includes(undefined) ? undefined : names.sort().join('*')
  return name !== undefined && name.length < 200 ? name : undefined
}

/** All sizes multiplied; undefined where that grows with the square of the rows. */
export function product(extents: readonly Extent[]): Extent | undefined {
  return extents.reduce<Extent | undefined>((total, extent) => total && times(total, extent), ONE)
}

/** Rows along an axis that has these dimensions. */
export function rowsAt(axis: number, dims: readonly Extent[]): Rows {
  return { kind: 'rows', axis, dims }
}

/** All causes, each once. */
export function causesOf(values: readonly (Dependent | Undecided)[]): readonly string[] {
  return [...new Set(values.flatMap(({ causes }) => causes))].slice(0, CAUSES_MAX)
}

/** The integers of a value where it is a short list of them; of a scalar, one. */
export function elementsOf(value: RowValue | undefined): readonly Extent[] | undefined {
  return value?.kind === 'fixed' || value?.kind === 'sizes' ? value.elements : undefined
}

/** A list of integers, or one of them, as it is named by what it depends on. */
export function listOf(elements: readonly Extent[], isScalar = false): Fixed | Sizes {
  if (elements.some(({ isPerRow }) => isPerRow)) return { kind: 'sizes', elements, isScalar }
  return { kind: 'fixed', dims: isScalar ? [] : [size(elements.length)], elements, isScalar }
}

/** The dimensions of a value, where they are known. */
export function dimsOf(value: RowValue | undefined): readonly Extent[] | undefined {
  if (value?.kind === 'sizes') return value.isScalar ? [] : [size(value.elements.length)]
  return value?.kind === 'fixed' || value?.kind === 'rows' ? value.dims : undefined
}
