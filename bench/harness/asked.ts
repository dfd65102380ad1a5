/** One thing that the bench was asked to show, and what it showed. */
export interface Asked {
  readonly what: string
  /** What it has to be, in words. */
  readonly atLeast: string
  readonly measured: string
  /** Undefined where it could not be measured here. */
  readonly isMet: boolean | undefined
}

interface Ratio {
  readonly ratio: number
  readonly of: string
  /** The same by processor time, which says more where the machine is busy with other things. */
  readonly byProcessor?: number
}

/** A ratio that must be at least so much. */
export function atLeast(what: string, least: number, { ratio, of, byProcessor = Number.NaN }: Ratio): Asked {
  const asked = { what, atLeast: `≥ ${least} × ${of}` }
  if (!Number.isFinite(ratio)) return { ...asked, measured: '', isMet: undefined }
  const more = Number.isFinite(byProcessor) ? ` (${byProcessor.toFixed(2)} × by processor time)` : ''
  return { ...asked, measured: `${ratio.toFixed(2)} ×${more}`, isMet: ratio >= least }
}

/** A ratio or an amount that must not be more than so much. */
export function atMost(what: string, most: number, { value, unit }: { readonly value: number; readonly unit: string }): Asked {
  const asked = { what, atLeast: `≤ ${most} ${unit}` }
  if (!Number.isFinite(value)) return { ...asked, measured: '', isMet: undefined }
  return { ...asked, measured: value >= 100 ? value.toFixed(0) : value.toFixed(2), isMet: value <= most }
}
