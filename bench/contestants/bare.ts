import { createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } from 'node:crypto'
import type { BenchAlgorithm, Contestant } from './contestant.ts'

/** The least that can be done with Bun's own node:crypto: the signature, the payload's JSON and the end. No header is read. */
export const bare: Contestant = {
  name: 'bare node:crypto',
  note: 'KeyObject, signature, JSON.parse and exp; nothing else is checked',
  isAsync: false,
  create: (algorithm, { verifying }) => {
    const isRight = algorithm === 'HS256' ? hmacCheck(verifying) : signatureCheck(algorithm, verifying)
    return (token) => {
      const end = token.lastIndexOf('.')
      const signature = Buffer.from(token.slice(end + 1), 'base64url')
      if (!isRight(token.slice(0, end), signature)) throw new Error('the signature is not right')
      const text = Buffer.from(token.slice(token.indexOf('.') + 1, end), 'base64url').toString()
      // The cast: the bench's own claims.
      const claims = JSON.parse(text) as { readonly exp: number }
      if (claims.exp * 1000 <= Date.now()) throw new Error('expired')
      return claims
    }
  },
}

function hmacCheck(secret: string) {
  const key = createSecretKey(Buffer.from(secret))
  return (input: string, signature: Buffer) => {
    const expected = createHmac('sha256', key).update(input).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
}

function signatureCheck(algorithm: BenchAlgorithm, pem: string) {
  const key = createPublicKey(pem)
  const material = algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : { key }
  const hash = algorithm === 'EdDSA' ? null : 'sha256'
  return (input: string, signature: Buffer) => verify(hash, Buffer.from(input), material, signature)
}
