import type { LogFields } from './logger.ts'

/** Parts that are remembered at once, all forgotten where there are more, and the length of a text that one is found by. */
const [KNOWN_MAX, KNOWN_LENGTH_MAX] = [1000, 64]

/**
 * Makes the part of a request's line that says what was asked and answered, and remembers it for the next request of its route: nearly all
 * have the same method, status and model, and to look for four texts costs more than to compare three.
 */
export function rememberedTarget<T>(make: (fields: LogFields) => T): (fields: LogFields) => T {
  const known = new Map<string | undefined, Pick<LogFields, 'status' | 'method' | 'model'> & { readonly made: T }>()
  return (fields) => {
    const { route, method, status, model } = fields
    const last = known.get(route)
    if (last !== undefined && last.status === status && last.method === method && last.model === model) return last.made
    const made = make(fields)
    if (isLong(route) || isLong(model)) return made
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(route, { status, method, model, made })
    return made
  }
}

/** The same for the part that says who asked, remembered for the next request of its subject. */
export function rememberedCaller<T>(make: (fields: LogFields) => T): (fields: LogFields) => T {
  const known = new Map<string | undefined, Pick<LogFields, 'address' | 'issuer'> & { readonly made: T }>()
  return (fields) => {
    const { subject, address, issuer } = fields
    const last = known.get(subject)
    if (last !== undefined && last.address === address && last.issuer === issuer) return last.made
    const made = make(fields)
    if (isLong(subject) || isLong(issuer)) return made
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(subject, { address, issuer, made })
    return made
  }
}

function isLong(text: string | undefined): boolean {
  return text !== undefined && text.length > KNOWN_LENGTH_MAX
}
