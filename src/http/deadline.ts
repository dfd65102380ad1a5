import { VestalError } from '../core/errors.ts'

/** Header that says how many milliseconds an answer may take, from when its request came. */
export const TIMEOUT_HEADER = 'vestal-timeout-ms'
/** Longest that a request may give itself: a day. */
const TIMEOUT_MS_MAX = 86_400_000

/** When a request came, and how long its header lets it take. */
export interface Deadline {
  readonly begunMs: number
  readonly headerMs: number
}

/**
 * Starts the clock of a request that may have `Vestal-Timeout-Ms`; both times count from here, so reading the body counts too.
 * @throws VestalError BODY_INVALID when the header is no number of milliseconds
 */
export function deadlineOf(request: Request): Deadline {
  const begunMs = performance.now()
  const header = request.headers.get(TIMEOUT_HEADER)
  return { begunMs, headerMs: header === null ? Number.POSITIVE_INFINITY : readMs(header) }
}

/**
 * The milliseconds left of the header's time, or of the parameter's where that is less; nothing when neither is set.
 * @throws VestalError QUEUE_TIMEOUT where there are none: nothing was computed
 */
export function leftOf({ begunMs, headerMs }: Deadline, parameterMs = Number.POSITIVE_INFINITY): number | undefined {
  const allowedMs = Math.min(headerMs, parameterMs)
  if (allowedMs === Number.POSITIVE_INFINITY) return undefined
  const leftMs = allowedMs - (performance.now() - begunMs)
  if (leftMs <= 0) throw new VestalError('QUEUE_TIMEOUT')
  return Math.min(leftMs, TIMEOUT_MS_MAX)
}

function readMs(header: string): number {
  const ms = /^\d{1,9}(?:\.\d{1,3})?$/.test(header) ? Number(header) : Number.NaN
  if (ms > 0 && ms <= TIMEOUT_MS_MAX) return ms
  throw new VestalError('BODY_INVALID', {
    detail: `the header Vestal-Timeout-Ms must be a number of milliseconds, more than 0 and at most ${TIMEOUT_MS_MAX}`,
  })
}
