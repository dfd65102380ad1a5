/** Fastify with @fastify/jwt and its cache of verified tokens, on Node or Bun. Arguments: secret, permission, title, description. */
import jwt from '@fastify/jwt'
import { fastify } from 'fastify'

const [secret = '', permission = '', title, description] = process.argv.slice(2)
const app = fastify()
await app.register(jwt, { secret, verify: { algorithms: ['HS256'], cache: true } })
app.get('/private/info/', async (request, reply) => {
  try {
    await request.jwtVerify()
  } catch {
    return reply.code(401).send({ error: 'Unauthorized' })
  }
  // The cast: the plugin says that the claims have any shape.
  const { data } = /** @type {{ data?: { permissions?: string[] } }} */ (request.user)
  if (data?.permissions?.includes(permission) !== true) return reply.code(403).send({ error: 'Forbidden' })
  return { title, description, public: false }
})
await app.listen({ port: 0, host: '127.0.0.1' })
console.log(/** @type {{ port: number }} */ (app.server.address()).port)
