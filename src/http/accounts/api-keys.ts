import type { Static } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { changeApiKey, createApiKey, findApiKey, listApiKeys, revokeApiKey, type ShownApiKey } from '../../accounts/api-keys.ts'
import type { Answer } from '../../schema/build.ts'
import { jsonResponse } from '../json.ts'
import { API_KEY_DETAIL } from '../openapi/administration.ts'
import { type AdministrationOptions, actorOf, NO_STORE, readChange, recordResponse, routesOn } from './administration.ts'
import { readFields } from './fields.ts'
import { nextCursor, readQuery, timeIn, versionIn } from './paging.ts'
import { type ApiKey, ApiKeyChange, ApiKeyInput, type ApiKeyList, type NewApiKey, PageQuery } from './schemas.ts'
import { timeOf, timeOrNull } from './sessions.ts'

/** Keys of programs, for those who may see and change them. */
export function apiKeys(options: AdministrationOptions) {
  const { context } = options
  const { reading, writing } = routesOn('api-keys')
  return new Elysia({ name: 'api-keys' })
    .use(options.authentication)
    .get(
      '/admin/api-keys/',
      async ({ request }) => {
        const { page } = readQuery(request, PageQuery)
        const keys = await listApiKeys(context, page)
        const next_cursor = nextCursor(keys.length, page, keys.at(-1)?.id)
        return jsonResponse({ api_keys: keys.map(shown), next_cursor } satisfies Answer<typeof ApiKeyList>, NO_STORE)
      },
      reading(API_KEY_DETAIL.list),
    )
    .post(
      '/admin/api-keys/',
      async ({ request, token }) => {
        const { name, ...input } = await readFields(request, ApiKeyInput, options)
        const by = actorOf(options, token, request)
        const { text, ...key } = await createApiKey(context, { ...keyOf(input), name }, by)
        return recordResponse({ ...shown(key), key: text } satisfies Answer<typeof NewApiKey>)
      },
      writing(API_KEY_DETAIL.create),
    )
    .get(
      '/admin/api-keys/:key/',
      async ({ params }) => recordResponse(shown(await findApiKey(context, params.key))),
      reading(API_KEY_DETAIL.read),
    )
    .patch(
      '/admin/api-keys/:key/',
      async ({ request, token, params: { key: id } }) => {
        const { fields, version, by } = await readChange(options, { request, token }, ApiKeyChange)
        return recordResponse(shown(await changeApiKey(context, { ...keyOf(fields), id, version }, by)))
      },
      writing(API_KEY_DETAIL.change),
    )
    .delete(
      '/admin/api-keys/:key/',
      async ({ request, token, params }) => {
        const by = actorOf(options, token, request)
        return recordResponse(shown(await revokeApiKey(context, { id: params.key, version: versionIn(request) }, by)))
      },
      writing(API_KEY_DETAIL.revoke),
    )
}

function keyOf({ expires_at, ...fields }: Static<typeof ApiKeyChange>) {
  if (expires_at === undefined || expires_at === null) return { ...fields, ...(expires_at === null && { expiresAt: null }) }
  const expiresAt = timeIn('expires_at', expires_at, 'must be a time such as 2027-01-01T00:00:00Z, or null')
  return { ...fields, expiresAt }
}

function shown({
  id,
  name,
  permissions,
  version,
  createdAt,
  expiresAt,
  lastUsedAt,
  revokedAt,
}: ShownApiKey): Answer<typeof ApiKey> {
  const times = {
    created_at: timeOf(createdAt),
    expires_at: timeOrNull(expiresAt),
    last_used_at: timeOrNull(lastUsedAt),
    revoked_at: timeOrNull(revokedAt),
  }
  return { id, name, permissions, version, ...times }
}
