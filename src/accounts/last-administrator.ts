import { VestalError } from '../core/errors.ts'
import type { Records } from './store.ts'

/**
 * What some account must always be able to do: everything, since no account grants more than it is granted; and writing accounts, where none
 * may do everything. Each is given by the grants that cover it.
 */
const LEVELS: readonly (readonly string[])[] = [['*'], ['*', 'users:write', 'users:*', '*:write', '*:*']]

/**
 * Lets one transaction at a time take administrators away, so that two cannot disable each other at once. It comes before any account or
 * role is locked. Call the result when all is written: it refuses to remove the last enabled account that could, however
 * it was granted.
 */
export async function lockAdministrators(records: Records): Promise<() => Promise<void>> {
  const kept: (readonly string[])[] = []
  for (const grants of LEVELS) if ((await records.lockHolders(grants, 2)).length > 0) kept.push(grants)
  return async () => {
    for (const grants of kept)
      if ((await records.lockHolders(grants, 1)).length === 0) throw new VestalError('LAST_ADMINISTRATOR')
  }
}
