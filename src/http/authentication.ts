import { type AnyElysia, Elysia, type ElysiaCustomStatusResponse } from 'elysia'
import {
  type AuthenticatedToken,
  type AuthenticationOptions,
  type Authenticator,
  createAuthenticator,
} from '../auth/authenticator.ts'
import type { ErrorDetail } from '../core/errors.ts'
import { invariant } from '../core/invariant.ts'
import { after, type Maybe, orElse } from '../core/maybe.ts'
import { answerError, vestalErrorIn } from './errors.ts'

/**
 * What a route asks for: a list of permissions that the token must grant in full, or a function of the path's parameters that returns
 * the list. `Permission` is the union of the names that an application knows; default any text.
 */
export type Requirement<Permission extends string = string> =
  | readonly Permission[]
  | ((params: Readonly<Record<string, string>>) => readonly Permission[])

/** The body of a rejection, as an application's routes answer it. */
export interface ErrorBody {
  readonly status_code: number
  readonly detail: ErrorDetail
  readonly error: null
}

/**
 * The plugin that `authentication` returns: the route option `permissions`, the handler value `token`, and the answers 401 and 403 on
 * routes that have the option. It is written out because Elysia would infer what hooks return as answers of every route.
 */
export type AuthenticationPlugin<Permission extends string = string> = Elysia<
  '',
  Elysia['~Singleton'],
  Elysia['~Definitions'],
  Omit<Elysia['~Metadata'], 'macro' | 'macroFn'> & {
    readonly macro: { readonly permissions?: Requirement<Permission> }
    readonly macroFn: {
      readonly permissions: (required: Requirement<Permission>) => {
        readonly resolve: () =>
          | { readonly token: AuthenticatedToken }
          | ElysiaCustomStatusResponse<401, ErrorBody>
          | ElysiaCustomStatusResponse<403, ErrorBody>
      }
    }
  },
  Elysia['~Routes'],
  Elysia['~Ephemeral'],
  Elysia['~Volatile']
>

/**
 * An Elysia plugin that adds the route option `permissions` and the handler value `token`. `[]` asks for a valid token and no
 * permission. The token is checked before a body that has a schema is read, and before a WebSocket is upgraded.
 * It may be used before or after the routes it protects. With a union of names as its type, a misspelt permission does not compile.
 *
 * @example
 * new Elysia()
 *   .use(authentication<'orders:read' | 'orders:write'>({ secret }))
 *   .get('/public', () => 'open')
 *   .get('/orders', ({ token }) => ({ of: token.payload.sub }), { permissions: ['orders:read'] })
 *
 * @throws KeyError, TypeError when keys or options cannot be used
 */
export function authentication<Permission extends string = string>(
  options: AuthenticationOptions,
): AuthenticationPlugin<Permission> {
  const authenticator = createAuthenticator(options)
  return guard<Permission>(authenticator)
}

/** The plugin over an authenticator that is there already. */
export function guard<Permission extends string = string>(authenticator: Authenticator): AuthenticationPlugin<Permission> {
  const plugin = createPlugin(authenticator)
  // Elysia takes a function as a plugin and hands it the app, which is how the routes that came before can be found; the cast gives
  // the function the type of the plugin it uses, so that the app learns of `permissions` and `token`.
  return ((app: AnyElysia) =>
    rejectUnguardedRoutes(guardEarlierRoutes(app.use(plugin)))) as unknown as AuthenticationPlugin<Permission>
}

function createPlugin(authenticator: Authenticator) {
  const { mayWait } = authenticator
  let requirements = 0
  const check = hookOf(mayWait, (request) => after(authenticator.authenticate(request), () => undefined))
  // A broken body or query without a token is rejected for the missing token, and reveals nothing of the schema.
  const checkFirst = hookOf(mayWait, (request, _params, code): Maybe<Response | undefined> => {
    if (code !== 'VALIDATION' && code !== 'PARSE') return undefined
    return orElse<Request, Response | undefined>(
      request,
      () => after(authenticator.authenticate(request), () => undefined),
      (error) => rejectionOf(error, request),
    )
  })
  return new Elysia()
    .onStop(() => authenticator.close())
    .onError({ as: 'global' }, ({ error, request }) => {
      const rejection = vestalErrorIn(error)
      return rejection === undefined ? undefined : answerError(rejection, request)
    })
    .macro({
      permissions: (required: Requirement) => {
        const permissionsFor = checkRequirement(required)
        requirements += 1
        const authorize = (token: AuthenticatedToken, params: unknown) => {
          // The cast: Elysia fills path parameters with texts.
          authenticator.authorize(token, permissionsFor(params as Readonly<Record<string, string>>))
          return { token }
        }
        const admit = hookOf(mayWait, (request, params) => {
          const found = authenticator.authenticate(request)
          // Written out, not `after`: most requests come here, and need no closure.
          return found instanceof Promise ? found.then((token) => authorize(token, params)) : authorize(found, params)
        })
        return {
          introspect: (hook: RouteHook) => {
            guardBody(hook, check)
            admitFirst(hook, admit)
          },
          error: checkFirst,
          // Elysia takes two functions for one value, and would leave the second out.
          seed: requirements,
        }
      },
    })
}

/** Elysia reads what a hook asks for in its text: these cost a route nothing. */
interface HookContext {
  readonly request: Request
  readonly params?: unknown
  readonly code?: unknown
}
type Hook<T> = (context: HookContext) => Maybe<T>

