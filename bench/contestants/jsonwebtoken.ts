import { createPublicKey, createSecretKey } from 'node:crypto'
import jsonwebtoken from 'jsonwebtoken'
import type { Contestant } from './contestant.ts'

export const jsonWebToken: Contestant = {
  name: 'jsonwebtoken',
  note: 'key imported once',
  isAsync: false,
  create: (algorithm, { verifying }) => {
    const key = algorithm === 'HS256' ? createSecretKey(Buffer.from(verifying)) : createPublicKey(verifying)
    return (token) => jsonwebtoken.verify(token, key, { algorithms: [algorithm] })
  },
}
