import { createPublicKey, createSecretKey } from 'node:crypto'
import jsonwebtoken from 'jsonwebtoken'
import type { Contestant } from './contestant.ts'

export const jsonWebToken: Contestant = {
  name: 'jsonwebtoken',
  note: 'key imported once',
  isAsync: false,
  algorithms: ['HS256', 'RS256', 'ES256'],
  create: (algorithm, { verifying }) => {
    const key = algorithm === 'HS256' ? createSecretKey(Buffer.from(verifying)) : createPublicKey(verifying)
    // The cast: it is not asked for EdDSA, which it does not know.
    const algorithms = [algorithm as Exclude<typeof algorithm, 'EdDSA'>]
    return (token) => jsonwebtoken.verify(token, key, { algorithms })
  },
}
