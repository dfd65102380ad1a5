import { createPublicKey, createSecretKey } from 'node:crypto'
import { jwtVerify } from 'jose'
import type { Contestant } from './contestant.ts'

export const jose: Contestant = {
  name: 'jose',
  note: 'asynchronous; key imported once',
  isAsync: true,
  create: (algorithm, { verifying }) => {
    const key = algorithm === 'HS256' ? createSecretKey(Buffer.from(verifying)) : createPublicKey(verifying)
    return async (token) => (await jwtVerify(token, key, { algorithms: [algorithm] })).payload
  },
}
