import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { signJwt, verifyJwt } from '../../src/index.ts'
import type { Algorithm } from '../../src/jose/algorithms.ts'
import { SECRET } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

interface Answer {
  readonly token: string
  readonly subject: string
  readonly refusal: string
}

interface Keys {
  readonly private: string
  readonly public: string
}

const pem = ({ privateKey, publicKey }: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }): Keys => ({
  private: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  public: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
})
const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }))
const secret: Keys = { private: SECRET, public: SECRET }
const KEYS: Readonly<Partial<Record<Algorithm, Keys>>> = {
  HS256: secret,
  HS384: secret,
  HS512: secret,
  RS256: rsa,
  RS384: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  PS512: rsa,
  ES256: pem(generateKeyPairSync('ec', { namedCurve: 'prime256v1' })),
  ES384: pem(generateKeyPairSync('ec', { namedCurve: 'secp384r1' })),
  ES512: pem(generateKeyPairSync('ec', { namedCurve: 'secp521r1' })),
  EdDSA: pem(generateKeyPairSync('ed25519')),
}

const cases = Object.entries(KEYS) as readonly (readonly [Algorithm, Keys])[]
const ours = cases.map(([algorithm, { private: key }]) => signJwt({ sub: 'vestal' }, key, { algorithm, type: 'at+jwt' }))

/** Hands every case to a program that answers all of them at once, with one of our tokens for each. */
async function ask(command: readonly string[], tokens: readonly string[], cwd = import.meta.dir): Promise<readonly Answer[]> {
  const questions = cases.map(([algorithm, keys], index) => ({ algorithm, ...keys, token: tokens[index] }))
  const stdin = new Blob([JSON.stringify(questions)])
  const child = Bun.spawn([...command], { cwd, stdin, stdout: 'pipe', stderr: 'pipe' })
  const [output, faults] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`${command[0]} failed: ${faults.slice(-2000)}`)
  return JSON.parse(output) as readonly Answer[]
}

/** A signature that is another token's of the same key. */
const forged = ours.map((token, index) => {
  const [algorithm, keys] = cases[index] as readonly [Algorithm, Keys]
  const other = signJwt({ sub: 'another' }, keys.private, { algorithm })
  return token.slice(0, token.lastIndexOf('.')) + other.slice(other.lastIndexOf('.'))
})

function suite(library: string, command: readonly string[], cwd?: string): void {
  describe(library, async () => {
    const answers = await ask(command, ours, cwd)
    const toForged = await ask(command, forged, cwd)
    for (const [index, [algorithm, keys]] of cases.entries()) {
      const { token = '', subject, refusal } = answers[index] ?? {}

      test(`accepts our tokens of ${algorithm}, and rejects what is forged`, () => {
        expect([refusal, subject]).toEqual(['', 'vestal'])
        expect([toForged[index]?.subject, toForged[index]?.refusal === '']).toEqual(['', false])
      })

      test(`makes tokens of ${algorithm} that are accepted here, and forged ones are not`, () => {
        const { payload } = verifyJwt(token, keys.public, { algorithms: [algorithm] })
        expect(payload.sub).toBeOneOf(['go', 'python'])
        const other = forged[index] ?? ''
        const mixed = token.slice(0, token.lastIndexOf('.')) + other.slice(other.lastIndexOf('.'))
        expect(() => verifyJwt(mixed, keys.public, { algorithms: [algorithm] })).toThrow('signature')
      })
    }
  })
}

const python = process.env.VESTAL_TEST_PYTHON
if (hasTool('a Python with PyJWT (VESTAL_TEST_PYTHON)', python)) suite('PyJWT', [python, 'pyjwt_tokens.py'])

// Building it fetches a module, which `bun test` alone must not; and Go is no part of a fresh machine, so its absence fails nothing.
const go = Bun.which('go', { PATH: `${process.env.PATH}:/usr/local/go/bin` })
if (process.env.VESTAL_TEST_REQUIRED === undefined) console.warn('skipped: golang-jwt is tried in .ci/run')
else if (go === null) console.warn('skipped: Go is not on this machine, so golang-jwt is not tried')
else suite('golang-jwt', [go, 'run', '.'], join(import.meta.dir, 'go-jwt'))
