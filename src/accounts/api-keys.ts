import { randomInt } from 'node:crypto'
import { VestalError } from '../core/errors.ts'
import { type Actor, doneBy, permissionsFault, rejectBeyond, rejectFaults } from './administration.ts'
import { isApiKeyId, makeApiKey } from './api-key-text.ts'
import type { ApiKey } from './records.ts'
import { type AccountsContext, type Revoke, transact } from './service.ts'
import type { Page } from './store.ts'

/** A key as administrators see it: all but its hash. */
export type ShownApiKey = Omit<ApiKey, 'hash'>

export interface ApiKeyInput {
  readonly name?: string
  readonly permissions?: readonly string[]
  /** When it expires, in milliseconds since 1970; null for never. */
  readonly expiresAt?: number | null
}

/** Keys of one server: each process remembers them all. */
export const API_KEYS_MAX = 10_000
const NAME_LENGTH_MAX = 100

/** The `sub` of the tokens that a key gets. */
export function subjectOfKey(id: string): string {
  return `key:${id}`
}

/** Keys by id, a page of them. */
export async function listApiKeys({ store }: AccountsContext, page: Page): Promise<readonly ShownApiKey[]> {
  return (await store.read((records) => records.apiKeys(page))).map(shownApiKey)
}

/** One key. @throws VestalError RECORD_UNKNOWN */
export async function findApiKey({ store }: AccountsContext, id: string): Promise<ShownApiKey> {
  const key = isApiKeyId(id) ? await store.read((records) => records.lockApiKey(id)) : undefined
  if (key === undefined) throw new VestalError('RECORD_UNKNOWN')
  return shownApiKey(key)
}

/** Makes a key and gives its text, which is not shown again. @throws VestalError BODY_INVALID */
export async function createApiKey(
  context: AccountsContext,
  input: ApiKeyInput & { readonly name: string },
  by: Actor,
): Promise<ShownApiKey & { readonly text: string }> {
  rejectFaults(faultsOf(input, context.now()))
  rejectBeyond(by, input.permissions ?? [])
  const { id, text, hash } = makeApiKey()
  const key: ApiKey = {
    id,
    hash,
    name: input.name,
    permissions: input.permissions ?? [],
    version: 1,
    createdAt: context.now(),
    expiresAt: input.expiresAt ?? null,
    lastUsedAt: null,
    revokedAt: null,
  }
  await transact(context, async (records, revoke) => {
    if ((await records.countApiKeys()) >= API_KEYS_MAX)
      rejectFaults({ name: `there are ${API_KEYS_MAX} keys already, the most there may be` })
    await records.insertApiKey(key)
    await announce(revoke)
  })
  context.audit({ event: 'api-key-created', subject: subjectOfKey(id), ...doneBy(by) })
  return { ...shownApiKey(key), text }
}

interface KeyVersion {
  readonly id: string
  /** The version that the caller read; any where it is undefined. */
  readonly version?: number | undefined
}

/** Changes a key; the tokens that it got die. @throws VestalError RECORD_UNKNOWN, VERSION_CONFLICT, BODY_INVALID */
export async function changeApiKey(
  context: AccountsContext,
  { id, version, ...input }: KeyVersion & ApiKeyInput,
  by: Actor,
): Promise<ShownApiKey> {
  rejectFaults(faultsOf(input, context.now()))
  const changed = await update(context, { id, version }, { changes: input, by })
  context.audit({ event: 'api-key-changed', subject: subjectOfKey(id), ...doneBy(by) })
  return changed
}

/** Ends a key for good, and the tokens that it got. It stays in the list. @throws VestalError RECORD_UNKNOWN, VERSION_CONFLICT */
export async function revokeApiKey(context: AccountsContext, key: KeyVersion, by: Actor): Promise<ShownApiKey> {
  const revoked = await update(context, key, { changes: { revokedAt: context.now() }, by })
  context.audit({ event: 'api-key-revoked', subject: subjectOfKey(key.id), ...doneBy(by) })
  return revoked
}

interface KeyChange {
  readonly changes: ApiKeyInput & { readonly revokedAt?: number }
  readonly by: Actor
}

function update(context: AccountsContext, { id, version }: KeyVersion, { changes, by }: KeyChange) {
  return transact(context, async (records, revoke) => {
    const key = isApiKeyId(id) ? await records.lockApiKey(id) : undefined
    if (key === undefined) throw new VestalError('RECORD_UNKNOWN')
    if (version !== undefined && version !== key.version) throw new VestalError('VERSION_CONFLICT')
    rejectBeyond(by, [...key.permissions, ...(changes.permissions ?? [])])
    const next = { ...key, ...changes, revokedAt: key.revokedAt ?? changes.revokedAt ?? null, version: key.version + 1 }
    const { name, permissions, expiresAt, revokedAt } = next
    await records.updateApiKey(id, { name, permissions, expiresAt, revokedAt, version: next.version })
    // Tokens carry the version of the key that they were made for.
    await revoke('subject', subjectOfKey(id), { epoch: next.version })
    await announce(revoke)
    return shownApiKey(next)
  })
}

/** Tells every process that the keys it remembers are old. */
function announce(revoke: Revoke): Promise<void> {
  // Any other number than the last: two changes may come in one millisecond.
  return revoke('api-keys', 'all', { epoch: randomInt(2 ** 47) })
}

function shownApiKey({ hash: _, ...key }: ApiKey): ShownApiKey {
  return key
}

function faultsOf({ name, permissions = [], expiresAt }: ApiKeyInput, now: number): Record<string, string> {
  const fault = permissionsFault(permissions)
  const isWrongName = name !== undefined && (name.trim() === '' || name.length > NAME_LENGTH_MAX || /\p{C}/u.test(name))
  return {
    ...(isWrongName && { name: `must be one line of 1 to ${NAME_LENGTH_MAX} characters` }),
    ...(fault !== undefined && { permissions: fault }),
    ...(typeof expiresAt === 'number' && !(expiresAt > now) && { expires_at: 'must be in the future' }),
  }
}
