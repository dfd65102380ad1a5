import type { Placement } from './placement.ts'

/** What a model gives for each class and each of its own, coarser pixels: classes × height × width. */
export interface ClassMap {
  readonly classes: number
  readonly height: number
  readonly width: number
  readonly data: ArrayLike<number>
}

/** The pixels of a picture that belong to a class: 255 there, 0 elsewhere, at the size of the picture. */
export interface Mask {
  readonly label: number
  readonly data: Uint8Array
}

/** No class. */
const NONE = 0xffff

/**
 * Gives each class that some pixel of the picture has, with a mask. Scores are enlarged linearly and the best class of each pixel counts;
 * a map of one class counts where its score is above 0. Masks are made one after the other, since each is as large as the picture.
 */
export function* masksOf(map: ClassMap, placement: Placement): Generator<Mask> {
  const best = bestClasses(map, placement)
  const present = new Set<number>(best)
  present.delete(NONE)
  for (const label of [...present].sort((a, b) => a - b)) {
    const data = new Uint8Array(best.length)
    for (let pixel = 0; pixel < best.length; pixel += 1) if (best[pixel] === label) data[pixel] = 255
    yield { label, data }
  }
}

function bestClasses(map: ClassMap, placement: Placement): Uint16Array {
  const { classes, width } = map
  const columns = linear(placement.width, placement.scaleX, placement.offsetX, placement.inputWidth, width)
  const rows = linear(placement.height, placement.scaleY, placement.offsetY, placement.inputHeight, map.height)
  const best = new Uint16Array(placement.width * placement.height)
  // Class after class of one column, for one row of the picture.
  const line = new Float32Array(width * classes)
  for (let y = 0; y < placement.height; y += 1) {
    enlargeRow(map, rows, y, line)
    for (let x = 0; x < placement.width; x += 1) best[y * placement.width + x] = bestAt(line, columns, x, classes)
  }
  return best
}

/** For each pixel of a side: the coarse pixel before it and the one after it, and how much of the second counts. */
interface Linear {
  readonly first: Int32Array
  readonly second: Int32Array
  readonly share: Float32Array
}

function linear(count: number, scale: number, offset: number, input: number, coarse: number): Linear {
  const [first, second, share] = [new Int32Array(count), new Int32Array(count), new Float32Array(count)]
  for (let index = 0; index < count; index += 1) {
    const exact = (((index + 0.5) * scale + offset) * coarse) / input - 0.5
    const place = Math.max(0, Math.min(coarse - 1, exact))
    const before = Math.floor(place)
    first[index] = before
    second[index] = Math.min(coarse - 1, before + 1)
    share[index] = place - before
  }
  return { first, second, share }
}

function enlargeRow({ classes, height, width, data }: ClassMap, rows: Linear, y: number, line: Float32Array): void {
  const [first = 0, second = 0, share = 0] = [rows.first[y], rows.second[y], rows.share[y]]
  for (let index = 0; index < classes; index += 1) {
    const above = (index * height + first) * width
    const below = (index * height + second) * width
    for (let x = 0; x < width; x += 1) {
      const value = data[above + x] as number
      line[x * classes + index] = value + ((data[below + x] as number) - value) * share
    }
  }
}

function bestAt(line: Float32Array, columns: Linear, x: number, classes: number): number {
  const before = (columns.first[x] as number) * classes
  const after = (columns.second[x] as number) * classes
  const share = columns.share[x] as number
  let label = NONE
  let most = classes === 1 ? 0 : Number.NEGATIVE_INFINITY
  for (let index = 0; index < classes; index += 1) {
    const value = line[before + index] as number
    const between = value + ((line[after + index] as number) - value) * share
    if (between > most) {
      most = between
      label = index
    }
  }
  return label
}
