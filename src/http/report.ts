import { pathOf } from './address.ts'

/** Writes a bug of ours to the standard error, in full. */
export function reportToStandardError(error: unknown, request: Request): void {
  console.error(`${request.method} ${pathOf(request)} failed:`, error)
}
