/**
 * Inputs whose second dimension is a length that may be padded, so that requests of different lengths share a run. Each of these inputs
 * is [rows, length]; outputs whose second dimension is the padded length are cut back to the request's own.
 */
export interface PaddingRule {
  readonly side: 'left' | 'right'
  /** The value that pads each input, by the input's name. */
  readonly values: Readonly<Record<string, number>>
  /** Padded elements (rows × longest length) of one run that several requests share. */
  readonly tokensMax: number
}
