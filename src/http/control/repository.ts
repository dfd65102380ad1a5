import { Elysia } from 'elysia'
import type { Origin } from '../../accounts/audit.ts'
import type { AuthenticatedToken, Authenticator } from '../../auth/authenticator.ts'
import { VestalError } from '../../core/errors.ts'
import type { ControlOptions, Engine, LoadOptions, ModelChange } from '../../inference/engine.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import { guard } from '../authentication.ts'
import { jsonResponse } from '../json.ts'
import { mayReadName, permissionTo } from '../model-access.ts'
import { REPOSITORY_DETAIL } from '../openapi/open-inference-control.ts'
import { jsonTooLarge } from '../predict/open-inference.ts'
import type { RequestMemory } from '../request-memory.ts'
import type { NoteModelChange } from './model-changes.ts'
import { readIndexRequest, readLoadRequest, readUnloadRequest } from './repository-body.ts'

export interface RepositoryRoutesOptions {
  readonly engine: Engine
  readonly authenticator: Authenticator
  readonly memory: RequestMemory
  /** Called for every load and unload with its outcome; a denied one is reported as every missing permission is. */
  readonly note?: NoteModelChange | undefined
  /** Where a request came from, for the audit log. */
  readonly originOf?: ((request: Request) => Origin) | undefined
}

/** Longest body of a request that holds no model. */
const SMALL_BODY_BYTES_MAX = 1_048_576

/** The model repository extension: the list of what there is, and loading and unloading, of a model or of one version of it. */
export function repository(options: RepositoryRoutesOptions) {
  const { engine, authenticator, memory } = options
  const admin = permissionTo('admin', engine)
  const load = (asked: Asked, caller: Caller) =>
    controlled({ ...asked, action: 'load' }, caller, options, async (control, version) => {
      const held = memory.open(caller.request, caller.token.principal.key)
      try {
        // What the request brought is held until the model is loaded.
        const body = readLoadRequest(await held.read(jsonTooLarge))
        await engine.load(asked.name, { ...body, ...version, ...control })
        return { answer: new Response(null, { status: 200 }), reason: sourceOf(body) }
      } finally {
        held.close()
      }
    })
  const readSmall = ({ request, token }: Caller) =>
    memory.readSmall(request, SMALL_BODY_BYTES_MAX, token.principal.key, TRITON_TEXTS.jsonTooLarge)
  const unload = (asked: Asked, caller: Caller) =>
    controlled({ ...asked, action: 'unload' }, caller, options, async (control, version) => {
      const body = readUnloadRequest(await readSmall(caller))
      const kept = await engine.unload(asked.name, { ...body, ...version, ...control })
      // Clients of this extension compare the status with 200, and read no body: it is there only where something was left.
      const left = kept.map(({ name, permission }) => ({ name, reason: `requires the permission ${permission}` }))
      return { answer: left.length === 0 ? new Response(null, { status: 200 }) : jsonResponse({ not_unloaded: left }) }
    })
  const loading = { permissions: admin, parse: 'none', detail: REPOSITORY_DETAIL.load } as const
  const unloading = { permissions: admin, parse: 'none', detail: REPOSITORY_DETAIL.unload } as const
  return new Elysia()
    .use(guard(authenticator))
    .post(
      '/v2/repository/index',
      async ({ request, token }) => {
        const { isReadyOnly } = readIndexRequest(await readSmall({ request, token }))
        const mayRead = mayReadName(token, engine)
        const entries = engine.index().filter(({ name, state }) => mayRead(name) && (!isReadyOnly || state === 'READY'))
        // Triton gives every version a reason, an empty one where nothing is wrong.
        return jsonResponse(entries.map((entry) => (entry.version === undefined ? entry : { reason: '', ...entry })))
      },
      { permissions: [], parse: 'none', detail: REPOSITORY_DETAIL.index },
    )
    .post('/v2/repository/models/:name/load', async ({ params, request, token }) => load(params, { request, token }), loading)
    .post(
      '/v2/repository/models/:name/unload',
      async ({ params, request, token }) => unload(params, { request, token }),
      unloading,
    )
    .post(
      '/v2/repository/models/:name/versions/:version/load',
      async ({ params, request, token }) => load(params, { request, token }),
      loading,
    )
    .post(
      '/v2/repository/models/:name/versions/:version/unload',
      async ({ params, request, token }) => unload(params, { request, token }),
      unloading,
    )
}

interface Asked {
  readonly name: string
  readonly version?: string
}

interface Caller {
  readonly request: Request
  readonly token: AuthenticatedToken
}

interface Controlled {
  readonly answer: Response
  /** What the change was made of, for the audit log. */
  readonly reason?: string
}

/** Does a change of a model with the permissions of the caller, and notes what became of it and of the models that it reached. */
async function controlled(
  { name, version, action }: Asked & Pick<ModelChange, 'action'>,
  { request, token }: Caller,
  { note, originOf }: RepositoryRoutesOptions,
  change: (control: ControlOptions, version: { readonly version?: string }) => Promise<Controlled>,
): Promise<Response> {
  const origin = originOf?.(request)
  const by = { actor: token.principal.key, ...(origin !== undefined && { origin }) }
  const changed = (of: ModelChange) => note?.(of, by)
  const report = (outcome: ModelChange['outcome'], reason: string | undefined) => {
    const reasons = [
      ...(version === undefined ? [] : [`version ${version.slice(0, 20)}`]),
      ...(reason === undefined ? [] : [reason]),
    ]
    changed({ model: name.slice(0, 100), action, outcome, ...(reasons.length > 0 && { reason: reasons.join(': ') }) })
  }
  const own = version === undefined ? {} : { version }
  try {
    const { answer, reason } = await change({ may: (permission) => token.allows([permission]), changed }, own)
    report('done', reason)
    return answer
  } catch (error) {
    if (!(error instanceof VestalError)) report('failed', 'an internal error')
    else if (error.code !== 'PERMISSION_MISSING') report('failed', `${error.code}: ${error.message}`)
    throw error
  }
}

function sourceOf({ config, files }: LoadOptions): string {
  if (config === undefined) return 'from its folder'
  if (files === undefined) return 'with the configuration of the request'
  return `with the configuration and files of the request: ${[...files.keys()].join(', ')}`
}
