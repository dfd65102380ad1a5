import { generateKeyPairSync } from 'node:crypto'
import { signJwt } from '../../src/jose/sign.ts'
import { makeToken, SECRET } from './tokens.ts'

export interface WasmCase {
  readonly algorithm: string
  readonly secret?: string
  readonly jwk?: object
  readonly token: string
  readonly isRight: boolean
}

/** Tokens of every kind of key, each right once and wrong once. */
export function wasmCases(): readonly WasmCase[] {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
    ES512: generateKeyPairSync('ec', { namedCurve: 'secp521r1' }),
    EdDSA: generateKeyPairSync('ed25519'),
  }
  const asymmetric = Object.entries(pairs).flatMap(([algorithm, { publicKey, privateKey }]) => {
    const jwk = publicKey.export({ format: 'jwk' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const token = signJwt({ sub: 'me' }, pem)
    const other = signJwt({ sub: 'you' }, pem)
    const mixed = token.slice(0, token.lastIndexOf('.')) + other.slice(other.lastIndexOf('.'))
    return [
      { algorithm, jwk, token, isRight: true },
      { algorithm, jwk, token: mixed, isRight: false },
    ]
  })
  return [
    { algorithm: 'HS256', secret: SECRET, token: makeToken(), isRight: true },
    { algorithm: 'HS256', secret: SECRET, token: makeToken({ secret: `${SECRET}x` }), isRight: false },
    ...asymmetric,
  ]
}
