/** Changes the rate of sound by a polyphase filter, as scipy's `resample_poly` does. */
import { VestalError } from '../../core/errors.ts'
import { breathe } from '../breath.ts'
import type { Sound } from './wav.ts'

/** Of the window of the filter (Kaiser). */
const BETA = 5
/** Periods of the lower rate on each side of a sample. */
const PERIODS = 10
/** The greater part of a ratio of rates: more need a filter of many megabytes, and no usual rates do. */
const RATIO_MAX = 4096
/** Filters that are kept. */
const FILTERS_MAX = 16
/** Samples that are made without letting others in. */
const SAMPLES_AT_ONCE = 1024

/** Taps of each phase between two samples. */
type Filter = readonly Float64Array[]
const filters = new Map<string, Filter>()

/**
 * The same sound at another rate.
 * @throws VestalError INPUT_INVALID where the rates have no ratio of small numbers
 */
export async function resample({ rate, samples }: Sound, target: number): Promise<Float32Array> {
  if (rate === target) return samples
  const divisor = greatestDivisor(rate, target)
  const [up, down] = [target / divisor, rate / divisor]
  if (Math.max(up, down) > RATIO_MAX)
    throw new VestalError('INPUT_INVALID', {
      detail: `The sound has ${rate} samples a second, which has no simple ratio to the ${target} of the model: send ${target} a second`,
    })
  const phases = filterFor(up, down)
  const half = PERIODS * Math.max(up, down)
  const output = new Float32Array(Math.ceil((samples.length * up) / down))
  for (let index = 0; index < output.length; index += 1) {
    const place = index * down + half
    const last = Math.floor(place / up)
    // The cast: there is a phase for each remainder.
    const taps = phases[place % up] as Float64Array
    const begin = Math.max(0, last - samples.length + 1)
    const end = Math.min(taps.length, last + 1)
    let sum = 0
    for (let tap = begin; tap < end; tap += 1) sum += (taps[tap] as number) * (samples[last - tap] as number)
    output[index] = sum
    if (index % SAMPLES_AT_ONCE === SAMPLES_AT_ONCE - 1) await breathe()
  }
  return output
}

function filterFor(up: number, down: number): Filter {
  const key = `${up}/${down}`
  const known = filters.get(key)
  if (known !== undefined) return known
  const made = makeFilter(up, down)
  const [oldest] = filters.keys()
  if (filters.size >= FILTERS_MAX && oldest !== undefined) filters.delete(oldest)
  filters.set(key, made)
  return made
}

/** A low-pass filter at the lower of the two rates, whose taps have the sum `up`, by phase. */
function makeFilter(up: number, down: number): Filter {
  const greater = Math.max(up, down)
  const half = PERIODS * greater
  const taps = Float64Array.from({ length: 2 * half + 1 }, (_, index) => {
    const distance = index - half
    const window = bessel(BETA * Math.sqrt(Math.max(0, 1 - (distance / half) ** 2))) / bessel(BETA)
    const angle = (Math.PI * distance) / greater
    return (distance === 0 ? 1 : Math.sin(angle) / angle) * window
  })
  const scale = up / taps.reduce((sum, tap) => sum + tap, 0)
  return Array.from({ length: up }, (_, phase) =>
    Float64Array.from(
      { length: Math.ceil((taps.length - phase) / up) },
      (_, index) => (taps[phase + index * up] as number) * scale,
    ),
  )
}

/** The modified Bessel function of the first kind, of order 0, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1]
  for (let index = 1; term > sum * 1e-17; index += 1) {
    term *= (x / 2 / index) ** 2
    sum += term
  }
  return sum
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}
