/** Hono with its jwt middleware, on Bun. */
import { Hono } from 'hono'
import { jwt } from 'hono/jwt'
import { INFORMATION, PERMISSION, SECRET } from '../servers/plan.ts'

const app = new Hono<{ Variables: { jwtPayload: { readonly data?: { readonly permissions?: readonly string[] } } } }>()
app.use('/private/*', jwt({ secret: SECRET, alg: 'HS256' }))
app.get('/private/info/', (context) =>
  context.get('jwtPayload').data?.permissions?.includes(PERMISSION) === true
    ? context.json({ ...INFORMATION, public: false })
    : context.text('Forbidden', 403),
)
console.log(Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch }).port)
