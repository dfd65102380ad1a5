/** Where a picture's pixels lie in what a model gets: a point x of the picture is at x × scale + offset. */
export interface Placement {
  /** Of the whole picture, upright. */
  readonly width: number
  readonly height: number
  readonly scaleX: number
  readonly scaleY: number
  readonly offsetX: number
  readonly offsetY: number
  /** Pixels of the model's input. */
  readonly inputWidth: number
  readonly inputHeight: number
}

/** A rectangle, as pixels from the upper left corner. */
export interface Rectangle {
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
}

/** A rectangle of a model's input as one of the picture: what lies outside is cut off. */
export function inPicture(box: Rectangle, { width, height, scaleX, scaleY, offsetX, offsetY }: Placement): Rectangle {
  const across = (x: number) => Math.max(0, Math.min(width, (x - offsetX) / scaleX))
  const down = (y: number) => Math.max(0, Math.min(height, (y - offsetY) / scaleY))
  return { xmin: across(box.xmin), ymin: down(box.ymin), xmax: across(box.xmax), ymax: down(box.ymax) }
}
