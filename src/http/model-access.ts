import type { AuthenticatedToken } from '../auth/authenticator.ts'
import type { PermissionCheck } from '../auth/permissions.ts'
import { VestalError } from '../core/errors.ts'
import type { Engine, Model, ModelVersion } from '../inference/engine.ts'
import { isOff } from '../inference/repository/describe.ts'
import type { ModelAction } from '../inference/repository/permissions.ts'
import { TRITON_TEXTS } from '../tensor/triton-texts.ts'
import { type FoundRoute, nameIn } from './route-table.ts'

/** Parameters of a model's path, percent-decoded. */
type Params = Readonly<Record<string, string>>

/**
 * The permissions that a request for a model requires. A name that no model has requires those of its folder, or the default permission
 * of that name, so that a caller cannot tell the two apart.
 */
export function permissionTo(action: ModelAction, engine: Engine): (params: Params) => readonly string[] {
  return ({ name = '' }) => [engine.permission(name, action)]
}

/**
 * Checks that a token may have a request served before those that name no priority: what is more urgent goes before everybody else's.
 * @throws VestalError PERMISSION_MISSING
 */
export function checkPriority(priority: number | undefined, { name, priorities }: Model, allows: PermissionCheck): void {
  if (priority === undefined || priorities === undefined || priority >= priorities.default) return
  const permission = `model:${name}:priority`
  if (allows([permission])) return
  throw new VestalError('PERMISSION_MISSING', {
    detail: `A priority before ${priorities.default}, which this model has for all, asks for the permission ${permission}`,
    reason: `needs ${permission}`,
  })
}

/**
 * Checks that a token may predict with each model that the code of a version calls, and with those that these call. What the code may ask
 * by its own authority, and the steps of a pipeline, need no permission of the caller.
 * @throws VestalError PERMISSION_MISSING
 */
export function checkCalls(
  name: string,
  version: ModelVersion,
  { engine, allows }: { readonly engine: Engine; readonly allows: PermissionCheck },
): void {
  const missing = missingCall(name, version, { engine, allows })
  if (missing === undefined) return
  const { caller, called, permission } = missing
  throw new VestalError('PERMISSION_MISSING', {
    detail: `Insufficient permissions: '${caller}' calls '${called}', which requires the permission ${permission}`,
    reason: `needs ${permission}`,
  })
}

/** The first call of a version's code, or of what it calls, that a caller may not make. */
function missingCall(
  name: string,
  version: ModelVersion,
  { engine, allows }: { readonly engine: Engine; readonly allows: PermissionCheck },
): { readonly caller: string; readonly called: string; readonly permission: string } | undefined {
  // Most models call none.
  if (version.code === undefined && version.steps === undefined) return undefined
  const pending: [name: string, version: ModelVersion | undefined][] = [[name, version]]
  const seen = new Set([name])
  for (const [caller, found] of pending) {
    const { calls = found?.steps ?? [], ownAuthority = found?.steps ?? [] } = found?.code ?? {}
    for (const called of calls) {
      const permission = engine.permission(called, 'predict')
      if (!ownAuthority.includes(called) && !allows([permission])) return { caller, called, permission }
      if (seen.has(called)) continue
      seen.add(called)
      pending.push([called, engine.model(called)?.versions.find(({ state }) => state === 'ready')])
    }
  }
  return undefined
}

/** Says of a model whether a token may read it, so that lists hold nothing else. */
export function mayRead(token: AuthenticatedToken): (model: Model) => boolean {
  return ({ permissions }) => token.allows([permissions.read])
}

/** Says of a model whether a token may read it and predict with it: also with the models that its code calls. */
export function mayReadAndPredict(token: AuthenticatedToken, engine: Engine): (model: Model) => boolean {
  const allows: PermissionCheck = (required) => token.allows(required)
  return ({ name, permissions, versions }) => {
    if (!allows([permissions.read, permissions.predict])) return false
    const version = versions.find(({ state }) => state === 'ready')
    return version === undefined || missingCall(name, version, { engine, allows }) === undefined
  }
}

/** The same by a model's name, which may be one that was never loaded. */
export function mayReadName(token: AuthenticatedToken, engine: Engine): (name: string) => boolean {
  const permission = permissionTo('read', engine)
  return (name) => token.allows(permission({ name }))
}

/** The model in the path of a request; undefined where there is none, so that a path of a client is never taken for a name. */
export function nameOfModel(route: FoundRoute, pathname: string, engine: Engine): string | undefined {
  const name = nameIn(route, pathname)
  return name !== undefined && engine.model(name) !== undefined ? name : undefined
}

/**
 * The model of that name.
 * @throws VestalError MODEL_UNKNOWN
 */
export function findModel(engine: Engine, name: string): Model {
  const model = engine.model(name)
  if (model === undefined) throw unknown(`'${shorten(name)}' is not found`)
  return model
}

/**
 * The version that answers: the one asked for, or the newest that is ready.
 * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE
 */
export function findReadyVersion(model: Model, asked?: string): ModelVersion {
  if (asked !== undefined) {
    const version = findVersion(model, asked)
    if (version.state === 'ready') return version
    throw unavailable(`'${model.name}' version ${version.version} is not at ready state`, version.reason)
  }
  for (const version of model.versions) if (version.state === 'ready') return version
  const what = `'${model.name}' has no available versions`
  // An unloaded model comes back only by a load; one that is loading or broken here may be ready elsewhere or soon.
  if (model.versions.every(isOff)) throw unknown(what)
  throw unavailable(what, model.versions.find((version) => !isOff(version))?.reason)
}

/**
 * The version of that number, ready or not.
 * @throws VestalError MODEL_UNKNOWN
 */
export function findVersion(model: Model, asked: string): ModelVersion {
  const version = model.versions.find(({ version: number }) => number === asked)
  if (version === undefined) throw unknown(`'${model.name}' version ${shorten(asked)} is not found`)
  return version
}

/** Class names of a version's outputs: its own file may have some, and each version's may be others. */
export function labelsOf(
  { labels }: Pick<Model, 'labels'>,
  version: Pick<ModelVersion, 'labels'>,
): ReadonlyMap<string, readonly string[]> {
  return version.labels ?? labels
}

function unknown(what: string): VestalError {
  return new VestalError('MODEL_UNKNOWN', { detail: TRITON_TEXTS.unknownModel(what) })
}

function unavailable(what: string, reason: string | undefined): VestalError {
  const because = reason === undefined ? '' : `: ${reason}`
  return new VestalError('MODEL_UNAVAILABLE', { detail: `${TRITON_TEXTS.unknownModel(what)}${because}` })
}

/**
 * A name from the request is shown no longer than a model's may be. Whatever its type says, it is null where the
 * percent-encoding of the path is broken and no front stands before the routes.
 */
function shorten(name: string | null): string {
  if (name === null) return ''
  return name.length > 100 ? `${name.slice(0, 100)}…` : name
}
