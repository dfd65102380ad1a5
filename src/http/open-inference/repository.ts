import { Elysia } from 'elysia'
import type { Authenticator } from '../../auth/authenticator.ts'
import type { Engine } from '../../engine/engine.ts'
import { guard } from '../authentication.ts'
import { type BodyTimes, readBody } from '../body.ts'
import { jsonResponse } from '../json.ts'
import { mayReadName, permissionTo } from '../model-access.ts'
import { REPOSITORY_DETAIL } from '../openapi/open-inference-control.ts'
import { readIndexRequest, readLoadRequest, readUnloadRequest } from './repository-body.ts'

export interface RepositoryRoutesOptions {
  readonly engine: Engine
  readonly authenticator: Authenticator
  readonly bodyBytesMax: number
  readonly bodyTimes?: BodyTimes | undefined
}

/** Longest body of a request that holds no model. */
const SMALL_BODY_BYTES_MAX = 1_048_576

/** The model repository extension: the list of what there is, and loading and unloading, of a model or of one version of it. */
export function repository({ engine, authenticator, bodyBytesMax, bodyTimes }: RepositoryRoutesOptions) {
  const admin = permissionTo('admin', engine)
  const load = async (asked: Asked, request: Request) => {
    const options = readLoadRequest(await readBody(request, bodyBytesMax, bodyTimes))
    await engine.load(asked.name, { ...options, ...versionOf(asked) })
    return done()
  }
  const unload = async (asked: Asked, request: Request) => {
    const options = readUnloadRequest(await readBody(request, SMALL_BODY_BYTES_MAX, bodyTimes))
    await engine.unload(asked.name, { ...options, ...versionOf(asked) })
    return done()
  }
  const loading = { permissions: admin, parse: 'none', detail: REPOSITORY_DETAIL.load } as const
  const unloading = { permissions: admin, parse: 'none', detail: REPOSITORY_DETAIL.unload } as const
  return new Elysia()
    .use(guard(authenticator))
    .post(
      '/v2/repository/index',
      async ({ request, token }) => {
        const { isReadyOnly } = readIndexRequest(await readBody(request, SMALL_BODY_BYTES_MAX, bodyTimes))
        const mayRead = mayReadName(token, engine)
        const entries = engine.index().filter(({ name, state }) => mayRead(name) && (!isReadyOnly || state === 'READY'))
        return jsonResponse(entries)
      },
      { permissions: [], parse: 'none', detail: REPOSITORY_DETAIL.index },
    )
    .post('/v2/repository/models/:name/load', async ({ params, request }) => load(params, request), loading)
    .post('/v2/repository/models/:name/unload', async ({ params, request }) => unload(params, request), unloading)
    .post('/v2/repository/models/:name/versions/:version/load', async ({ params, request }) => load(params, request), loading)
    .post(
      '/v2/repository/models/:name/versions/:version/unload',
      async ({ params, request }) => unload(params, request),
      unloading,
    )
}

interface Asked {
  readonly name: string
  readonly version?: string
}

function versionOf({ version }: Asked): { readonly version?: string } {
  return version === undefined ? {} : { version }
}

/** Clients of this extension compare the status with 200, and read no body. */
function done(): Response {
  return new Response(null, { status: 200 })
}
