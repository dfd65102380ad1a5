import { VestalError } from '../core/errors.ts'

/** Pictures or sounds of one request. */
const ITEMS_MAX = 16

/** A picture or sound among those of its request. */
export interface Item {
  readonly media: 'picture' | 'sound'
  readonly index: number
  readonly count: number
}

/** @throws VestalError INPUTS_TOO_MANY where a request has more pictures, or sounds, than it may */
export function checkCount(count: number, media: Item['media'], itemsMax = ITEMS_MAX): void {
  const most = Math.min(itemsMax, ITEMS_MAX)
  if (count <= most) return
  throw new VestalError('INPUTS_TOO_MANY', {
    detail: `The request has ${count} ${media}s; the most is ${most}: send them in several requests`,
  })
}

/** What errors call it: "The picture", or of several "Picture 2 of 3". */
export function nameOf({ media, index, count }: Item): string {
  return count === 1 ? `The ${media}` : `${media === 'picture' ? 'Picture' : 'Sound'} ${index + 1} of ${count}`
}

/** The error of one of several that is not as it must be: it names which, in the place of "The picture". Any other error is given as it is. */
export function named(error: unknown, item: Item): unknown {
  if (!(error instanceof VestalError) || item.count === 1) return error
  if (error.code !== 'INPUT_INVALID' && error.code !== 'MEDIA_UNREADABLE') return error
  const { code, detail, message: reason } = error
  const general = nameOf({ ...item, count: 1 })
  if (typeof detail !== 'string' || !detail.startsWith(general)) return error
  return new VestalError(code, { detail: `${nameOf(item)}${detail.slice(general.length)}`, reason, cause: error })
}
