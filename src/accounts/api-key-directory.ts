import { timingSafeEqual } from 'node:crypto'
import type { AuthenticatedToken } from '../auth/authenticator.ts'
import { compileGrants } from '../auth/permissions.ts'
import { VestalError } from '../core/errors.ts'
import { createPrincipal } from '../core/principal.ts'
import type { Algorithm } from '../jose/algorithms.ts'
import { apiKeyId, hashOfApiKey } from './api-key-text.ts'
import { API_KEYS_MAX, subjectOfKey } from './api-keys.ts'
import type { ApiKey } from './records.ts'
import type { Store } from './store.ts'

/** Every key of the server, in memory: a request that carries one asks the database nothing. */
export interface ApiKeyDirectory {
  /** Reads all keys anew. */
  load(): Promise<void>
  /** The key of this text, and who it stands for. @throws VestalError API_KEY_REFUSED */
  find(text: string): KnownKey
  /** Writes when keys were last used. */
  flush(): Promise<void>
}

export interface KnownKey {
  readonly key: ApiKey
  /** What a route sees in place of a token. */
  readonly token: AuthenticatedToken
}

const PAGE = 500

/** Prepares an empty directory. */
export function createApiKeyDirectory({ store, now }: { readonly store: Store; readonly now: () => number }): ApiKeyDirectory {
  let keys = new Map<string, KnownKey>()
  let used = new Map<string, number>()
  return {
    async load() {
      const all = new Map<string, KnownKey>()
      for (let after: string | undefined; all.size < API_KEYS_MAX; ) {
        const limit = { limit: PAGE, ...(after !== undefined && { after }) }
        const page = await store.read((records) => records.apiKeys(limit))
        for (const key of page) all.set(key.id, { key, token: tokenOf(key) })
        after = page.at(-1)?.id
        if (page.length < PAGE) break
      }
      keys = all
    },
    find(text) {
      const id = apiKeyId(text)
      const known = id === undefined ? undefined : keys.get(id)
      if (known === undefined) throw new VestalError('API_KEY_REFUSED', { reason: 'there is no such key' })
      rejectUnusable(known.key, text, now())
      used.set(known.key.id, now())
      return known
    },
    async flush() {
      if (used.size === 0) return
      const written = used
      used = new Map()
      await store.transaction(async (records) => {
        for (const [id, at] of [...written].toSorted()) await records.touchApiKey(id, at)
      })
    },
  }
}

/** The holder of the whole key learns why it is rejected; other callers learn nothing. */
function rejectUnusable({ hash, revokedAt, expiresAt }: ApiKey, text: string, now: number): void {
  if (!timingSafeEqual(Buffer.from(hash), Buffer.from(hashOfApiKey(text))))
    throw new VestalError('API_KEY_REFUSED', { reason: 'its secret is wrong' })
  if (revokedAt !== null) throw new VestalError('API_KEY_REFUSED', { detail: 'The API key was revoked', reason: 'it is revoked' })
  if (expiresAt !== null && now >= expiresAt)
    throw new VestalError('API_KEY_REFUSED', { detail: 'The API key expired', reason: 'it has expired' })
}

/** A key has permissions of its own. */
const NO_ROLES: readonly string[] = Object.freeze([])

function tokenOf({ id, permissions }: ApiKey): AuthenticatedToken {
  const sub = subjectOfKey(id)
  return Object.freeze({
    // The cast: nothing signed it. No route asks for the algorithm, and metrics count it by this word.
    header: Object.freeze({ alg: 'none' as Algorithm, typ: 'api-key' }),
    principal: createPrincipal({ isLocal: true, issuer: undefined, subject: sub }),
    payload: Object.freeze({ sub, data: Object.freeze({ permissions }) }),
    allows: compileGrants(permissions),
    roles: NO_ROLES,
  })
}
