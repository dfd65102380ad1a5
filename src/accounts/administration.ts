import { randomUUID } from 'node:crypto'
import type { PermissionCheck } from '../auth/permissions.ts'
import { VestalError } from '../core/errors.ts'
import type { AuditEvent, Origin } from './audit.ts'
import { lockAdministrators } from './last-administrator.ts'
import { isPermission, isRoleName, isUuid, nameFault, normaliseName } from './names.ts'
import { passwordFault } from './passwords.ts'
import type { Account } from './records.ts'
import { type AccountsContext, endSession, raiseEpoch, transact } from './service.ts'
import type { AccountFilter, Page, Records } from './store.ts'

/** Who changes something: the key of a principal, or `command-line`. */
export interface Actor {
  readonly actor: string
  readonly origin?: Origin
  /** What they are granted, and so may grant and take away; everything where it is absent, as for the command line. */
  readonly allows?: PermissionCheck
}

/** Throws where an actor would grant, change or remove more than they are granted: that would be a way to get it. */
export function rejectBeyond({ allows }: Actor, permissions: readonly string[]): void {
  if (allows !== undefined && !allows(permissions))
    throw new VestalError('PERMISSION_MISSING', { detail: 'This is more than you are granted' })
}

/** Who did it, as the audit log has it. */
export function doneBy({ actor, origin }: Actor): Pick<AuditEvent, 'actor' | 'origin'> {
  return { actor, ...(origin && { origin }) }
}

/** A change to an account; what is absent stays. */
export interface AccountInput {
  readonly name?: string
  /** Null takes the password away. */
  readonly password?: string | null
  /** The password signs in once, and is then gone. */
  readonly isPasswordOnce?: boolean
  readonly permissions?: readonly string[]
  readonly roles?: readonly string[]
  readonly isDisabled?: boolean
}

/** An account as administrators see it: all but the hash of its password. */
export type ShownAccount = Omit<Account, 'passwordHash' | 'epoch'> & { readonly hasPassword: boolean }

/** Characters of all of an account's grants: a token, which carries them, must fit into a cookie of 4096. */
const GRANTS_LENGTH_MAX = 2000
const ROLES_MAX = 16
const PERMISSIONS_MAX = 64

/** Accounts by name, a page of them. */
export async function listAccounts(
  { store }: AccountsContext,
  filter: AccountFilter,
  page: Page,
): Promise<readonly ShownAccount[]> {
  return (await store.read((records) => records.accounts(filter, page))).map(shown)
}

/** One account, by its id or its name. @throws VestalError RECORD_UNKNOWN */
export async function findAccount({ store }: Pick<AccountsContext, 'store'>, idOrName: string): Promise<ShownAccount> {
  const name = normaliseName(idOrName)
  const account = await store.read(async (records) => {
    if (isUuid(name)) return records.accountById(name)
    return nameFault(name) === undefined ? records.accountByName(name) : undefined
  })
  if (account === undefined) throw new VestalError('RECORD_UNKNOWN')
  return shown(account)
}

/**
 * Makes an account.
 * @param by `beforeCommit` runs when nothing can take the name any more; where it throws there is no account
 * @throws VestalError BODY_INVALID, NAME_TAKEN
 */
export async function createAccount(
  context: AccountsContext,
  input: AccountInput & { readonly name: string },
  by: Actor & { readonly beforeCommit?: () => void },
): Promise<ShownAccount> {
  const name = normaliseName(input.name)
  rejectFaults(faultsOf({ ...input, name }, name))
  const { password, isPasswordOnce = false, permissions = [], roles = [], isDisabled = false } = input
  const account: Account = {
    id: randomUUID(),
    name,
    passwordHash: typeof password === 'string' ? await context.passwords.hash(password) : null,
    isPasswordOnce,
    permissions,
    roles: [...new Set(roles)].sort(),
    epoch: 0,
    version: 1,
    disabledAt: isDisabled ? context.now() : null,
    createdAt: context.now(),
    lastSignInAt: null,
  }
  await context.store.transaction(async (records) => {
    rejectBeyond(by, await rejectGrants(records, account))
    if (!(await records.insertAccount(account))) throw new VestalError('NAME_TAKEN', { detail: { name: 'is taken' } })
    by.beforeCommit?.()
  })
  context.audit({ event: 'account-created', subject: account.id, name, ...doneBy(by) })
  return shown(account)
}

/**
 * Changes an account. What its tokens say would no longer be true, so a change of its password, permissions, roles or of whether it is
 * disabled ends them; a new password, or being disabled, ends its sessions too.
 * @param version the version that the caller read; any where it is undefined
 * @throws VestalError RECORD_UNKNOWN, VERSION_CONFLICT, BODY_INVALID, NAME_TAKEN, LAST_ADMINISTRATOR
 */
