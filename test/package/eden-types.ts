/** What an Eden client sees of an app with `authentication()`. `bun run types` checks this file; nothing runs it. */
import { treaty } from '@elysiajs/eden'
import { Elysia, t } from 'elysia'
import { type AuthenticatedToken, authentication, type Engine, type ErrorBody, serveModels } from 'vestal'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only for `true`. */
function expectTrue<T extends true>(): T | undefined {
  return undefined
}
type Call = (...args: never[]) => Promise<{ readonly data: unknown; readonly error: unknown }>
type DataOf<F extends Call> = NonNullable<Awaited<ReturnType<F>>['data']>
type ErrorOf<F extends Call> = NonNullable<Awaited<ReturnType<F>>['error']>
/** Each status of an error with the type of its body. */
type Bodies<F extends Call> = {
  [E in ErrorOf<F> as E extends { readonly status: infer S extends number } ? S : never]: E extends { readonly value: infer V }
    ? V
    : never
}
type Refusals = { 401: ErrorBody; 403: ErrorBody }

const plugin = authentication({ secret: 'a secret for tests alone, of 48 bytes and no less' })
const app = new Elysia()
  .use(plugin)
  .get('/public', () => ({ open: true }))
  .get('/private', ({ token }) => ({ id: token.payload.sub }), { permissions: ['read'] })
  .get('/own/:id', ({ params, token }) => ({ id: params.id, mine: token.allows([]) }), {
    // Its parameter has a type: without one TypeScript looks at the handler first, and finds no `token` there.
    permissions: ({ id }: Readonly<Record<string, string>>) => [`own:${id}:read`],
  })
  .post('/body', ({ body }) => ({ doubled: body.n * 2 }), { permissions: ['write'], body: t.Object({ n: t.Number() }) })
  .derive(() => ({ region: 'eu' }))
  .get('/derived', ({ token, region }) => ({ region, id: token.principal.subject }), { permissions: [] })
  .get('/derived-public', ({ region }) => ({ region }))
  .group('/group', (group) =>
    group.get('/inside', ({ token }) => ({ id: token.payload.sub ?? '' }), { permissions: ['read'] }).get('/open', () => 'yes'),
  )
  .use(
    new Elysia()
      .use(plugin)
      .guard({ permissions: ['admin'] })
      .get('/guarded', ({ token }) => ({ roles: [...token.roles] })),
  )
  .use(new Elysia({ prefix: '/part' }).use(plugin).get('/of', ({ token }) => token.payload.sub ?? '', { permissions: ['read'] }))
  .ws('/live', {
    permissions: ['listen'],
    body: t.Object({ n: t.Number() }),
    response: t.Object({ of: t.String() }),
    message: (ws, { n }) => {
      const token: AuthenticatedToken = ws.data.token
      ws.send({ of: `${token.payload.sub} ${n}` })
    },
  })

const client = treaty<typeof app>('127.0.0.1')
type Client = typeof client

// Public routes have no errors of ours, and their data is what the handler returns.
expectTrue<Same<DataOf<Client['public']['get']>, { open: boolean }>>()
expectTrue<Same<keyof Bodies<Client['public']['get']>, never>>()
expectTrue<Same<DataOf<Client['derived-public']['get']>, { region: 'eu' }>>()
expectTrue<Same<keyof Bodies<Client['derived-public']['get']>, never>>()
// Elysia itself says 422 in a group, of parameters of a path and of the schema of a body.
expectTrue<Same<DataOf<Client['group']['open']['get']>, string>>()
expectTrue<Same<keyof Bodies<Client['group']['open']['get']>, 422>>()

