/**
 * Counts places in a text in code points, as Rust and Python do.
 * @returns the place in code points of one in UTF-16 units
 */
export function codePointsOf(text: string): (unit: number) => number {
  // Most texts have no character of two units.
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return (unit) => unit
  const points = new Uint32Array(text.length + 1)
  let unit = 0
  let point = 0
  for (const { length } of text) {
    points.fill(point, unit, unit + length)
    unit += length
    point += 1
  }
  points[unit] = point
  return (place) => points[place] ?? point
}
