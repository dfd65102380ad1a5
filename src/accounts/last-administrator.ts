import { VestalError } from '../core/errors.ts'
import type { Account } from './records.ts'
import type { Records } from './store.ts'

/** The role whose last enabled holder stays. */
export const ADMINISTRATOR = 'admin'

/**
 * Lets one transaction at a time take administrators away, so that two cannot disable each other at once. It comes before any account is
 * locked. What it gives refuses to take away the last enabled one; an account that is none passes.
 */
export async function lockAdministrators(records: Records): Promise<(account: Account) => Promise<void>> {
  await records.lockRole(ADMINISTRATOR)
  return async ({ id, roles, disabledAt }) => {
    if (disabledAt !== null || !roles.includes(ADMINISTRATOR)) return
    const enabled = await records.accounts({ role: ADMINISTRATOR, isDisabled: false }, { limit: 2 })
    // What the transaction has written to the account itself may be seen already.
    if (!enabled.some((other) => other.id !== id)) throw new VestalError('LAST_ADMINISTRATOR')
  }
}

/** True where an enabled account has the role: it cannot be deleted under them. */
export async function hasAdministrator(records: Records): Promise<boolean> {
  return (await records.accounts({ role: ADMINISTRATOR, isDisabled: false }, { limit: 1 })).length > 0
}
