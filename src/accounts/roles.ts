import { VestalError } from '../core/errors.ts'
import { type Actor, doneBy, permissionsFault, rejectBeyond, rejectFaults, rejectGrants } from './administration.ts'
import { lockAdministrators } from './last-administrator.ts'
import { isRoleName } from './names.ts'
import type { Role } from './records.ts'
import { type AccountsContext, type Revoke, raiseEpoch, transact } from './service.ts'
import type { Page, Records, Store } from './store.ts'

/** Roles of a new store: all permissions, running models, calling models. */
const ROLES: Readonly<Record<string, readonly [description: string, permissions: readonly string[]]>> = {
  admin: ['Everything', ['*']],
  operator: ['Loads models and reads metrics', ['model:*:admin', 'model:*:read', 'metrics:read']],
  analyst: ['Asks every model', ['model:*:predict', 'model:*:read', 'my-permission-name']],
}
const DESCRIPTION_LENGTH_MAX = 200

/** Adds the roles that a new store has. One that was changed, or deleted while others are there, stays as it is. */
export async function addFirstRoles(store: Store, now: number): Promise<void> {
  await store.transaction(async (records) => {
    if ((await records.roles({ limit: 1 })).length > 0) return
    for (const [name, [description, permissions]] of Object.entries(ROLES))
      await records.insertRole({ name, description, permissions, version: 1, createdAt: now })
  })
}

/** Roles by name, a page of them. */
export function listRoles({ store }: AccountsContext, page: Page): Promise<readonly Role[]> {
  return store.read((records) => records.roles(page))
}

/** One role. @throws VestalError RECORD_UNKNOWN */
export async function findRole({ store }: AccountsContext, name: string): Promise<Role> {
  const [role] = isRoleName(name) ? await store.read((records) => records.rolesNamed([name])) : []
  if (role === undefined) throw new VestalError('RECORD_UNKNOWN')
  return role
}

export interface RoleInput {
  readonly description?: string
  readonly permissions?: readonly string[]
}

/** Makes a role. @throws VestalError BODY_INVALID, NAME_TAKEN */
export async function createRole(
  context: AccountsContext,
  { name, ...input }: RoleInput & { readonly name: string },
  by: Actor,
): Promise<Role> {
  rejectFaults({ ...(!isRoleName(name) && { name: 'must be 1 to 64 of a-z, 0-9, ".", "_", "-"' }), ...faultsOf(input) })
  const role = {
    name,
    description: input.description ?? '',
    permissions: input.permissions ?? [],
    version: 1,
    createdAt: context.now(),
  }
  rejectBeyond(by, role.permissions)
  const isNew = await context.store.transaction((records) => records.insertRole(role))
  if (!isNew) throw new VestalError('NAME_TAKEN', { detail: { name: 'is taken' } })
  context.audit({ event: 'role-created', subject: name, ...doneBy(by) })
  return role
}

interface RoleVersion {
  readonly name: string
  /** The version that the caller read; any where it is undefined. */
  readonly version?: number | undefined
}

/** Changes a role; the tokens of all who have it die, since they carry what it granted. */
export async function changeRole(
  context: AccountsContext,
  { name, version, ...input }: RoleVersion & RoleInput,
  by: Actor,
): Promise<Role> {
  rejectFaults(faultsOf(input))
  const changed = await transact(context, async (records, revoke) => {
    const keepAdministrator = input.permissions === undefined ? undefined : await lockAdministrators(records)
    const role = await lockedRole(records, { name, version })
    rejectBeyond(by, [...role.permissions, ...(input.permissions ?? [])])
    const next = { ...role, ...input, version: role.version + 1 }
    const { description, permissions } = next
    await records.updateRole(name, { description, permissions, version: next.version })
    await keepAdministrator?.()
    if (input.permissions !== undefined) await endTokensOfHolders(records, revoke, name)
    return next
  })
  context.audit({ event: 'role-changed', subject: name, ...doneBy(by) })
  return changed
}

/** Deletes a role: no account has it any more, and tokens of accounts that had it are revoked. */
export async function deleteRole(context: AccountsContext, { name, version }: RoleVersion, by: Actor): Promise<void> {
  await transact(context, async (records, revoke) => {
    const keepAdministrator = await lockAdministrators(records)
    rejectBeyond(by, (await lockedRole(records, { name, version })).permissions)
    await endTokensOfHolders(records, revoke, name)
    await records.deleteRole(name)
    await keepAdministrator()
  })
  context.audit({ event: 'role-deleted', subject: name, ...doneBy(by) })
}

async function lockedRole(records: Records, { name, version }: RoleVersion): Promise<Role> {
  const role = isRoleName(name) ? await records.lockRole(name) : undefined
  if (role === undefined) throw new VestalError('RECORD_UNKNOWN')
  if (version !== undefined && version !== role.version) throw new VestalError('VERSION_CONFLICT')
  return role
}

async function endTokensOfHolders(records: Records, revoke: Revoke, role: string): Promise<void> {
  // In the order of their ids, so that two changes at once never wait for each other.
  for (const id of await records.holdersOf(role)) {
    const account = await records.lockAccount(id)
    if (account === undefined) continue
    await rejectGrants(records, account)
    await raiseEpoch(records, revoke, account)
  }
}

function faultsOf({ description = '', permissions = [] }: RoleInput): Record<string, string> {
  const fault = permissionsFault(permissions)
  return {
    ...(description.length > DESCRIPTION_LENGTH_MAX && { description: `must be at most ${DESCRIPTION_LENGTH_MAX} characters` }),
    ...(fault !== undefined && { permissions: fault }),
  }
}
