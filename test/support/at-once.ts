import type { Maybe } from '../../src/core/maybe.ts'

/** What must be there without waiting. */
export function atOnce<T>(value: Maybe<T>): T {
  if (value instanceof Promise) throw new Error('it has to be waited for')
  return value
}
