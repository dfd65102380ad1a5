import { type Figure, figureOf } from './measure.ts'

/** A cost of this checkout as a part of its base's: above 1 it costs more. One for each pair of runs beside each other. */
export type Ratios = readonly number[]

/** More than this is a loss. */
export const LOSS_MAX = 0.15
/** Of the pairs that must show the loss: one that a disturbance spoils proves nothing. */
const SHARE_OF_PAIRS = 0.75

/** The median of ratios, and how far they lie from it. */
export function ratioOf(ratios: Ratios): Figure {
  return figureOf(ratios.filter(Number.isFinite))
}

/** Whether runs in pairs show a loss: the median and three quarters of the pairs are beyond the limit. */
export function showsLoss(ratios: Ratios): boolean {
  const known = ratios.filter(Number.isFinite)
  if (known.length < 2) return false
  const beyond = known.filter((ratio) => ratio > 1 + LOSS_MAX).length
  return ratioOf(known).median > 1 + LOSS_MAX && beyond >= known.length * SHARE_OF_PAIRS
}

export interface Confirmation {
  /** How often a loss is measured again, with servers that are started again. */
  readonly attempts: number
  /** Whether there is time for another attempt. */
  readonly hasTime: () => boolean
}

export type Verdict = 'kept' | 'lost' | 'unconfirmed'

/**
 * Measures what seems lost again, and takes it for lost only where every attempt shows the loss: noise passes, and a real loss
 * does not. Without time for that it is unconfirmed, which fails nothing.
 */
export async function confirmLoss(
  first: Ratios,
  again: () => Promise<Ratios>,
  { attempts, hasTime }: Confirmation,
): Promise<Verdict> {
  if (!showsLoss(first)) return 'kept'
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (!hasTime()) return 'unconfirmed'
    if (!showsLoss(await again())) return 'kept'
  }
  return 'lost'
}
