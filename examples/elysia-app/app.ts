/** An Elysia app that signs users in, protects its own routes, and serves models to those who may use them. */
import { Elysia, t } from 'elysia'
import { authentication, createEngine, serveModels, signJwt } from 'vestal'

type Permission = 'orders:read' | 'orders:write'

const secret = process.env.SECRET ?? ''
const engine = await createEngine({ modelsDirectory: process.env.MODELS ?? 'models', threads: 1 })

/** Stands for your table of users. */
const users = new Map([
  [
    'ada',
    { passwordHash: await Bun.password.hash('nine black cats'), grants: ['orders:read', 'orders:write', 'model:*:predict'] },
  ],
  ['bob', { passwordHash: await Bun.password.hash('ten green frogs'), grants: ['orders:read'] }],
])
const orders: { item: string; by: string }[] = []

const app = new Elysia()
  // Before the first route: it adds `permissions` to routes and `token` to handlers.
  .use(authentication<Permission>({ secret }))
  .use(serveModels({ engine, authentication: { secret } }))
  .post(
    '/sign-in',
    async ({ body: { name, password }, status }) => {
      const user = users.get(name)
      if (user === undefined || !(await Bun.password.verify(password, user.passwordHash)))
        return status(401, 'Wrong name or password')
      return { token: signJwt({ sub: name, data: { permissions: user.grants } }, secret) }
    },
    { body: t.Object({ name: t.String(), password: t.String() }) },
  )
  .get('/orders', () => orders, { permissions: ['orders:read'] })
  .post(
    '/orders',
    ({ body: { item }, token }) => {
      orders.push({ item, by: token.principal.subject ?? '' })
      return { count: orders.length }
    },
    { permissions: ['orders:write'], body: t.Object({ item: t.String({ maxLength: 100 }) }) },
  )
  .onStop(() => engine.stop())
  .listen({ port: Number(process.env.PORT ?? 3000), hostname: '127.0.0.1' })

console.log(`listens on http://127.0.0.1:${app.server?.port}`)
