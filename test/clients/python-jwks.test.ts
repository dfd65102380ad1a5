import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { generateKey } from '../../src/jose/generate-key.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { hasTool } from '../support/tools.ts'

const python = process.env.VESTAL_TEST_PYTHON
const ISSUER = 'https://vestal.example'

if (hasTool('a Python with PyJWT (VESTAL_TEST_PYTHON)', python)) {
  describe('PyJWT', async () => {
    const engine = await bundledEngine()
    const keys = (['ES256', 'EdDSA', 'RS256'] as const).map((algorithm) => generateKey(algorithm).secret)
    const app = createServer(engine, { authentication: { keys: { keys } } })
    app.listen({ port: 0, hostname: '127.0.0.1' })
    afterAll(async () => {
      await engine.stop()
      await app.stop(true)
    })

    test('accepts our access tokens with the keys that the server publishes, and no others', async () => {
      // As the command line and the accounts make them: RFC 9068 §2.2.
      const claims = { sub: 'me', iss: ISSUER, aud: 'vestal', client_id: 'vestal' }
      const tokens = keys.map((key) => signJwt(claims, key, { type: 'at+jwt' }))
      const forged = `${tokens[0]?.slice(0, -8)}AAAAAAAA`
      const stranger = signJwt(claims, generateKey('ES256').secret)
      const expired = signJwt({ ...claims, iat: 1, exp: 2 }, keys[0] ?? {})
      const address = `http://127.0.0.1:${app.server?.port}/.well-known/jwks.json`
      const args = [join(import.meta.dir, 'python_jwks.py'), address, ISSUER, ...tokens, forged, stranger, expired]
      const child = Bun.spawn([python, ...args], { stdout: 'pipe', stderr: 'inherit' })
      const accepted = ['at+jwt', 'me']
      expect(JSON.parse(await new Response(child.stdout).text())).toEqual([
        accepted,
        accepted,
        accepted,
        'InvalidSignatureError',
        'PyJWKClientError',
        'ExpiredSignatureError',
      ])
      expect(await child.exited).toBe(0)
    })
  })
}
