import type { Static, TObject } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { faultsIn } from '../../schema/check.ts'
import type { RequestMemory } from '../request-memory.ts'
import { readStrictBody } from '../strict-body.ts'

/** Bytes of a body about accounts; a larger one is refused with 413. */
export const ACCOUNT_BODY_BYTES_MAX = 32 * 1024

/**
 * Reads a small JSON object that a schema describes. What it holds is charged to the address it comes from.
 * @throws VestalError BODY_INVALID with one text a field, and as `readBody`
 */
export async function readFields<S extends TObject>(
  request: Request,
  schema: S,
  { memory }: { readonly memory: RequestMemory },
): Promise<Static<S>> {
  const names = Object.keys(schema.properties).map((name) => `"${name}"`)
  const notObject = { body: `must be an object with ${names.join(', ')}` }
  const body = readStrictBody(await memory.readSmall(request, ACCOUNT_BODY_BYTES_MAX), notObject)
  return checkFields(schema, body)
}

/** The fields of a body, as a schema describes them. @throws VestalError BODY_INVALID with one text a field */
export function checkFields<S extends TObject>(schema: S, body: object): Static<S> {
  const faults = faultsIn(schema, body, { unknown: 'is not a field of this body' })
  if (faults.length > 0)
    throw new VestalError('BODY_INVALID', { detail: Object.fromEntries(faults.map(({ path, rule }) => [path, rule])) })
  // The cast is what the check establishes.
  return body as Static<S>
}

/** The refusal of one field. */
export function fieldFault(name: string, rule: string): VestalError {
  return new VestalError('BODY_INVALID', { detail: { [name]: rule } })
}
