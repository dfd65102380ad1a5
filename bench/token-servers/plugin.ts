import { Elysia } from 'elysia'
import { type AuthenticationOptions, authentication } from '../../src/index.ts'
import { INFORMATION, PERMISSION, SECRET } from '../servers/plan.ts'

/** Elysia with Vestal's plugin: what the other contestants are, a framework with its tokens and a route. Prints its port. */
export function servePlugin(options: Pick<AuthenticationOptions, 'signatureBackend'> = {}): void {
  const { title, description } = INFORMATION
  const app = new Elysia()
    .use(authentication({ secret: SECRET, ...options }))
    .get('/public/info/', () => ({ title, description, public: true }))
    .get('/private/info/', () => ({ title, description, public: false }), { permissions: [PERMISSION] })
    .listen({ port: 0, hostname: '127.0.0.1' })
  console.log(app.server?.port)
}