// Protected ones have 401 and 403.
expectTrue<Same<DataOf<Client['private']['get']>, { id: string | undefined }>>()
expectTrue<Same<Bodies<Client['private']['get']>, Refusals>>()
type Own = ReturnType<Client['own']>
expectTrue<Same<DataOf<Own['get']>, { id: string; mine: boolean }>>()
expectTrue<Same<keyof Bodies<Own['get']>, 401 | 403 | 422>>()
expectTrue<Same<DataOf<Client['derived']['get']>, { region: 'eu'; id: string | undefined }>>()
expectTrue<Same<Bodies<Client['derived']['get']>, Refusals>>()
expectTrue<Same<DataOf<Client['group']['inside']['get']>, { id: string }>>()
expectTrue<Same<keyof Bodies<Client['group']['inside']['get']>, 401 | 403 | 422>>()
expectTrue<Same<Bodies<Client['group']['inside']['get']>[401], ErrorBody>>()
expectTrue<Same<DataOf<Client['guarded']['get']>, { roles: string[] }>>()
expectTrue<Same<Bodies<Client['guarded']['get']>, Refusals>>()
expectTrue<Same<DataOf<Client['part']['of']['get']>, string>>()
expectTrue<Same<Bodies<Client['part']['of']['get']>, Refusals>>()
expectTrue<Same<DataOf<Client['body']['post']>, { doubled: number }>>()
expectTrue<Same<keyof Bodies<Client['body']['post']>, 401 | 403 | 422>>()

// A WebSocket's messages are those of its schemas.
const live = client.live.subscribe()
live.send({ n: 1 })
live.subscribe(({ data }) => data.of.length)
// @ts-expect-error: not what the schema takes
live.send({ m: 1 })

// Models that are served beside them change nothing of this.
declare const engine: Engine
const serving = new Elysia()
  .use(plugin)
  .use(serveModels({ engine, authentication: { secret: '' } }))
  .get('/public', () => ({ open: true }))
  .get('/private', ({ token }) => ({ id: token.payload.sub }), { permissions: ['read'] })
type Serving = ReturnType<typeof treaty<typeof serving>>
expectTrue<Same<DataOf<Serving['public']['get']>, { open: boolean }>>()
expectTrue<Same<keyof Bodies<Serving['public']['get']>, never>>()
expectTrue<Same<Bodies<Serving['private']['get']>, Refusals>>()

// Inside a guard that takes a function, Elysia knows the token and not the answers of any macro.
const inside = new Elysia()
  .use(plugin)
  .guard({ permissions: ['admin'] }, (guarded) => guarded.get('/inside', ({ token }) => ({ id: token.payload.sub })))
type Inside = ReturnType<typeof treaty<typeof inside>>
expectTrue<Same<DataOf<Inside['inside']['get']>, { id: string | undefined }>>()

// A handler without `permissions` has no token.
// @ts-expect-error: there is no token
new Elysia().use(plugin).get('/none', ({ token }) => token)
// @ts-expect-error: a boolean is no requirement
new Elysia().use(plugin).get('/boolean', () => 1, { permissions: true })

// Names of permissions can be a type of one's own.
type Permission = 'read' | 'write' | `own:${string}:read`
const typed = authentication<Permission>({ secret: 'a secret for tests alone, of 48 bytes and no less' })
new Elysia()
  .use(typed)
  .get('/right', ({ token }) => ({ id: token.payload.sub }), { permissions: ['read', 'write'] })
  .get('/none', () => 'any token', { permissions: [] })
  .get('/function/:id', () => 'own', { permissions: ({ id }) => [`own:${id}:read`] })
  .guard({ permissions: ['write'] }, (guarded) => guarded.get('/guarded', () => 1))
  .ws('/live', { permissions: ['read'], message: (ws) => ws.data.token.payload.sub })
// @ts-expect-error: a misspelt permission
new Elysia().use(typed).get('/wrong', () => 1, { permissions: ['raed'] })
// @ts-expect-error: one of two is misspelt
new Elysia().use(typed).get('/wrong', () => 1, { permissions: ['read', 'wirte'] })
// @ts-expect-error: a function gives a misspelt one
new Elysia().use(typed).get('/wrong/:id', () => 1, { permissions: ({ id }) => [`won:${id}`] })
// @ts-expect-error: the same in a guard
new Elysia().use(typed).guard({ permissions: ['raed'] }, (guarded) => guarded.get('/wrong', () => 1))
// @ts-expect-error: the same on a WebSocket
new Elysia().use(typed).ws('/wrong', { permissions: ['raed'], message: () => undefined })
