/** Elysia with @elysiajs/jwt, on Bun. */
import { jwt } from '@elysiajs/jwt'
import { Elysia } from 'elysia'
import { INFORMATION, PERMISSION, SECRET } from '../servers/plan.ts'

const app = new Elysia()
  .use(jwt({ name: 'jwt', secret: SECRET, alg: 'HS256' }))
  .get('/private/info/', async ({ jwt: { verify }, request, status }) => {
    const header = request.headers.get('authorization')
    const claims = header?.startsWith('Bearer ') === true && (await verify(header.slice(7)))
    if (claims === false) return status(401)
    // The cast: the claims have any shape.
    const { permissions } = claims.data as unknown as { readonly permissions: readonly string[] }
    return permissions.includes(PERMISSION) ? { ...INFORMATION, public: false } : status(403)
  })
  .listen({ port: 0, hostname: '127.0.0.1' })
console.log(app.server?.port)
