/** Longer words are compared by their beginning. */
const LENGTH_MAX = 60

/**
 * The candidate that a mistyped word stands for; undefined where none is near. Hyphens, underscores and capitals do not count.
 */
export function nearestOf(word: string, candidates: Iterable<string>): string | undefined {
  const written = bareOf(word)
  if (written === '') return undefined
  let nearest: { readonly candidate: string; readonly distance: number } | undefined
  for (const candidate of candidates) {
    const distance = distanceOf(written, bareOf(candidate))
    if (distance < (nearest?.distance ?? Number.POSITIVE_INFINITY)) nearest = { candidate, distance }
  }
  return nearest !== undefined && nearest.distance <= mistakesMax(written.length) ? nearest.candidate : undefined
}

/** `; did you mean port?`, or nothing where no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const nearest = nearestOf(word, candidates)
  return nearest === undefined ? '' : `; did you mean ${nearest}?`
}

function mistakesMax(length: number): number {
  if (length < 3) return 0
  return length < 6 ? 1 : length < 10 ? 2 : 3
}

function bareOf(text: string): string {
  return text
    .slice(0, LENGTH_MAX)
    .toLowerCase()
    .replace(/[-_.\s]/g, '')
}

/** Letters to put in, take out, change or swap with the next (optimal string alignment). */
function distanceOf(one: string, other: string): number {
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= other.length; j += 1) {
      const isSame = one[i - 1] === other[j - 1]
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (isSame ? 0 : 1))
      const isSwapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (isSwapped) least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[other.length] ?? 0
}
