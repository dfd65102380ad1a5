import { signSync } from '@node-rs/jsonwebtoken'
import { createSigner } from 'fast-jwt'
import { importJWK, SignJWT } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import type { Algorithm } from '../src/jose/algorithms.ts'
import { generateKey } from '../src/jose/generate-key.ts'
import { importJwk } from '../src/jose/keys.ts'
import { signJwt } from '../src/jose/sign.ts'
import { verifyJwt } from '../src/jose/verify.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { interleave, type Rounds, type Work } from './harness/measure.ts'
import { type Occasion, reportTable } from './harness/report.ts'

const ALGORITHMS = ['HS256', 'RS256', 'ES256', 'EdDSA'] as const
const CONTESTANTS = ['Vestal', 'Vestal, native', 'node-rs', 'jose', 'jsonwebtoken', 'fast-jwt'] as const

type Signer = () => string | Promise<string>

/** What it costs to make a token, for Vestal and for others. */
export async function benchSign(rounds: Rounds, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const rows: string[][] = []
  for (const algorithm of ALGORITHMS) {
    const figures = await interleave(await worksOf(algorithm), rounds)
    rows.push([algorithm, ...CONTESTANTS.map((name) => cellOf(figures.get(name)?.median))])
  }
  const text =
    'ns a token of about 250 bytes of claims, header and all; the key was imported before. node-rs writes no `typ` but `JWT`.'
  const occasion: Occasion = { machine: describeMachine(), isKept }
  reportTable({ id: 'sign', title: 'Signing', text, head: ['', ...CONTESTANTS], rows }, occasion)
}

function cellOf(value: number | undefined): string {
  return value === undefined ? 'not offered' : Math.round(value).toLocaleString('en').replaceAll(',', ' ')
}

async function worksOf(algorithm: Algorithm): Promise<Work[]> {
  const { secret } = generateKey(algorithm)
  const works: Work[] = []
  for (const [name, sign] of Object.entries(await signersOf(algorithm, secret))) {
    // Nothing is timed that makes a token which is not right.
    if (verifyJwt(await sign(), secret).payload.sub !== 'bench') throw new Error(`${name} makes no good ${algorithm} token`)
    works.push({ name, run: (times) => repeat(sign, times) })
  }
  return works
}

async function repeat(sign: Signer, times: number): Promise<number> {
  let characters = 0
  for (let index = 0; index < times; index += 1) {
    const token = sign()
    characters += (typeof token === 'string' ? token : await token).length
  }
  return characters
}

async function signersOf(algorithm: Algorithm, secret: Readonly<Record<string, unknown>>): Promise<Record<string, Signer>> {
  const key = importJwk(secret, { algorithm })
  const { signing } = key
  if (signing === undefined) throw new Error('a generated key signs')
  const isSecret = key.kind === 'oct'
  const text = isSecret ? signing.export() : signing.export({ type: 'pkcs8', format: 'pem' }).toString()
  const claims = () => ({
    sub: 'bench',
    iat: Math.floor(Date.now() / 1000),
    exp: Math.floor(Date.now() / 1000) + 300,
    jti: crypto.randomUUID(),
    data: { permissions: ['model:iris:predict', 'model:digits:predict', 'model:reviews:read'] },
  })
  const header = { algorithm, keyId: key.kid } as unknown as Parameters<typeof signSync>[2]
  const jose = await importJWK({ ...secret }, algorithm)
  const fast = createSigner({ key: text, algorithm, ...(key.kid && { kid: key.kid }) })
  const options = { algorithm, keyid: key.kid ?? '' } as jsonwebtoken.SignOptions
  return {
    Vestal: () => signJwt(claims(), key, { type: 'at+jwt' }),
    ...(isSecret && { 'Vestal, native': () => signJwt(claims(), key, { signatureBackend: 'native' }) }),
    'node-rs': () => signSync(claims(), text, header),
    jose: () => new SignJWT(claims()).setProtectedHeader({ alg: algorithm, typ: 'at+jwt', kid: key.kid ?? '' }).sign(jose),
    // It knows no EdDSA.
    ...(algorithm !== 'EdDSA' && { jsonwebtoken: () => jsonwebtoken.sign(claims(), text, options) }),
    'fast-jwt': () => fast(claims()),
  }
}