/**
 * A hook around a step. Elysia reads a hook's text to see whether to wait for it, so the two forms are written out: `async` where the step may
 * wait, and one that costs a route nothing where it never does. That one fails closed, since a promise of it would not be awaited.
 */
function hookOf<T>(mayWait: boolean, step: (request: Request, params: unknown, code: unknown) => Maybe<T>): Hook<T> {
  if (mayWait) {
    return async ({ request, params, code }) => {
      const done = await step(request, params, code)
      return done
    }
  }
  return ({ request, params, code }) => {
    const done = step(request, params, code)
    invariant(!(done instanceof Promise), 'a route that does not wait is given no promise')
    return done
  }
}

interface RouteHook {
  body?: unknown
  parse?: unknown
  transform?: unknown
  [ADMITS]?: readonly Admit[]
}

type Admit = Hook<{ token: AuthenticatedToken }>

/** The checks of a route, which a spread of its options copies. */
const ADMITS = Symbol('admits')

/**
 * Puts the check before all that a route, its groups and other macros may answer with: each `beforeHandle` and each `resolve`, which a cache
 * may be, comes after the last `transform`. As a `derive`, the check gives the handler its `token`.
 */
function admitFirst(hook: RouteHook, admit: Admit): void {
  hook.transform = [{ fn: admit, subType: 'derive' }, ...[hook.transform ?? []].flat()]
  hook[ADMITS] = [...(hook[ADMITS] ?? []), admit]
}

/**
 * Puts checks back that a route has lost: Elysia writes a route's hooks into the object of its options, so that `{ ...adminOnly, transform }`
 * after a route with `adminOnly` has a `transform` in place of the check, and no `permissions` any more.
 */
function restoreChecks(hook: RouteHook): void {
  const present = new Set([hook.transform ?? []].flat().map((each) => (isContainer(each) ? each.fn : each)))
  const lost = (hook[ADMITS] ?? []).filter((admit) => !present.has(admit))
  for (const admit of lost) hook.transform = [{ fn: admit, subType: 'derive' }, ...[hook.transform ?? []].flat()]
}

function isContainer(value: unknown): value is { readonly fn: unknown } {
  return typeof value === 'object' && value !== null && 'fn' in value
}

/** Checks the token before the body is read, where a schema makes Elysia read it ahead of `transform`. */
function guardBody(hook: RouteHook, check: Hook<void>): void {
  const parsers: readonly unknown[] = [hook.parse ?? []].flat()
  if (hook.body === undefined || isNoParser(parsers)) return
  hook.parse = [check, ...parsers]
}

/** True for `parse: 'none'`, also in the form in which Elysia keeps it for a route that is there already. */
function isNoParser([first, ...others]: readonly unknown[]): boolean {
  const parser = isContainer(first) ? first.fn : first
  return parser === 'none' && others.length === 0
}

function rejectionOf(error: unknown, request: Request): Response {
  const rejection = vestalErrorIn(error)
  if (rejection === undefined) throw error
  return answerError(rejection, request)
}

/** What only Elysia's types make private: what each of its verbs calls, and the router's entry for a path with parameters. */
interface Internals {
  add(method: string, path: string, handler: unknown, hooks: unknown, options?: { readonly skipPrefix: boolean }): void
  readonly router: { readonly http: { find(method: string, path: string): { readonly store: RouterEntry } | null } }
}

interface RouterEntry {
  handler: unknown
  compile: () => unknown
}

/** Registers again, in place, each route that asked for permissions before this plugin was there to give them. */
function guardEarlierRoutes(app: AnyElysia): AnyElysia {
  const internals = app as unknown as Internals
  for (const { method, path, handler, hooks } of [...app.router.history]) {
    if (hooks === undefined || !('permissions' in hooks)) continue
    const entry = internals.router.http.find(method, path)?.store
    internals.add(method, path, handler, hooks, { skipPrefix: true })
    const guarded = app.router.history.find((route) => route.method === method && route.path === path)
    // The router keeps the first handler of a path with parameters, so the entry itself is turned to the guarded one.
    if (entry === undefined || guarded === undefined) continue
    entry.handler = undefined
    entry.compile = () => (entry.handler = guarded.compile())
  }
  return app
}

/** From here on a route that asks for permissions is either guarded or rejected: another macro that gives no hooks drops ours. */
function rejectUnguardedRoutes(app: AnyElysia): AnyElysia {
  const internals = app as unknown as Internals
  const { add } = internals
  internals.add = (method, path, handler, hooks, options) => {
    const hasHooks = typeof hooks === 'object' && hooks !== null
    // The cast: what Elysia takes for a route's options has these fields or lacks them.
    if (hasHooks) restoreChecks(hooks as RouteHook)
    add.call(app, method, path, handler, hooks, options)
    if (!hasHooks || !('permissions' in hooks)) return
    throw new Error(`${method} ${path} asks for permissions and nothing checks them: another macro of this route gives no hooks`)
  }
  return app
}

function checkRequirement(required: unknown): (params: Readonly<Record<string, string>>) => readonly string[] {
  // The cast: what a function returns is checked by `authorize` meeting it, and a wrong one grants nothing.
  if (typeof required === 'function') return required as (params: Readonly<Record<string, string>>) => readonly string[]
  const isList = Array.isArray(required) && required.every((permission) => typeof permission === 'string' && permission !== '')
  if (!isList) throw new TypeError('"permissions" is a list of permissions; [] asks for any valid token')
  const permissions: readonly string[] = Object.freeze([...required])
  return () => permissions
}