export async function changeAccount(
  context: AccountsContext,
  { id, version, ...input }: AccountInput & { readonly id: string; readonly version?: number | undefined },
  by: Actor,
): Promise<ShownAccount> {
  const { passwords, now } = context
  const name = input.name === undefined ? undefined : normaliseName(input.name)
  const known = await findAccount(context, id)
  rejectFaults(faultsOf({ ...input, ...(name !== undefined && { name }) }, name ?? known.name))
  const passwordHash = typeof input.password === 'string' ? await passwords.hash(input.password) : input.password
  const changed = await transact(context, async (records, revoke) => {
    const mayLose = input.isDisabled === true || input.roles !== undefined || input.permissions !== undefined
    const keepAdministrator = mayLose ? await lockAdministrators(records) : undefined
    const account = await records.lockAccount(known.id)
    if (account === undefined) throw new VestalError('RECORD_UNKNOWN')
    if (version !== undefined && version !== account.version) throw new VestalError('VERSION_CONFLICT')
    const { isDisabled = account.disabledAt !== null, permissions = account.permissions } = input
    const next: Account = {
      ...account,
      name: name ?? account.name,
      ...(passwordHash !== undefined && { passwordHash, isPasswordOnce: input.isPasswordOnce ?? false }),
      permissions,
      roles: input.roles === undefined ? account.roles : [...new Set(input.roles)].sort(),
      disabledAt: isDisabled ? (account.disabledAt ?? now()) : null,
      version: account.version + 1,
    }
    rejectBeyond(by, await allGrants(records, account))
    rejectBeyond(by, await rejectGrants(records, next))
    const { roles, id: _, createdAt: __, epoch: ___, ...columns } = next
    if (!(await records.updateAccount(account.id, columns))) throw new VestalError('NAME_TAKEN', { detail: { name: 'is taken' } })
    if (!sameList(roles, account.roles)) await records.replaceRoles(account.id, roles)
    await keepAdministrator?.()
    const isLockedOut = passwordHash !== undefined || (isDisabled && account.disabledAt === null)
    if (isLockedOut) await records.forgetAddresses(account.id)
    if (isLockedOut) for (const session of await records.sessionsOf(account.id)) await endSession(records, revoke, session.id)
    if (isLockedOut || !sameList(roles, account.roles) || !sameList(permissions, account.permissions))
      await raiseEpoch(records, revoke, account)
    return next
  })
  context.audit({
    event: 'account-changed',
    subject: changed.id,
    name: changed.name,
    reason: Object.keys(input).join(' '),
    ...doneBy(by),
  })
  return shown(changed)
}

/** Deletes an account with its sessions; its tokens die. @throws VestalError RECORD_UNKNOWN, VERSION_CONFLICT, LAST_ADMINISTRATOR */
export async function deleteAccount(
  context: AccountsContext,
  { id, version }: { readonly id: string; readonly version?: number | undefined },
  by: Actor,
): Promise<void> {
  await transact(context, async (records, revoke) => {
    const keepAdministrator = await lockAdministrators(records)
    const account = await records.lockAccount(id)
    if (account === undefined) throw new VestalError('RECORD_UNKNOWN')
    if (version !== undefined && version !== account.version) throw new VestalError('VERSION_CONFLICT')
    rejectBeyond(by, await allGrants(records, account))
    await revoke('subject', id, { epoch: account.epoch + 1 })
    for (const session of await records.sessionsOf(id)) await endSession(records, revoke, session.id)
    await records.deleteAccount(id)
    await keepAdministrator()
  })
  context.audit({ event: 'account-deleted', subject: id, ...doneBy(by) })
}

function faultsOf({ name, password, permissions = [], roles = [] }: AccountInput, owner: string): Record<string, string> {
  const faults: Record<string, string> = {}
  const wrongName = name === undefined ? undefined : nameFault(name)
  const wrongPassword = typeof password === 'string' ? passwordFault(password, owner) : undefined
  if (wrongName !== undefined) faults.name = wrongName
  if (wrongPassword !== undefined) faults.password = wrongPassword
  const wrongPermissions = permissionsFault(permissions)
  if (wrongPermissions !== undefined) faults.permissions = wrongPermissions
  if (roles.length > ROLES_MAX || !roles.every(isRoleName)) faults.roles = `must be a list of at most ${ROLES_MAX} names of roles`
  return faults
}

/** What is wrong with a list of permissions; undefined where nothing is. */
export function permissionsFault(permissions: readonly string[]): string | undefined {
  if (permissions.length > PERMISSIONS_MAX) return `must be at most ${PERMISSIONS_MAX} permissions`
  if (!permissions.every(isPermission))
    return 'must be a list of permissions such as model:iris:predict, without spaces, at most 128 characters each'
  return permissions.join('').length > GRANTS_LENGTH_MAX ? `must be at most ${GRANTS_LENGTH_MAX} characters in all` : undefined
}

/** Throws where there are faults, one text a field. */
export function rejectFaults(faults: Readonly<Record<string, string>>): void {
  if (Object.keys(faults).length > 0) throw new VestalError('BODY_INVALID', { detail: faults })
}

/** Throws where an account's roles are not there, or its grants would not fit into a token; gives all that it is granted. */
export async function rejectGrants(
  records: Records,
  { roles, permissions }: Pick<Account, 'roles' | 'permissions'>,
): Promise<readonly string[]> {
  const known = await records.rolesNamed(roles)
  const unknown = roles.filter((name) => !known.some((role) => role.name === name))
  if (unknown.length > 0) rejectFaults({ roles: `there is no role ${unknown.join(', ')}` })
  const length = [...permissions, ...known.flatMap((role) => [role.name, ...role.permissions])].join('","').length
  if (length > GRANTS_LENGTH_MAX)
    rejectFaults({ roles: `with its permissions this is ${length} characters; a token carries at most ${GRANTS_LENGTH_MAX}` })
  return [...permissions, ...known.flatMap((role) => role.permissions)]
}

async function allGrants(records: Records, { roles, permissions }: Account): Promise<readonly string[]> {
  return [...permissions, ...(await records.rolesNamed(roles)).flatMap((role) => role.permissions)]
}

function shown({ passwordHash, epoch: _, ...account }: Account): ShownAccount {
  return { ...account, hasPassword: passwordHash !== null }
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index])
}
