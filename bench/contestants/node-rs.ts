import { type Algorithm, verifySync } from '@node-rs/jsonwebtoken'
import type { Contestant } from './contestant.ts'

export const nodeRs: Contestant = {
  name: '@node-rs/jsonwebtoken',
  note: 'alone: with its own claim checks, key text parsed each time',
  isAsync: false,
  create: (algorithm, { verifying }) => {
    // The casts: a const enum of names, and claims that it gives as an object.
    const algorithms = [algorithm as unknown as Algorithm]
    return (token) => verifySync(token, verifying, { algorithms, validateExp: true }) as unknown
  },
}
