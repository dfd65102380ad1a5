/** One figure of a contestant: the median of its rounds and how far they lie from it. */
export interface Figure {
  readonly median: number
  /** Median of the distances from the median. */
  readonly spread: number
}

export function figureOf(values: readonly number[]): Figure {
  const median = medianOf(values)
  return { median, spread: medianOf(values.map((value) => Math.abs(value - median))) }
}

/** One contestant's figures as parts of another's, round by round. */
export function ratioByRound(ours: readonly number[], theirs: readonly number[]): Figure {
  const ratios = ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
  return figureOf(ratios.filter(Number.isFinite))
}

function medianOf(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** Work to time: `run` does it that many times, one after the other, and gives something that depends on every result. */
export interface Work {
  readonly name: string
  readonly run: (times: number) => unknown | Promise<unknown>
}

export interface Rounds {
  readonly rounds: number
  /** About how long a round of one contestant takes. */
  readonly roundMs: number
}

/** Results go here, so that no compiler finds the work useless. */
let consumed: unknown

/**
 * Times works in turns, round by round, so that what happens to the machine happens to all of them; each with as many repetitions
 * as fill a round. Gives nanoseconds for one repetition.
 */
export async function interleave(works: readonly Work[], { rounds, roundMs }: Rounds): Promise<ReadonlyMap<string, Figure>> {
  const plans = []
  for (const work of works) plans.push({ work, times: await calibrate(work, roundMs), samples: [] as number[] })
  for (let round = 0; round < rounds; round += 1) {
    // The first of a round rotates, so that nobody always follows the same neighbour.
    for (let offset = 0; offset < plans.length; offset += 1) {
      const plan = plans[(round + offset) % plans.length]
      if (plan === undefined) continue
      Bun.gc(true)
      plan.samples.push((await time(plan.work, plan.times)) / plan.times)
    }
  }
  return new Map(plans.map(({ work, samples }) => [work.name, figureOf(samples)]))
}

/** Warms a work up, and finds how often it is repeated in a round. */
async function calibrate(work: Work, roundMs: number): Promise<number> {
  let times = 16
  for (;;) {
    const nanoseconds = await time(work, times)
    if (nanoseconds > (roundMs * 1e6) / 4) return Math.max(1, Math.round((times * roundMs * 1e6) / nanoseconds))
    times *= 2
  }
}

async function time({ run }: Work, times: number): Promise<number> {
  const begun = Bun.nanoseconds()
  const result = run(times)
  consumed = result instanceof Promise ? await result : result
  return Bun.nanoseconds() - begun
}

/** The last result, for whoever asks whether it was computed. */
export function lastResult(): unknown {
  return consumed
}
