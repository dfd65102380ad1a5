import { VestalError } from '../../core/errors.ts'
import type { RequestMemory } from '../request-memory.ts'
import { readStrictBody } from '../strict-body.ts'

/** Bytes of a body about accounts; a larger one is refused with 413. */
export const ACCOUNT_BODY_BYTES_MAX = 32 * 1024

/** What a field may be. `text` is limited by its reader; `texts` is a list of texts; each may be absent. */
export type FieldKind = 'text' | 'text or null' | 'texts' | 'boolean' | 'number' | 'number or null'

interface Kinds {
  readonly text: string
  readonly 'text or null': string | null
  readonly texts: readonly string[]
  readonly boolean: boolean
  readonly number: number
  readonly 'number or null': number | null
}

const isText = (value: unknown) => typeof value === 'string'
const isNumber = (value: unknown) => Number.isSafeInteger(value)
const CHECKS: Readonly<Record<FieldKind, (value: unknown) => boolean>> = {
  text: isText,
  'text or null': (value) => value === null || isText(value),
  texts: (value) => Array.isArray(value) && value.length <= 1000 && value.every(isText),
  boolean: (value) => typeof value === 'boolean',
  number: isNumber,
  'number or null': (value) => value === null || isNumber(value),
}
const RULES: Readonly<Record<FieldKind, string>> = {
  text: 'must be a text',
  'text or null': 'must be a text or null',
  texts: 'must be a list of texts',
  boolean: 'must be true or false',
  number: 'must be a whole number',
  'number or null': 'must be a whole number or null',
}

/** The fields that came, by name. */
export type Fields<K extends Readonly<Record<string, FieldKind>>> = { readonly [Name in keyof K]?: Kinds[K[Name]] }

/**
 * Reads a small JSON object with these fields and no others. What it holds is charged to the address it comes from.
 * @throws VestalError BODY_INVALID with one text a field, and as `readBody`
 */
export async function readFields<const K extends Readonly<Record<string, FieldKind>>>(
  request: Request,
  kinds: K,
  { memory }: { readonly memory: RequestMemory },
): Promise<Fields<K>> {
  const names = Object.keys(kinds).map((name) => `"${name}"`)
  const body = readStrictBody(await memory.readSmall(request, ACCOUNT_BODY_BYTES_MAX), {
    body: `must be an object with ${names.join(', ')}`,
  })
  const faults: Record<string, string> = {}
  for (const [name, value] of Object.entries(body)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    if (kind === undefined && Object.keys(faults).length < 8) faults[name.slice(0, 64)] = 'is not a field of this body'
    if (kind !== undefined && !CHECKS[kind](value)) faults[name] = RULES[kind]
  }
  if (Object.keys(faults).length > 0) throw new VestalError('BODY_INVALID', { detail: faults })
  // The cast is what the checks above establish.
  return body as Fields<K>
}

/** The refusal of one field. */
export function fieldFault(name: string, rule: string): VestalError {
  return new VestalError('BODY_INVALID', { detail: { [name]: rule } })
}
