/** A tiny identity provider: it publishes its keys as a JWKS and signs access tokens with roles, as Keycloak or Auth0 do. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

const port = Number(process.env.ISSUER_PORT ?? 9000)
const issuer = `http://127.0.0.1:${port}`
const { publicKey, privateKey } = await generateKeyPair('ES256')
const jwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'ES256', use: 'sig' }

/** Stands for the users whom a real provider signs in. */
const roles: Readonly<Record<string, readonly string[]>> = { ada: ['analyst'], bob: ['guest'] }

function accessToken(user: string): Promise<string> {
  return new SignJWT({ roles: roles[user] })
    .setProtectedHeader({ alg: 'ES256', kid: jwk.kid, typ: 'at+jwt' })
    .setIssuer(issuer)
    .setAudience('vestal')
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(privateKey)
}

Bun.serve({
  port,
  hostname: '127.0.0.1',
  routes: {
    '/jwks.json': () => Response.json({ keys: [jwk] }),
    // A real provider asks for a password or a client's secret here.
    '/token/:user': async ({ params: { user } }) =>
      Object.hasOwn(roles, user) ? new Response(await accessToken(user)) : new Response('unknown user', { status: 404 }),
  },
})
console.log(`issues tokens on ${issuer}`)
